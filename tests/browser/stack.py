"""A stack of the project's own under the page: OpenSearch, its pipelines, the lite model and the local ranker."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
KINDS = {
    *("teapot", "wine glass", "sofa", "umbrella", "park bench"),
    *("plant pot", "birdhouse", "drum", "acoustic guitar"),
}
PEOPLE = ("gardener", "musician", "host")
MARKUP = "<img src=x onerror=\"document.title='owned'\">"
"""Somebody else whom the page offers."""


def rows() -> list[dict[str, Any]]:
    """The sample products of KINDS."""
    lines = (SAMPLES / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] in KINDS]


@dataclass(frozen=True)
class PageStack:
    """A page that is up; what is below it is known where it was started here.

    Attributes:
        folder: of its configuration, with its state in `state/`.
    """

    url: str
    folder: Path

    def run(self, *words: str) -> str:
        """A verb, which must succeed; its stdout."""
        command = [sys.executable, "-m", "neuralshelf", *words]
        environment = os.environ | {"NEURALSHELF_STATE": str(self.folder / "state")}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def interactions(self, user: str) -> list[tuple[str, str]]:
        """Event and item of all that the ranker keeps of somebody."""
        with closing(sqlite3.connect(self.folder / "state" / "interactions.db")) as store:
            return store.execute("SELECT event, item FROM interactions WHERE user = ? ORDER BY at", (user,)).fetchall()

    @contextmanager
    def ranker_broken(self) -> Iterator[None]:
        """It answers everything with an error meanwhile: it doesn't find its table."""
        with closing(sqlite3.connect(self.folder / "state" / "interactions.db", isolation_level=None)) as store:
            store.execute("ALTER TABLE interactions RENAME TO elsewhere")
            try:
                yield
            finally:
                store.execute("ALTER TABLE elsewhere RENAME TO interactions")


def make_folder(folder: Path, engine_url: str) -> None:
    """Configuration and catalogue: the sample shop, ranked by the kind of product, on an engine with an address."""
    folder.chmod(0o755)  # the engine runs as another user when this one is root
    local = yaml.safe_load((ROOT / "environments" / "local.yaml").read_text("utf-8"))
    local["cluster"] = {"provider": "url", "url": engine_url}
    (folder / "environments").mkdir()
    (folder / "environments" / "local.yaml").write_text(yaml.safe_dump(local), "utf-8")
    shop = yaml.safe_load((ROOT / "neuralshelf.yaml").read_text("utf-8"))
    shop["ranking"] = {"item": "kind", "people": [*PEOPLE, MARKUP], "client": {"read_timeout": 10}}
    (folder / "neuralshelf.yaml").write_text(yaml.safe_dump(shop, sort_keys=False), "utf-8")
    (folder / "images").mkdir()
    for row in rows():
        shutil.copy(SAMPLES / row["image"], folder / "images")
    (folder / "catalogue.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    shutil.copy(SAMPLES / "interactions.jsonl", folder)
