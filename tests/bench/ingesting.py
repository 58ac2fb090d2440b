"""`neuralshelf ingest` against the size of the catalogue: rows a second, and the memory of its process.

    python tests/bench/ingesting.py --sizes 1k,10k,100k [--dry-run]

Products with a title, a brand and a picture of 64 × 64 pixels (JPEG in a zip), no two alike, are read and checked
(`--dry-run` of the verb), and then ingested into a stack of its own, started with the sample deployment's models and
with its state below `--folder`, purged afterwards. Each size is a run of the command line; memory is the greatest
resident size that the kernel tells of that process. With `--dry-run` only the first. Writes ingesting.md.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from plots import exponent
from results import brief, machine, number
from tabulate import tabulate

ROOT = Path(__file__).resolve().parents[2]
SIDE = 64
WORDS = ("lamp", "chair", "bowl", "kettle", "shelf", "vase", "clock", "table", "mug", "rug", "mirror", "stool")
COLOURS = ("red", "green", "blue", "white", "black", "amber", "grey", "pink")
BRANDS = ("Kestrelby", "Larkfathom", "Ovenbrook", "Tallowmere")


def catalogue(folder: Path, size: int) -> tuple[Path, Path]:
    """(rows, pictures), made when they are not there yet; the same at every call."""
    rows, pictures = folder / f"{brief(size)}.jsonl", folder / f"{brief(size)}.zip"
    if rows.exists():
        return rows, pictures
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(size)
    unfinished = rows.with_suffix(".new")
    with zipfile.ZipFile(pictures, "w", zipfile.ZIP_STORED) as archive, unfinished.open("w", encoding="utf-8") as lines:
        for row in range(size):
            name = f"{row:07d}.jpg"
            coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            data = io.BytesIO()
            Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(data, "JPEG", quality=80)
            archive.writestr(name, data.getvalue())
            title = f"{COLOURS[row % 8]} {WORDS[row // 8 % 12]}, number {row}"
            lines.write(json.dumps({"id": f"p{row}", "title": title, "brand": BRANDS[row % 4], "image": name}) + "\n")
    unfinished.replace(rows)
    return rows, pictures


def measured(command: Sequence[str], env: dict[str, str]) -> tuple[dict[str, Any], float, float]:
    """(its report, seconds of processor time, greatest resident size in MB) of one run of the command line.

    Raises:
        RuntimeError: it ended with another code than 0.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "neuralshelf", *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    told, complaint = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{command[0]}: {process.returncode} {complaint.decode()[-500:]}")
    return json.loads(told), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


@contextmanager
def stack(folder: Path, env: dict[str, str]) -> Iterator[Path]:
    """The sample deployment in a folder of its own, up; gone afterwards. Yields its configuration."""
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(ROOT / "environments", project / "environments")
    config = project / "neuralshelf.yaml"
    shutil.copy(ROOT / "neuralshelf.yaml", config)
    neuralshelf = [sys.executable, "-m", "neuralshelf"]
    try:
        subprocess.run([*neuralshelf, "up", "--config", config], env=env, check=True, stdout=subprocess.DEVNULL)
        yield config
    finally:
        subprocess.run([*neuralshelf, "down", "--purge", "--config", config], env=env, check=True)


def main() -> int:
    """Run each size, print and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=lambda text: [number(size) for size in text.split(",")], default="1k,10k")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/neuralshelf-bench/ingesting"))
    parser.add_argument("--dry-run", action="store_true", help="read and check only, start nothing")
    options = parser.parse_args()
    made = {size: catalogue(options.folder, size) for size in options.sizes}
    env = os.environ | {"NEURALSHELF_STATE": str(options.folder / "state")}
    found: list[tuple[str, int, float, float, float]] = []

    def run(how: str, config: Path, *more: str) -> None:
        for size, (rows, pictures) in made.items():
            command = ["ingest", str(rows), "--pictures", str(pictures), "--config", str(config), "--json", *more]
            report, cpu, memory = measured(command, env)
            assert report["documents"] == size, report
            found.append((how, size, report["seconds"], cpu, memory))
            print(*found[-1], file=sys.stderr)

    run("read and checked", ROOT / "neuralshelf.yaml", "--dry-run")
    if not options.dry_run:
        with stack(options.folder, env) as config:
            run("ingested", config)
    body = [
        (how, brief(size), seconds, size / seconds, 1e6 * cpu / size, memory)
        for how, size, seconds, cpu, memory in found
    ]
    headers = ("rows", "number", "s", "rows/s", "µs of processor a row", "memory MB")
    table = tabulate(body, headers=headers, tablefmt="github", floatfmt=".1f")
    growth = []
    for way in dict.fromkeys(how for how, *_ in found):
        power = exponent((size, seconds) for how, size, seconds, _, _ in found if how == way)
        if power is not None:
            growth.append(f"{way}: seconds ∝ rows^{power:.2f}")
    load = f"load of the machine at the end {os.getloadavg()[0]:.1f}"
    text = "\n\n".join(["# Ingest against the size of the catalogue", f"{machine()}; {load}", table, *growth]) + "\n"
    print(text)
    (Path(__file__).parent / "ingesting.md").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
