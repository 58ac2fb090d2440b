"""Three nodes of the embedded engine as one cluster, from one home."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from neuralshelf.engine.embedded import EmbeddedEngine
from neuralshelf.engine.instance import Instance
from neuralshelf.engine.java import Java
from neuralshelf.engine.ports import choose_port
from neuralshelf.engine.user import RunAs
from neuralshelf.settings import ClusterConfig, Folders
from tests.engine.conftest import temporary_folders

NAMES = ("n1", "n2", "n3")
_ALONE = ("node.name:", "discovery.type:", "transport.port:")


class _Member(Instance):
    """An instance that looks for the others instead of being a cluster of its own."""

    def __init__(self, folder: Path, run_as: RunAs, name: str, transports: dict[str, int]) -> None:
        super().__init__(folder, run_as)
        seeds = ", ".join(f'"127.0.0.1:{port}"' for port in transports.values())
        self._settings = (
            f"node.name: {name}",
            f"transport.port: {transports[name]}",
            f"discovery.seed_hosts: [{seeds}]",
            f"cluster.initial_cluster_manager_nodes: [{', '.join(transports)}]",
        )

    def prepare(self, home: Path, java: Java, http_port: int) -> None:
        super().prepare(home, java, http_port)
        file = self.folder / "config" / "opensearch.yml"
        kept = [line for line in file.read_text().splitlines() if not line.startswith(_ALONE)]
        file.write_text("\n".join((*kept, *self._settings)) + "\n")


class Node(EmbeddedEngine):
    """One node; `url` is its own address, `start` returns once the cluster is usable through it."""

    def __init__(self, name: str, folders: Folders, transports: dict[str, int]) -> None:
        super().__init__(ClusterConfig(java_heap="1g"), replace(folders, state=folders.state / name))
        self.name = name
        self._instance = _Member(folders.state / name / "engine", RunAs.default(), name, transports)


@contextmanager
def three_nodes() -> Iterator[tuple[Node, ...]]:
    """A cluster of three started nodes, 1 GiB of heap each; gone at the end. Takes about a minute."""
    transports: dict[str, int] = {}
    while len(set(transports.values())) < len(NAMES):
        transports = {name: choose_port(None, None) for name in NAMES}
    with temporary_folders() as folders:
        nodes = tuple(Node(name, folders, transports) for name in NAMES)
        try:
            with ThreadPoolExecutor(len(nodes)) as starters:
                list(starters.map(lambda node: node.start(lambda *_: None), nodes))
            yield nodes
        finally:
            for node in nodes:
                node.stop()
