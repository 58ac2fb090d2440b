"""OpenSearch on this machine: official files, a Java runtime found here, a folder of our own, a life tied to ours."""

import os
import signal
from pathlib import Path

from neuralshelf.client import connect
from neuralshelf.engine.base import EngineStatus, Progress
from neuralshelf.engine.fetch import require_space
from neuralshelf.engine.home import HomeCache
from neuralshelf.engine.instance import Instance
from neuralshelf.engine.java import Java, find_java
from neuralshelf.engine.jvm_options import from_environment
from neuralshelf.engine.ports import choose_port
from neuralshelf.engine.process import Child
from neuralshelf.engine.ready import await_ready
from neuralshelf.engine.status import observe
from neuralshelf.engine.user import RunAs, make_readable
from neuralshelf.errors import EngineError
from neuralshelf.settings import ClusterConfig, Folders

STOP_SECONDS = 20.0
DATA_BYTES = 500_000_000


class EmbeddedEngine:
    """The default engine."""

    provider = "embedded"
    host_address = "127.0.0.1"

    def __init__(self, cluster: ClusterConfig, folders: Folders) -> None:
        self._cluster = cluster
        self._folders = folders
        self._run_as = RunAs.default()
        self._instance = Instance(folders.state / "engine", self._run_as)
        self._child: Child | None = None
        self.url = ""

    def start(self, progress: Progress) -> None:
        """Fetch and assemble what is missing, start the JVM, wait until it is usable.

        Raises:
            EngineError: files, disk, ports, folders, or OpenSearch's own last words.
            MissingDependencyError: no Java runtime, or the extra `local` is not installed.
        """
        if self._child is not None:
            return
        try:
            self._make_folders()
            self._instance.hold()
            port = choose_port(self._cluster.http_port, self._instance.http_port)
            progress("engine: find Java", 0, 1)
            java = find_java(self._folders.cache, self._run_as)
            progress("engine: find Java", 1, 1)
            home = HomeCache(self._folders.cache).home(progress, icu=not java.thai)
            require_space(self._folders.state, DATA_BYTES, "the engine's data")
            self._instance.prepare(home, java, port)
            self.url = f"http://127.0.0.1:{port}"
            self._launch(home, java)
            self._instance.remember(http_port=port, engine=self._pid())
            await_ready(connect(self._cluster, self.url), self.url, progress, alive=self.check)
        except OSError as fault:
            self.stop()
            raise EngineError(f"OpenSearch can't be started: {fault}", hint=f"mend {self._instance.folder}") from None
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Return while the JVM lives.

        Raises:
            EngineError: it has ended, with the telling line of its log.
        """
        if self._child is None:
            raise EngineError("OpenSearch is not started", hint="neuralshelf up")
        status = self._child.status
        if status is not None:
            words = self._child.last_words() or "it said nothing"
            hint = f"see {self._instance.log}"
            if status == -signal.SIGKILL:  # no last words about it: the kernel does this to the biggest process
                hint = f"the machine may be out of memory: lower java_heap; {hint}"
            raise EngineError(f"OpenSearch ended with status {status}: {words}", hint=hint)

    def status(self) -> EngineStatus:
        """How it is now; never raises."""
        return observe(self._cluster, self.provider, self.url, pid=self._pid() if self._child else None)

    def stop(self) -> None:
        """End the JVM in good order; its data stays."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(STOP_SECONDS)
        self._instance.release()

    def _make_folders(self) -> None:
        for folder, variable in (
            (self._folders.cache, "NEURALSHELF_CACHE"),
            (self._instance.folder, "NEURALSHELF_STATE"),
        ):
            make_readable(folder)
            self._run_as.require_reach(folder, variable)

    def _pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def _launch(self, home: Path, java: Java) -> None:
        folder = self._instance.folder
        # Nothing else of our environment: it may hold keys, and Java options meant for other programs.
        env = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
        env |= {
            "HOME": str(folder / "tmp"),
            "OPENSEARCH_JAVA_HOME": str(java.home),
            "OPENSEARCH_PATH_CONF": str(folder / "config"),
            "OPENSEARCH_TMPDIR": str(folder / "tmp"),
            "OPENSEARCH_JAVA_OPTS": from_environment(self._cluster.java_heap),
        }
        self._child = Child(
            [str(home / "bin" / "opensearch")],
            env=env,
            cwd=folder,
            log=self._instance.log,
            run_as=self._run_as,
            keep=self._instance.engine_lock,
        )
