"""The folder of one engine instance: its configuration, data and logs, its port, and who holds it."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import IO, Any

from neuralshelf.engine.java import Java
from neuralshelf.engine.jvm_options import for_instance
from neuralshelf.engine.locks import try_lock
from neuralshelf.engine.user import RunAs
from neuralshelf.errors import EngineError

STRAY_PATIENCE_SECONDS = 20.0
_SETTINGS = """\
# Written at each start; changes here are lost.
cluster.name: neuralshelf
node.name: local
discovery.type: single-node
network.host: 127.0.0.1
http.port: {http_port}
transport.port: 0
path.data: {folder}/data
path.logs: {folder}/logs
path.repo: {folder}/snapshots
# Free space instead of shares: a laptop's disk that is 95 % full is no reason to refuse writes.
cluster.routing.allocation.disk.watermark.low: 500mb
cluster.routing.allocation.disk.watermark.high: 300mb
cluster.routing.allocation.disk.watermark.flood_stage: 100mb
"""


class Instance:
    """One instance; `hold` it before anything else.

    Two locks tell who is at it. The engine's is inherited by the JVM and held as long as that lives; the owner's is
    held by the process that started it. A JVM whose owner has died (where the kernel did not end it too) is a stray.
    """

    def __init__(self, folder: Path, run_as: RunAs) -> None:
        self.folder = folder
        self._run_as = run_as
        self._locks: list[IO[bytes]] = []

    @property
    def log(self) -> Path:
        """What the JVM prints."""
        return self.folder / "console.log"

    @property
    def http_port(self) -> int | None:
        """The port of the last run."""
        found = self._record().get("http_port")
        return found if isinstance(found, int) else None

    def hold(self) -> None:
        """Take the folder, ending a stray JVM that is still at it.

        Raises:
            EngineError: another living process holds it.
        """
        owner = try_lock(self.folder / "owner.lock")
        if owner is None:
            raise EngineError(
                f"{self.folder} is in use by process {self._record().get('owner', '?')}",
                hint="stop that one (neuralshelf down), or set NEURALSHELF_STATE to another folder",
            )
        self._locks.append(owner)
        engine = try_lock(self.folder / "engine.lock") or self._end_stray()
        self._locks.append(engine)
        self._write(owner=os.getpid(), engine=None)

    @property
    def engine_lock(self) -> int:
        """File descriptor for the JVM to inherit."""
        return self._locks[1].fileno()

    def release(self) -> None:
        """Let go of the folder; the JVM, if it lives, goes on holding its own lock."""
        while self._locks:
            self._locks.pop().close()

    def prepare(self, home: Path, java: Java, http_port: int) -> None:
        """Write this run's configuration; data and logs of earlier runs stay.

        The folder itself stays ours and only its parts become the engine's user's, so that a link put there by a broken
        engine can't lead root astray.
        """
        config = self.folder / "config"
        shutil.rmtree(config, ignore_errors=True)
        shutil.copytree(home / "config", config)
        (config / "opensearch.yml").write_text(_SETTINGS.format(http_port=http_port, folder=self.folder))
        options = (home / "config" / "jvm.options").read_text(encoding="utf-8")
        options = for_instance(options, home=home, folder=self.folder, vector=java.vector)
        (config / "jvm.options").write_text(options, encoding="utf-8")
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        for name in ("data", "logs", "snapshots", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        for name in ("config", "data", "logs", "snapshots", "tmp"):
            self._run_as.own(self.folder / name)
            (self.folder / name).chmod(0o700)

    def remember(self, *, http_port: int, engine: int) -> None:
        """Keep the port for the next run and the JVM's pid for whoever finds a stray."""
        self._write(http_port=http_port, engine=engine)

    def _end_stray(self) -> IO[bytes]:
        pid = self._record().get("engine")
        for number, patience in ((signal.SIGTERM, STRAY_PATIENCE_SECONDS), (signal.SIGKILL, 5.0)):
            # The lock is held, so the JVM that wrote this pid lives: it can't have passed to another process.
            if isinstance(pid, int):
                os.kill(pid, number)
            deadline = time.monotonic() + (patience if pid else 1.0)
            while time.monotonic() < deadline:
                if (file := try_lock(self.folder / "engine.lock")) is not None:
                    return file
                time.sleep(0.1)
        self.release()
        raise EngineError(
            f"{self.folder} is held by a stray OpenSearch (process {pid or '?'})", hint="end that process"
        )

    def _record(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / "instance.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, **changes: int | None) -> None:
        unfinished = self.folder / "instance.json.new"
        unfinished.write_text(json.dumps(self._record() | changes), encoding="utf-8")
        unfinished.replace(self.folder / "instance.json")
