"""How much memory processes take while something else is measured."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

KINDS = ("Pss_Anon", "Pss_Shmem", "Pss_File")


def memory(processes: Iterable[int]) -> dict[str, int]:
    """Bytes by kind, pages shared between processes counted once; zeros where the kernel does not tell (not Linux).

    `Pss_Anon` and `Pss_Shmem` must be there; `Pss_File` are mapped pages of files, which the kernel can take back.
    """
    found = dict.fromkeys(KINDS, 0)
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:  # it has ended, or is another user's
            continue
        for line in lines:
            kind, _, amount = line.partition(":")
            if kind in found:
                found[kind] += 1024 * int(amount.split()[0])
    return found


class Watch:
    """Calls `look` every `seconds` while its block runs and keeps the greatest of each figure in `peaks`."""

    def __init__(self, look: Callable[[], dict[str, int]], seconds: float = 1.0) -> None:
        self.peaks: dict[str, int] = {}
        self._look, self._seconds = look, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            for name, value in self._look().items():
                self.peaks[name] = max(value, self.peaks.get(name, 0))
            if self._over.wait(self._seconds):
                return
