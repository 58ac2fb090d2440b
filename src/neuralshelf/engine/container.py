"""OpenSearch in a container, by testcontainers."""

import hashlib
import os
from typing import IO, Any

from neuralshelf.client import connect
from neuralshelf.engine.base import EngineStatus, Progress
from neuralshelf.engine.jvm_options import from_environment
from neuralshelf.engine.locks import try_lock
from neuralshelf.engine.process import telling_line
from neuralshelf.engine.ready import await_ready
from neuralshelf.engine.status import observe
from neuralshelf.errors import EngineError, MissingDependencyError, one_line
from neuralshelf.settings import ClusterConfig, Folders

IMAGE_VARIABLE = "OPENSEARCH_IMAGE"
DEFAULT_IMAGE = "opensearchproject/opensearch:3.6.0"
STOP_SECONDS = 20
_HTTP = 9200
_DATA = "/usr/share/opensearch/data"


class ContainerEngine:
    """The provider `container`; data lives in a volume of its own, one a state folder."""

    provider = "container"
    host_address = "host.docker.internal"

    def __init__(self, cluster: ClusterConfig, folders: Folders) -> None:
        self._cluster = cluster
        self._lock_file = folders.state / "engine" / "container.lock"
        self.image = os.environ.get(IMAGE_VARIABLE) or DEFAULT_IMAGE
        self.volume = "neuralshelf-" + hashlib.sha256(str(folders.state.resolve()).encode()).hexdigest()[:12]
        self.url = ""
        self._container: Any = None
        self._lock: IO[bytes] | None = None

    def start(self, progress: Progress) -> None:
        """Pull the image if needed, run it, wait until it is usable.

        Raises:
            EngineError: docker, the image or OpenSearch does not start.
            MissingDependencyError: the extra `container` is not installed.
        """
        if self._container is not None:
            return
        try:
            from docker.errors import DockerException  # type: ignore[import-untyped]
            from requests.exceptions import RequestException
        except ImportError:
            raise MissingDependencyError(
                "the container engine needs testcontainers", hint="pip install 'neuralshelf[container]'"
            ) from None
        self._lock = try_lock(self._lock_file)
        if self._lock is None:
            raise EngineError(
                f"{self._lock_file.parent} is in use by another process",
                hint="stop that one (neuralshelf down), or set NEURALSHELF_STATE to another folder",
            )
        try:
            progress(f"engine: start container {self.image}", 0, 1)
            self._end_strays()
            self._container = self._new_container()
            self._container.start()
            host, port = self._container.get_container_host_ip(), self._container.get_exposed_port(_HTTP)
            self.url = f"http://{host}:{port}"
            progress(f"engine: start container {self.image}", 1, 1)
            await_ready(connect(self._cluster, self.url), self.url, progress, alive=self.check)
        except (DockerException, RequestException) as fault:
            self.stop()
            raise EngineError(
                f"the container of {self.image} can't be started: {one_line(str(fault), 300)}",
                hint=f"see that docker runs (docker info) and that it has the image; {IMAGE_VARIABLE} names another",
            ) from None
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Return while the container runs.

        Raises:
            EngineError: it has ended, with the telling line of its log.
        """
        from docker.errors import DockerException

        if self._container is None:
            raise EngineError("OpenSearch is not started", hint="neuralshelf up")
        try:
            wrapped = self._container.get_wrapped_container()
            wrapped.reload()
            if wrapped.status in ("created", "running"):
                return
            words = telling_line(wrapped.logs(tail=400).decode(errors="replace")) or "it said nothing"
        except DockerException as fault:
            words = one_line(str(fault), 300)
        raise EngineError(f"the container of {self.image} has ended: {words}", hint="neuralshelf up")

    def status(self) -> EngineStatus:
        """How it is now; never raises."""
        return observe(self._cluster, self.provider, self.url)

    def stop(self) -> None:
        """End and remove the container; its volume stays."""
        if self._container is None and self._lock is None:
            return
        from docker.errors import DockerException

        container, self._container = self._container, None
        try:
            if container is not None and container.get_wrapped_container() is not None:
                container.get_wrapped_container().stop(timeout=STOP_SECONDS)
                container.stop(delete_volume=False)
        except DockerException:  # gone already, or docker is: nothing of ours is left to end
            pass
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def remove_data(self) -> None:
        """Remove the volume of a stopped engine, and what a killed tool left of it.

        Raises:
            EngineError: docker can't be reached, or the volume is in use.
        """
        import docker  # type: ignore[import-untyped]
        from docker.errors import DockerException, NotFound

        try:
            self._end_strays()
            client = docker.from_env()
            try:
                client.volumes.get(self.volume).remove()
            except NotFound:
                pass
            finally:
                client.close()
        except DockerException as fault:
            problem = f"the volume {self.volume} can't be removed: {one_line(str(fault), 200)}"
            raise EngineError(problem, hint=f"docker volume rm {self.volume}") from None

    def _new_container(self) -> Any:
        # Not testcontainers' own class for OpenSearch: it waits by a deprecated decorator, for green, which data of
        # another cluster size may never reach; ours asks for more.
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(self.image).with_exposed_ports(_HTTP)
        container.with_env("discovery.type", "single-node")
        container.with_env("DISABLE_SECURITY_PLUGIN", "true")
        container.with_env("OPENSEARCH_JAVA_OPTS", from_environment(self._cluster.java_heap))
        container.with_env("DISABLE_INSTALL_DEMO_CONFIG", "true")
        container.with_env("cluster.routing.allocation.disk.threshold_enabled", "false")
        container.with_volume_mapping(self.volume, _DATA, "rw")
        container.with_kwargs(extra_hosts={"host.docker.internal": "host-gateway"}, labels={"neuralshelf": self.volume})
        if self._cluster.http_port is not None:
            container.with_bind_ports(_HTTP, self._cluster.http_port)
        return container

    def _end_strays(self) -> None:
        """Remove what a killed tool left; we hold the lock, so nobody uses it."""
        import docker

        client = docker.from_env()
        try:
            for left in client.containers.list(all=True, filters={"label": f"neuralshelf={self.volume}"}):
                left.remove(force=True)
        finally:
            client.close()
