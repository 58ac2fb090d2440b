"""The examples of the project in a folder of their own, with a part of the sample catalogue, on one engine and one
model server for all."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuralshelf.engine import Engine
from neuralshelf.model_packages.lite import LiteEncoder
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.model_packages.ranker.contract import Contract
from neuralshelf.model_packages.ranker.ranking import Ranker, Taste
from neuralshelf.model_packages.ranker.store import Interactions
from neuralshelf.settings import Folders
from tests.engine.conftest import ServeModels

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("wine glass", "teapot", "sofa", "rocking chair", "park bench", "padlock", "chair", "coffee mug")
ENVIRONMENT = "test"
TIMEOUT_SECONDS = 500
KEYS = ("EXAMPLE_ACCESS_KEY", "EXAMPLE_SECRET_KEY")


@dataclass
class Shelf:
    """A checkout's examples and samples, cut down to a few kinds of products."""

    folder: Path
    environ: dict[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def run(self, verb: str, *words: str, example: str | None = None, code: int = 0) -> str:
        """A verb from beginning to end, on an example's configuration or on the checkout's; its stdout, or its stderr
        when it is to fail."""
        place = self.folder / "examples" / example if example else self.folder
        state = {"NEURALSHELF_STATE": str(self.folder / "state" / (example or (words[0] if words else "none")))}
        where = ["--config", str(place / "neuralshelf.yaml"), "-e", ENVIRONMENT]
        ran = subprocess.run(
            [sys.executable, "-m", "neuralshelf", verb, *where, *words],
            env=os.environ | state | self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        assert ran.returncode == code, f"{verb} {words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        said: str = ran.stdout if code in (0, 3) else ran.stderr
        return said

    def example(self, name: str, **options: Any) -> dict[str, Any]:
        """What an example finds."""
        found: dict[str, Any] = json.loads(self.run("example", name, "--once", "--json", **options))
        return found


@pytest.fixture(scope="package")
def shelf(engine: Engine, serve_models: ServeModels) -> Iterator[Shelf]:
    """All examples, ready to run; what they made is taken away at the end."""
    folder = Path(tempfile.mkdtemp(prefix="neuralshelf-examples-"))
    folder.chmod(0o755)
    store = Interactions(folder / "state" / "titan-clusters" / "interactions.db")
    ranker = Contract(Ranker(store, Taste(refresh=0)))
    served = serve_models(LiteEncoder.load(Folders.default(ROOT).cache), MiniLmEncoder.load(), ranker=ranker)
    made = Shelf(folder, dict(zip(KEYS, (served.access_key, served.secret_key), strict=True)))
    try:
        shutil.copytree(ROOT / "examples", folder / "examples")
        shutil.copy(ROOT / "neuralshelf.yaml", folder)
        made.rows = _samples(folder / "samples")
        environment = {
            "name": ENVIRONMENT,
            "cluster": {"provider": "url", "url": engine.url},
            "runtime": {
                "provider": "local",
                "region": served.region,
                "url": served.url,
                "access_key": {"env": KEYS[0]},
                "secret_key": {"env": KEYS[1]},
            },
        }
        for place in (folder / "examples").glob("*/environments"):
            (place / f"{ENVIRONMENT}.yaml").write_text(yaml.safe_dump(environment), encoding="utf-8")
        yield made
        for place in (folder / "examples").iterdir():
            made.run("destroy", "--yes", example=place.name)
    finally:
        store.close()
        shutil.rmtree(folder, ignore_errors=True)


def _samples(folder: Path) -> list[dict[str, Any]]:
    """The products of KINDS, with their pictures and views."""
    lines = {
        name: [json.loads(line) for line in (ROOT / "samples" / name).read_text("utf-8").splitlines()]
        for name in ("catalogue.jsonl", "views.jsonl")
    }
    rows = [row for row in lines["catalogue.jsonl"] if row["kind"] in KINDS]
    chosen = {row["id"] for row in rows}
    (folder / "images").mkdir(parents=True)
    for name, found in lines.items():
        kept = [row for row in found if row["id"] in chosen]
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        for row in kept:
            shutil.copy(ROOT / "samples" / row["image"], folder / "images")
    return rows
