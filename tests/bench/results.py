"""What was measured, one JSON object a line, so that a long run that was cut off goes on where it was."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vectors import Cloud, Floats

FOLDER = Path(__file__).parent / "results"

Cell = tuple[str, str, int, int]
"""system, storage, dimension, size"""


def read(file: str = "scale.jsonl") -> dict[Cell, dict[str, Any]]:
    """The latest row of each cell."""
    path = FOLDER / file
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["system"], row["storage"], row["dimension"], row["size"]): row for row in rows}


def keep(cell: Cell, figures: Mapping[str, Any], file: str = "scale.jsonl") -> None:
    """Add a row; the machine's load is told with it."""
    system, storage, dimension, size = cell
    row = {"system": system, "storage": storage, "dimension": dimension, "size": size, **figures}
    row |= {"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M}", "load": os.getloadavg()[0], "machine": machine()}
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / file).open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def exact(cloud: Cloud, size: int, queries: Floats, k: int = 10) -> NDArray[np.int64]:
    """`cloud.nearest`, computed once."""
    path = FOLDER / f"exact-{cloud.seed}-{cloud.dimension}-{size}-{len(queries)}-{k}.npy"
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        np.save(path, cloud.nearest(size, queries, k))
    rows: NDArray[np.int64] = np.load(path)
    return rows


def machine() -> str:
    """`2 cores, 24 GiB, x86_64`"""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}"


def number(text: str) -> int:
    """`10k` -> 10000, `1M` -> 1000000."""
    scale = {"k": 1_000, "M": 1_000_000}.get(text[-1])
    return int(text[:-1]) * scale if scale else int(text)


def brief(value: int) -> str:
    """10000 -> `10k`."""
    for scale, letter in ((1_000_000, "M"), (1_000, "k")):
        if value % scale == 0:
            return f"{value // scale}{letter}"
    return str(value)
