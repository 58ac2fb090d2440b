"""The model server as a child process: started, awaited, stopped; never left behind."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from neuralshelf.engine.ports import choose_port
from neuralshelf.engine.process import end
from neuralshelf.errors import ServerError
from neuralshelf.local.state import State

START_TIMEOUT_SECONDS = 300.0
STOP_TIMEOUT_SECONDS = 35.0  # accepted requests have 30


class ModelServer:
    """One process of `neuralshelf.model_packages.server`; it ends when we do, since it reads the end of its stdin.

    The constructor starts it and returns at once; `await_ready` waits until its models are loaded.
    """

    def __init__(
        self,
        state: State,
        *,
        host: str,
        cache: Path,
        region: str,
        log: Path,
        detector: bool = False,
        visual: Path | None = None,
    ) -> None:
        self.port = choose_port(None, state.port("server"))
        self._log = log
        words = ["--host", host, "--port", str(self.port), "--region", region]
        words += ["--credentials", str(state.keys_file), "--cache", str(cache), "--exit-with-parent"]
        words += ["--detector"] if detector else []
        words += ["--visual", str(visual)] if visual else []
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "neuralshelf.model_packages.server", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        state.remember_port("server", self.port)

    def await_ready(self, tell: Callable[[str, int, int | None], None]) -> None:
        """Return once the models answer.

        Raises:
            ServerError: it ended, or took over five minutes; the message holds its last words.
        """
        waited = 0.0
        while not self._ready.wait(0.5):
            waited += 0.5
            tell("model server: load models", int(waited), None)
            if self.process.poll() is not None:
                raise ServerError(f"the model server ended: {self._last_words()}", hint=f"see {self._log}")
            if waited > START_TIMEOUT_SECONDS:
                raise ServerError(f"the model server was not ready after {waited:.0f} s", hint=f"see {self._log}")

    def stop(self) -> None:
        """End it: accepted requests are finished first."""
        end(self.process, STOP_TIMEOUT_SECONDS)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                if "port" in json.loads(line):
                    self._ready.set()
            except ValueError:
                continue

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self.process.returncode}"
