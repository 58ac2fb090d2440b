"""The query language as a tree: every clause with its place, and filters as sets of conditions."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Any

CHILDREN: Mapping[str, tuple[str, ...]] = {
    "bool": ("must", "should", "filter", "must_not"),
    "boosting": ("positive", "negative"),
    "constant_score": ("filter",),
    "dis_max": ("queries",),
    "function_score": ("query",),
    "hybrid": ("queries", "filter"),
    "nested": ("query",),
    "script_score": ("query",),
}
"""Clauses that hold others -> the keys under which they do."""

VECTOR_CLAUSES = ("knn", "neural")
SILENT = {"bool.filter", "bool.must_not", "constant_score.filter", "hybrid.filter", "knn.filter", "neural.filter"}
"""Places in which a clause gives no score."""


class Malformed(ValueError):
    """A body that is no search; `path` says where."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True)
class Clause:
    """One clause where it stands.

    Attributes:
        node: `{name: options}` as in the body; rules change it in place.
        above: places around it, outermost first, such as `("hybrid.queries", "bool.must")`.
    """

    name: str
    node: dict[str, Json]
    path: str
    above: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Json]:
        """What stands under the name."""
        found = self.node[self.name]
        if not isinstance(found, dict):
            raise Malformed(self.path, f"{self.name} must be an object")
        return found

    @property
    def at(self) -> str:
        """Path of its options."""
        return f"{self.path}.{self.name}"

    @property
    def silent(self) -> bool:
        """It gives no score."""
        return any(place in SILENT for place in self.above)

    @property
    def field(self) -> str:
        """Of a vector clause: its field."""
        names = [name for name in self.options if isinstance(self.options[name], dict)]
        if len(names) != 1:
            raise Malformed(self.at, f"{self.name} needs one field with its options")
        return names[0]

    @property
    def vector(self) -> dict[str, Json]:
        """Of a vector clause: the options of its field."""
        options: dict[str, Json] = self.options[self.field]
        return options

    @property
    def vector_at(self) -> str:
        """Of a vector clause: path of the options of its field."""
        return f"{self.at}.{self.field}"


def clause(node: Json, path: str, above: tuple[str, ...] = ()) -> Clause:
    """The clause that `node` is.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(node, dict) or len(node) != 1:
        raise Malformed(path, "a query is an object with one key, the name of its kind")
    return Clause(next(iter(node)), node, path, above)


def children(of: Clause) -> Iterator[Clause]:
    """The clauses directly inside."""
    if of.name in VECTOR_CLAUSES:
        if "filter" in of.vector:
            yield clause(of.vector["filter"], f"{of.vector_at}.filter", (*of.above, f"{of.name}.filter"))
        return
    for key in CHILDREN.get(of.name, ()):
        inside = of.options.get(key)
        place = (*of.above, f"{of.name}.{key}")
        if isinstance(inside, list):
            for number, node in enumerate(inside):
                yield clause(node, f"{of.at}.{key}[{number}]", place)
        elif inside is not None:
            yield clause(inside, f"{of.at}.{key}", place)


def walk(of: Clause) -> Iterator[Clause]:
    """A clause and all inside, outer ones first."""
    yield of
    for child in children(of):
        yield from walk(child)


def conditions(node: Json) -> dict[str, Json]:
    """A filter as the conditions that must all hold: canonical text -> clause. `match_all` is none."""
    if isinstance(node, list):
        return {text: one for item in node for text, one in conditions(item).items()}
    if not isinstance(node, dict) or node.keys() == {"match_all"}:
        return {}
    if node.keys() == {"bool"} and isinstance(node["bool"], dict) and node["bool"].keys() <= {"filter", "must"}:
        return conditions([node["bool"].get(key, []) for key in ("filter", "must")])
    return {json.dumps(node, sort_keys=True): node}


def joined(found: Mapping[str, Json]) -> Json:
    """The filter that holds when all `found` hold; a copy."""
    nodes = copy.deepcopy(list(found.values()))
    return nodes[0] if len(nodes) == 1 else {"bool": {"filter": nodes}}


def beside(found: Clause) -> dict[str, Json]:
    """Conditions that a bool sets besides what it scores; those that choose an index narrow nothing in it."""
    if found.name != "bool" or found.silent:
        return {}
    more = conditions(found.options.get("filter", []))
    if found.options.get("must_not"):
        more |= conditions({"bool": {"must_not": found.options["must_not"]}})
    return {text: node for text, node in more.items() if '"_index"' not in text}


def vectors_in(of: Clause) -> list["Clause"]:
    """The vector clauses in it that give scores."""
    return [found for found in walk(of) if found.name in VECTOR_CLAUSES and not found.silent]


def filters_of(leg: Clause) -> dict[str, Json]:
    """Conditions that hold for all hits of a leg: in its vector clauses, else in the bools of its query."""
    if vectors := vectors_in(leg):
        found = conditions(vectors[0].vector.get("filter", []))
        for one in vectors[1:]:
            found = {text: found[text] for text in found.keys() & conditions(one.vector.get("filter", [])).keys()}
        return found
    inside = [one for one in children(leg) if not one.silent]
    return beside(leg) | (filters_of(inside[0]) if len(inside) == 1 else {})


def narrowed(node: dict[str, Json], more: dict[str, Json]) -> dict[str, Json]:
    """A query with further conditions, those inside its vector clause so that all k candidates fulfil them."""
    of = clause(node, "")
    if of.name in VECTOR_CLAUSES:
        of.vector["filter"] = joined(conditions(of.vector.get("filter", [])) | more)
        return node
    if of.name == "nested":
        of.options["query"] = narrowed(of.options["query"], more)
        return node
    if of.name == "bool" and "should" not in of.options:
        of.options["filter"] = copy.deepcopy(list((conditions(of.options.get("filter", [])) | more).values()))
        return node
    return {"bool": {"must": [node], "filter": copy.deepcopy(list(more.values()))}}
