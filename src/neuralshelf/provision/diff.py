"""What differs between two JSON values, path by path, in words fit to be shown."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

SHOWN = 100
_PRIVATE = re.compile(r"credential|authorization|secret|password|token|api[-_]?key", re.IGNORECASE)


@dataclass(frozen=True)
class Difference:
    """One place where two values differ.

    Attributes:
        path: such as `processors[2].text_embedding.model_id`.
        wanted, live: what stands there, as short JSON; None where nothing does.
    """

    path: str
    wanted: str | None
    live: str | None

    def __str__(self) -> str:
        return f"{self.path}: {self.live or 'absent'} → {self.wanted or 'absent'}"


def differences(wanted: Any, live: Any) -> tuple[Difference, ...]:
    """All places where `live` is not what is `wanted`. Values whose name speaks of a secret are not shown."""
    return tuple(_walk(wanted, live, ""))


def _walk(wanted: Any, live: Any, path: str) -> Iterator[Difference]:
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key in sorted({*wanted, *live}):
            inner = f"{path}.{key}" if path else str(key)
            if key not in live:
                yield Difference(inner, _shown(wanted[key], inner), None)
            elif key not in wanted:
                yield Difference(inner, None, _shown(live[key], inner))
            else:
                yield from _walk(wanted[key], live[key], inner)
    elif isinstance(wanted, list) and isinstance(live, list):
        yield from _lists(wanted, live, path)
    elif wanted != live or isinstance(wanted, bool) != isinstance(live, bool):
        texts = _excerpts(wanted, live) if isinstance(wanted, str) and isinstance(live, str) else (wanted, live)
        yield Difference(path, _shown(texts[0], path), _shown(texts[1], path))


def _lists(wanted: Sequence[Any], live: Sequence[Any], path: str) -> Iterator[Difference]:
    """An item put in or taken out is one difference, not one for each item after it."""
    before, after = ([json.dumps(item, sort_keys=True) for item in side] for side in (live, wanted))
    for word, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if word == "equal":
            continue
        common = min(b - a, d - c)
        for offset in range(common):
            yield from _walk(wanted[c + offset], live[a + offset], f"{path}[{c + offset}]")
        for at in range(a + common, b):
            yield Difference(f"{path}[{at}]", None, _shown(live[at], path))
        for at in range(c + common, d):
            yield Difference(f"{path}[{at}]", _shown(wanted[at], path), None)


def _excerpts(wanted: str, live: str) -> tuple[str, str]:
    """Both texts, long ones from a little before the first character that differs."""
    if max(len(wanted), len(live)) <= SHOWN:
        return wanted, live
    first = next((at for at, (a, b) in enumerate(zip(wanted, live, strict=False)) if a != b), None)
    start = max(0, (min(len(wanted), len(live)) if first is None else first) - 20)
    lead = "…" if start else ""
    return lead + wanted[start:], lead + live[start:]


def _shown(value: Any, path: str) -> str:
    if _PRIVATE.search(path):
        return "(hidden)"
    text = json.dumps(_hidden(value), ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _hidden(value: Any) -> Any:
    """A copy without the values of keys that speak of a secret."""
    if isinstance(value, Mapping):
        return {key: "(hidden)" if _PRIVATE.search(str(key)) else _hidden(item) for key, item in value.items()}
    return [_hidden(item) for item in value] if isinstance(value, list) else value
