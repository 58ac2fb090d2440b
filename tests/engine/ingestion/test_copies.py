"""Whole indexes copied: by `_reindex`, with and without the pipeline, into the next generation; by a snapshot.

The table in docs/updates.md is made here; NEURALSHELF_GOLDEN=write writes it anew.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.ingestion.coverage.coverage import Scan, look
from neuralshelf.ingestion.coverage.repair import Repair
from tests.engine.fixtures import empty
from tests.engine.ingestion.test_updates import DOCS, Shop, compare, mend_with_catalogue, told
from tests.engine.provision.deployment import Project

Json = Any
VECTORS = ["text_vector", "image_vector"]
SNAPSHOT = "snapshot and restore"
HEADERS = ("way", "documents with a picture", "documents without", "models are asked for")


class Copies:
    """A shop of three documents with and three without a picture, and indexes that they are copied to."""

    def __init__(self, project: Project) -> None:
        self.shop = Shop(project)
        self.client, self.index = self.shop.client, self.shop.index
        self.source = self.index.physical_name
        targets = self.shop.targets(6)
        self.pictures: dict[str, str | None] = {target.id: target.before["image"] for target in targets[:3]}
        for target in targets[3:]:
            target.put({"image": None})
            self.pictures[target.id] = None
        self.rows: list[list[str]] = []

    @contextmanager
    def copy(self) -> Iterator[str]:
        """An empty index of the same settings and mapping."""
        live = self.client.indices.get(index=self.source)[self.source]
        settings = {key: live["settings"]["index"][key] for key in ("knn", "default_pipeline")}
        name = f"{self.index.name}-copy"
        self.client.indices.create(index=name, body={"settings": {"index": settings}, "mappings": live["mappings"]})
        try:
            yield name
        finally:
            self.client.indices.delete(index=name)

    def reindex(self, target: str, *, without: list[str] | None = None, pipeline: str | None = None) -> None:
        """`_reindex` of everything."""
        self.client.indices.refresh(index=self.source)
        source: Json = {"index": self.source, "size": 1}  # one by one: a refused document stops it
        if without:
            source["_source"] = {"excludes": without}
        destination: Json = {"index": target}
        if pipeline:
            destination["pipeline"] = pipeline
        self.client.reindex(body={"source": source, "dest": destination}, params={"refresh": "true"})

    def row(self, way: str, scan: Scan, act: Callable[[], object], *, mend: bool = True) -> None:
        """Do it, look at what is in the index of `scan` then, mend it and look again."""
        refused = ""

        def tried() -> None:
            nonlocal refused
            try:
                act()
            except TransportError as fault:
                refused = told(f"{fault.error} {reason(fault)}{fault.info}")

        asked = self.shop.calls(tried)
        found: dict[str, str] = {}
        look(scan, lambda identity, of, what: found.setdefault(identity, what))
        words = [self.state(scan, found, refused, pictured=pictured) for pictured in (True, False)]
        self.rows.append([way, *words, asked])
        if not refused and mend:
            Repair(scan).run()
            look(scan, lambda identity, of, what: pytest.fail(f"{way}: {identity} stays {what}"))

    def state(self, scan: Scan, found: Mapping[str, str], refused: str, *, pictured: bool) -> str:
        """What became of the documents with (without) a picture; all of a kind fare alike."""
        states = set()
        for identity, image in self.pictures.items():
            if (image is not None) is not pictured:
                continue
            source = self.shop.source(identity, scan.name)
            if source is None:
                states.add(refused)
                assert refused, f"{identity} is not in {scan.name}"
            elif identity in found:
                states.add(f"{found[identity]}: coverage finds it")
            elif self.shop.is_right(source, image):
                states.add("right")
            else:
                assert self.shop.is_right(source, None), f"{identity} is wrong, and nobody finds it"
                states.add("without the picture's vector: coverage --catalogue finds it")
        (state,) = states
        return state


@pytest.fixture
def copies(project: Project) -> Copies:
    return Copies(project)


def has_repository(client: OpenSearch) -> bool:
    """Whether the engine may write snapshots to a folder."""
    nodes = client.nodes.info(metric="settings", flat_settings=True)["nodes"].values()
    return all(any(key.startswith("path.repo") for key in node["settings"]) for node in nodes)


def test_every_way_to_copy_an_index(copies: Copies) -> None:
    shop, client = copies.shop, copies.client

    def of(name: str) -> Scan:
        return Scan(client, name, copies.index, shop.generation)

    with copies.copy() as name:
        copies.row("`_reindex`, same mapping and pipeline", of(name), lambda: copies.reindex(name))
    with copies.copy() as name:
        copies.row("`_reindex`, `pipeline: _none`", of(name), lambda: copies.reindex(name, pipeline="_none"))
    with copies.copy() as name:
        act = lambda: copies.reindex(name, without=VECTORS)  # noqa: E731
        copies.row("`_reindex` without the vectors", of(name), act, mend=False)
    if has_repository(client):
        copies.row(SNAPSHOT, shop.scan, lambda: snapshot_and_restore(client, copies.source))
    else:  # an engine of somebody else's: what was measured on our own stands
        (line,) = [line for line in DOCS.read_text("utf-8").splitlines() if SNAPSHOT in line]
        copies.rows.append([cell.strip() for cell in line.strip("|").split("|")])

    shop.project.edit("index.version", 2)
    shop.project.apply()
    deployment = shop.project.deployment()
    next_index = deployment.config.index
    scan = Scan(client, next_index.physical_name, next_index, deployment.generation)

    def emptied() -> Scan:
        empty(client, scan.name)
        return scan

    copies.row("`_reindex` into the next generation", emptied(), lambda: copies.reindex(scan.name))
    act = lambda: copies.reindex(scan.name, without=["image_vector*"])  # noqa: E731
    copies.row("the same without `image_vector*`", emptied(), act)
    act = lambda: copies.reindex(scan.name, pipeline="_none")  # noqa: E731
    copies.row("the same, `pipeline: _none`", emptied(), act, mend=False)
    shop.scan = scan
    mend_with_catalogue(shop, copies.pictures)
    assert shop.found() == {}
    compare("indexes", HEADERS, copies.rows)


def snapshot_and_restore(client: OpenSearch, index: str) -> None:
    """Through a repository of files, the index deleted in between."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.snapshot.create_repository(repository=name, body={"type": "fs", "settings": {"location": name}})
    try:
        wait = {"wait_for_completion": "true"}
        body = {"indices": index, "include_global_state": False}
        client.snapshot.create(repository=name, snapshot="one", body=body, params=wait)
        client.indices.delete(index=index)
        client.snapshot.restore(repository=name, snapshot="one", body=body, params=wait)
        client.snapshot.delete(repository=name, snapshot="one")
    finally:
        client.snapshot.delete_repository(repository=name)
