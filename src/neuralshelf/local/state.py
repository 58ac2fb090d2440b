"""The files of one stack in its state folder: what runs, on which ports, with which keys, showing which pictures."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from neuralshelf.engine.locks import try_lock


@dataclass(frozen=True)
class Running:
    """A stack that is up.

    Attributes:
        pid: of the supervisor.
        engine_url: base URL of OpenSearch.
        server_url: base URL of the model server as this machine sees it; None when the models run on AWS.
        runtime_url: the same as OpenSearch sees it (another host name when that runs in a container).
        page_url: address of the search page.
    """

    pid: int
    engine_url: str
    server_url: str | None
    runtime_url: str | None
    page_url: str


class State:
    """The state folder of one deployment on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def running(self) -> Running | None:
        """The stack that is up, or None. A record left by a killed supervisor counts as none."""
        found = self._read("stack.json")
        if not found or not self._locked():
            return None
        return Running(**found)

    def lock(self) -> IO[bytes] | None:
        """The lock that a supervisor holds for life; None: held already."""
        return try_lock(self.folder / "lock")

    def _locked(self) -> bool:
        held = self.lock()
        if held is None:
            return True
        held.close()
        return False

    def set_running(self, running: Running | None) -> None:
        """Record that the stack is up, or forget it."""
        if running is None:
            (self.folder / "stack.json").unlink(missing_ok=True)
        else:
            self._write("stack.json", asdict(running))

    def port(self, service: str) -> int | None:
        """The port `service` used last."""
        found = self._read("ports.json").get(service)
        return int(found) if found else None

    def remember_port(self, service: str, port: int) -> None:
        """Keep the port of `service` for the next run."""
        self._write("ports.json", self._read("ports.json") | {service: port})

    def keys(self) -> tuple[str, str]:
        """Access key and secret key that this stack's model server accepts; made once, kept with mode 0600."""
        found = self._read("keys.json")
        if not found:
            found = {"AKIA" + secrets.token_hex(8).upper(): secrets.token_urlsafe(30)}
            self._write("keys.json", found)
        return next(iter(found.items()))

    @property
    def keys_file(self) -> Path:
        """JSON file of access key -> secret key."""
        self.keys()
        return self.folder / "keys.json"

    @property
    def interactions(self) -> Path:
        """Who did what with which item: what the local ranker goes by."""
        return self.folder / "interactions.db"

    def picture_folders(self) -> dict[str, Path]:
        """Catalogue key -> folder, for the pictures that the page shows."""
        return {key: Path(folder) for key, folder in self._read("pictures.json").items()}

    def add_picture_folder(self, key: str, folder: Path) -> None:
        """Let the page show the pictures below `folder` as `key/…`."""
        self._write("pictures.json", self._read("pictures.json") | {key: str(folder.resolve())})

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{name}-")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self.folder / name)
