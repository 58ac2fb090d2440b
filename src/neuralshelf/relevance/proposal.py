"""A change of `search:` in neuralshelf.yaml as text, comments and layout as they are, to be read before it is taken."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from neuralshelf.errors import ConfigError
from neuralshelf.pipelines.spec import SearchSpec

_SCALARS = ("normalization", "combination", "rank_constant")
_HINT = "write it into the file by hand"


@dataclass(frozen=True)
class _Edit:
    """Replace the characters from `start` to `end`."""

    start: int
    end: int
    text: str


def changed(text: str, before: SearchSpec, after: SearchSpec) -> str:
    """The configuration with `after` in place of `before`; what they have in common stays as it is written.

    Of the keyword fields, boosts may change and fields may go; weights, normalization, combination and rank_constant
    may be others; picture_weights may come, too; all else is the same in both.

    Raises:
        ConfigError: the file is written in a way that can't be changed so.
    """
    found = _value(yaml.compose(text, Loader=yaml.SafeLoader), "search")
    edits = [
        *_weights(found, before, after),
        *_keyword(text, found, before, after),
        *_others(text, found, before, after),
    ]
    for edit in sorted(edits, key=lambda edit: -edit.start):
        text = text[: edit.start] + edit.text + text[edit.end :]
    expected = after.model_dump(mode="json")
    if SearchSpec.parse(_parsed(text), "the changed file").model_dump(mode="json") != expected:
        raise ConfigError("the section search can't be changed as it is written", hint=_HINT)
    return text


def diff(before: str, after: str, name: str) -> str:
    """Unified, as `git apply` and `patch -p1` take it; empty when nothing changes."""
    old, new = (each.splitlines(keepends=True) for each in (before, after))
    return "".join(difflib.unified_diff(old, new, fromfile=f"a/{name}", tofile=f"b/{name}"))


def decimals(weights: Sequence[float], places: int = 3) -> list[float]:
    """Weights of so many decimals that sum to 1: what rounding leaves goes to the largest."""
    found = [round(weight, places) for weight in weights]
    largest = found.index(max(found))
    found[largest] = round(found[largest] + 1 - sum(found), places)
    return found


def _parsed(text: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(text)["search"]
    return found


def _weights(found: yaml.MappingNode, before: SearchSpec, after: SearchSpec) -> Iterator[_Edit]:
    for key in ("weights", "picture_weights"):
        old, new = getattr(before, key), getattr(after, key)
        for leg, weight in new.items() if old else ():
            if weight != old[leg]:
                yield _replaced(_value(_value(found, key), leg), str(float(weight)))


def _keyword(text: str, found: yaml.MappingNode, before: SearchSpec, after: SearchSpec) -> Iterator[_Edit]:
    node = _value(found, "keyword")
    wanted = {item.split("^")[0]: item for item in after.keyword}
    for number, (item, written) in enumerate(zip(node.value, before.keyword, strict=True)):
        new = wanted.get(written.split("^")[0])
        if new is None:
            yield _without(text, node, number)
        elif new != written:
            yield _replaced(item, new)


def _others(text: str, found: yaml.MappingNode, before: SearchSpec, after: SearchSpec) -> Iterator[_Edit]:
    """Keys that stand there are replaced; others come behind the weights, in a line of their own."""
    new = {}
    if after.picture_weights and not before.picture_weights:
        weights = ", ".join(f"{leg}: {float(weight)}" for leg, weight in after.picture_weights.items())
        new["picture_weights"] = f"{{{weights}}}"
    new |= {key: str(getattr(after, key)) for key in _SCALARS if getattr(after, key) != getattr(before, key)}
    for key in [key for key in new if _has(found, key)]:
        yield _replaced(_value(found, key), new.pop(key))
    lines = [f"{key}: {value}" for key, value in new.items()]
    if lines:
        weights = _value(found, "weights")
        if found.flow_style:
            yield _Edit(weights.end_mark.index, weights.end_mark.index, "".join(f", {line}" for line in lines))
        else:
            at = _end_of_line(text, _last(weights).end_mark.index)
            margin = " " * found.start_mark.column
            yield _Edit(at, at, "".join(f"\n{margin}{line}" for line in lines))


def _without(text: str, node: yaml.SequenceNode, number: int) -> _Edit:
    """An item of a list taken out: its line, or up to the next item, or from the end of the one before."""
    items = node.value
    start, end = items[number].start_mark.index, items[number].end_mark.index
    if not node.flow_style:
        return _Edit(text.rindex("\n", 0, start) + 1, _end_of_line(text, end) + 1, "")
    if number + 1 < len(items):
        return _Edit(start, items[number + 1].start_mark.index, "")
    return _Edit(items[number - 1].end_mark.index, end, "")


def _replaced(node: yaml.Node, value: str) -> _Edit:
    quote = node.style if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"') else ""
    return _Edit(node.start_mark.index, node.end_mark.index, f"{quote}{value}{quote}")


def _last(node: yaml.Node) -> yaml.Node:
    """The last thing that a block holds; the block itself ends where the next one begins."""
    while isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        node = node.value[-1][1]
    return node


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _has(node: yaml.MappingNode, key: str) -> bool:
    return any(name.value == key for name, _ in node.value)


def _value(node: Any, key: str) -> Any:
    for name, value in node.value:
        if name.value == key:
            return value
    raise ConfigError(f"there is no {key} in the section search", hint=_HINT)
