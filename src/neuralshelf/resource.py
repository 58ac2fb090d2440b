"""One object of a deployment, as values only: what it is called, what it should hold, what must exist before it."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = Any
"""A parsed JSON value."""


class Kind(StrEnum):
    """Kinds of objects in the order in which they must be made; destroying goes the other way."""

    SETTINGS = "cluster-settings"
    CONNECTOR = "connector"
    MODEL_GROUP = "model-group"
    MODEL = "model"
    INGEST_PIPELINE = "ingest-pipeline"
    SEARCH_PIPELINE = "search-pipeline"
    INDEX = "index"
    SEARCH_TEMPLATE = "search-template"


@dataclass(frozen=True)
class Resource:
    """A desired object.

    Attributes:
        kind: what it is.
        name: its name in the cluster, deterministic, prefixed with project and environment.
        body: the request body; `ref(KIND, NAME)` in a string of it stands for the id of another resource, known
            once that exists.
        secrets: JSON path (dotted) -> secret value, put into the body only when it is sent. They enter the
            fingerprint as a salted hash.
        lent: the secrets hold for a time only, and each run may get others: they stay out of the fingerprint.
    """

    kind: Kind
    name: str
    body: Mapping[str, Json]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    lent: bool = False

    @property
    def address(self) -> str:
        """`kind/name`, unique in a deployment."""
        return f"{self.kind}/{self.name}"

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Addresses of the resources whose ids the body needs, sorted."""
        return tuple(sorted(set(references(self.body))))

    @property
    def fingerprint(self) -> str:
        """16 hex digits over kind, name, body and secrets."""
        shown = {path: "" if self.lent else value for path, value in self.secrets.items()}
        secrets = {path: _digest(f"{self.address}\0{path}\0{value}") for path, value in shown.items()}
        text = json.dumps([self.kind, self.name, self.body, secrets], sort_keys=True, separators=(",", ":"))
        return _digest(text)[:16]


_REF = re.compile(r"ref:([a-z-]+/[A-Za-z0-9_.-]+)")


def ref(kind: Kind, name: str) -> str:
    """The placeholder for the id of the resource `kind/name` inside a body."""
    return f"ref:{kind}/{name}"


def references(value: Json) -> Iterator[str]:
    """Addresses named by `ref` placeholders anywhere in `value`."""
    if isinstance(value, str):
        yield from _REF.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def resolve(value: Json, ids: Mapping[str, str]) -> Json:
    """A copy of `value` with every placeholder replaced by its id; KeyError names an address without one."""
    if isinstance(value, str):
        return _REF.sub(lambda found: ids[found[1]], value)
    if isinstance(value, Mapping):
        return {key: resolve(item, ids) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, ids) for item in value]
    return value


def ids_in(wanted: str, made: str) -> dict[str, str]:
    """Address -> id, read back from a text that ends with what `resolve` made of `wanted`; {} when it doesn't."""
    texts, addresses = _REF.split(wanted)[::2], _REF.findall(wanted)
    found = re.fullmatch(".*?" + r"(\S+?)".join(map(re.escape, texts)), made, re.DOTALL)
    return dict(zip(addresses, found.groups(), strict=True)) if found else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
