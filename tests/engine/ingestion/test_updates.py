"""Whatever way a document is written: its vectors are right afterwards, or it is refused, or coverage finds it.

Each row of the tables in docs/updates.md is done here, and told by what the models give for what is stored then.
NEURALSHELF_GOLDEN=write writes the tables anew.
"""

import base64
import json
import os
import re
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import TransportError

from neuralshelf.bulk import index_all
from neuralshelf.client import reason
from neuralshelf.ingestion.coverage.coverage import Scan, look
from neuralshelf.ingestion.coverage.repair import Repair
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.server.pictures import PictureLimits, decode
from neuralshelf.pipelines.stamps import joined
from tests.engine.ingestion.catalogues import picture, written
from tests.engine.ingestion.ways import JOINT, WAYS, Target, Way
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import Project

Json = Any
DOCS = Path(__file__).resolve().parents[3] / "docs" / "updates.md"
REASONS = {
    "version_conflict_engine_exception": "refused: it is there already",
    "strict_dynamic_mapping_exception": "refused: the index keeps no pictures",
    "nothing to embed": "refused: nothing to embed",
    "is not kept": "refused: without the picture it can't be made",
}
TOGETHER: Mapping[str, Json] = {
    "connectors": {"titan": {"kind": "bedrock-titan-multimodal", "dimension": 256}},
    "index": {
        "fields": {"title": "text", "brand": "keyword", "price": "float"},
        "vectors": {"joint_vector": {"connector": "titan", "text": ["title", "brand"], "image": "image"}},
    },
    "search": {"keyword": ["title"], "weights": {"keyword": 0.5, "joint_vector": 0.5}},
}


class Shop:
    """A deployment with one document a row."""

    def __init__(self, project: Project) -> None:
        project.apply()
        self.project, self.client = project, project.client
        deployment = project.deployment()
        self.index, self.generation = deployment.config.index, deployment.generation
        self.scan = Scan(self.client, self.index.physical_name, self.index, self.generation)
        self.pipeline = f"{self.generation}-{self.index.name}-ingest"

    def targets(self, count: int) -> list[Target]:
        """As many documents, each with a picture of its own, indexed."""
        made = []
        for number in range(count):
            pictures = [base64.b64encode(picture(number + more)).decode() for more in (0, 2000)]
            before = {"title": f"teapot {number}", "brand": "Acme", "price": 1.0, "image": pictures[0]}
            made.append(Target(self.client, self.index.name, self.pipeline, f"d{number}", before, pictures[1]))
        outcomes = index_all(self.client, self.index.name, {target.id: target.before for target in made})
        assert not [outcome for outcome in outcomes if outcome.error]
        return made

    def source(self, identity: str, index: str = "") -> dict[str, Json] | None:
        """What is stored; None for nothing."""
        found = self.client.get(index=index or self.index.name, id=identity, params={"ignore": 404})
        return dict(found["_source"]) if found.get("found") else None

    def is_right(self, source: Mapping[str, Json], image: str | None) -> bool:
        """Whether every vector is what its model gives for the stored text and that picture."""
        pixels = None if image is None else decode(base64.b64decode(image), PictureLimits())
        for name, vector in self.index.vectors.items():
            spec = self.project.deployment().config.connectors[vector.connector]
            encoder = self.project.server.text if vector.image is None else self.project.server.multimodal
            text = joined(source, vector.text) or None
            sample = Sample(text=text, image=pixels if vector.image is not None else None)
            if sample.text is None and sample.image is None:
                right = source.get(name) is None
            else:
                wanted = encoder.encode([sample], spec.dimension)[0]
                right = source.get(name) is not None and np.allclose(source[name], wanted, atol=1e-5)
            if not right:
                return False
        return True

    def calls(self, during: Callable[[], object]) -> str:
        """Which models were asked meanwhile."""
        before = self._counters()
        during()
        found = {name: count - before[name] for name, count in self._counters().items()}
        return ", ".join(f"{count} {name}" for name, count in found.items() if count) or "–"

    def _counters(self) -> dict[str, int]:
        with urllib.request.urlopen(self.project.server.local_url + "/", timeout=10) as answer:
            counters = json.load(answer)["counters"]
        return {"text": int(counters["texts"]), "picture": int(counters["images"])}

    def found(self) -> dict[str, str]:
        """Id -> what coverage finds wrong."""
        ids: dict[str, str] = {}
        look(self.scan, lambda identity, of, what: ids.update({identity: what}))
        return ids


def told(fault: str) -> str:
    """A refusal in the words of the table."""
    return next((words for pattern, words in REASONS.items() if pattern in fault), f"refused: {fault}")


def attempt(act: Callable[[], object], target: Target) -> str:
    """Do it; why it was refused, or nothing."""
    try:
        act()
    except TransportError as fault:
        return told(f"{fault.error} {reason(fault)}")
    return told(target.error) if target.error else ""


def measured(shop: Shop, ways: Sequence[Way]) -> list[list[str]]:
    """The rows of a table, each done and looked at; then coverage finds what is wrong, and repair mends it."""
    targets = shop.targets(len(ways))
    rows: list[list[str]] = []
    pictures: dict[str, str | None] = {}
    wrong: dict[str, list[str]] = {}
    for way, target in zip(ways, targets, strict=True):
        identity = target.new_id if way.new else target.id
        before = shop.source(identity)
        refused = ""

        def act(way: Way = way, target: Target = target) -> None:
            nonlocal refused
            refused = attempt(lambda: way.act(target), target)

        asked = shop.calls(act)
        after = shop.source(identity)
        row = [way.how, way.change, refused or "right", asked]
        rows.append(row)
        if refused:
            assert after == before, f"{row}: refused, and changed all the same"
            continue
        assert after is not None, row
        images = {"before": target.before["image"], "other": target.picture, "none": None}
        pictures[identity] = images[way.picture]
        if not shop.is_right(after, pictures[identity]):
            wrong[identity] = row
        assert way.change in ("nothing", "picture, the same") or after != before, row
    found = shop.found()
    assert found.keys() == wrong.keys(), "coverage finds what is wrong and nothing else"
    Repair(shop.scan).run()
    left = shop.found()
    for identity, row in wrong.items():
        row[2] = f"{found[identity]}: coverage finds it, repair mends it{' with a catalogue' * (identity in left)}"
    if left:
        mend_with_catalogue(shop, {identity: pictures[identity] for identity in left})
    assert shop.found() == {}
    for identity, image in pictures.items():
        source = shop.source(identity)
        assert source is not None
        assert shop.is_right(source, image), identity
    return rows


def mend_with_catalogue(shop: Shop, pictures: Mapping[str, str | None]) -> None:
    """`neuralshelf repair --catalogue` with rows of those documents."""
    rows = []
    for identity, image in pictures.items():
        row = {"id": identity, "title": "as the catalogue has it"}
        if image is not None:
            row["image"] = f"{identity}.jpg"
            (shop.project.folder / row["image"]).write_bytes(base64.b64decode(image))
        rows.append(row)
    shop.project.run("repair", "--catalogue", str(written(shop.project.folder / "shop.jsonl", rows)), "--json")


def compare(name: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Hold a table against docs/updates.md."""
    lines = [" | ".join(line) for line in (headers, ["---"] * len(headers), *rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    text = DOCS.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    parts = re.fullmatch(f"(.*{re.escape(begin)})(.*)({re.escape(end)}.*)", text, re.DOTALL)
    assert parts is not None, f"docs/updates.md has no table {name}"
    if os.environ.get("NEURALSHELF_GOLDEN") == "write":
        DOCS.write_text(parts[1] + table + parts[3], encoding="utf-8")
    else:
        assert parts[2] == table, f"docs/updates.md, {name}: NEURALSHELF_GOLDEN=write writes it anew"


HEADERS = ("way", "what changes", "vectors afterwards", "models are asked for")


def test_every_way_to_write_a_document(project: Project) -> None:
    compare("documents", HEADERS, measured(Shop(project), WAYS))


def test_every_way_to_write_a_document_whose_vector_is_of_text_and_picture(make_project: MakeProject) -> None:
    compare("together", HEADERS, measured(Shop(make_project(TOGETHER)), JOINT))
