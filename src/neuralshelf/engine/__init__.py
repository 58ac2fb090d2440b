"""Where an OpenSearch comes from: a URL, a container, or this machine."""

from neuralshelf.engine.base import Engine, EngineStatus, Progress
from neuralshelf.settings import ClusterConfig, Folders

__all__ = ["Engine", "EngineStatus", "Progress", "open_engine"]


def open_engine(cluster: ClusterConfig, folders: Folders) -> Engine:
    """The engine that `cluster.provider` names; nothing is started or fetched yet."""
    if cluster.provider == "url":
        from neuralshelf.engine.remote import RemoteEngine

        return RemoteEngine(cluster)
    if cluster.provider == "container":
        from neuralshelf.engine.container import ContainerEngine

        return ContainerEngine(cluster, folders)
    from neuralshelf.engine.embedded import EmbeddedEngine

    return EmbeddedEngine(cluster, folders)
