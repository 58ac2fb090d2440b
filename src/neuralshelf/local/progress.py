"""Progress of several things at once, on stderr: bars on a terminal, one line per finished step elsewhere."""

import sys
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm


class Progress:
    """Bars by name; `update` is called with absolute figures."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._bars: dict[str, tqdm[Any]] = {}
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in self._bars.values():
            bar.close()

    def update(self, step: str, done: int, total: int | None) -> None:
        """`done` of `total` units of `step`; without a total, the seconds that it has taken."""
        finished = total is not None and done >= total
        if not self._terminal:
            if step not in self._said:
                self._said.add(step)
                print(f"neuralshelf: {step}", file=sys.stderr, flush=True)
            return
        bar = self._bars.get(step)
        if bar is None:
            shape = "{desc}: {n_fmt} s" if total is None else "{desc}" if total == 1 else None
            bar = self._bars[step] = tqdm(
                total=total,
                desc=step,
                unit_scale=True,
                bar_format=shape,
                unit="",
                file=sys.stderr,
                position=len(self._bars),
            )
        bar.total = total
        bar.update(done - bar.n)
        if finished:
            bar.refresh()
