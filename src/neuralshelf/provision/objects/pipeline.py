"""Ingest pipelines and search pipelines: replaced whole by one PUT under their name."""

import contextlib
from collections.abc import Iterable, Mapping

from opensearchpy import NotFoundError, OpenSearch

from neuralshelf.provision.live import Live
from neuralshelf.provision.objects.base import Json, Scope, Writing, get_or_none, patterns, unmarked
from neuralshelf.resource import Kind, Resource, resolve


class Pipelines:
    """The pipelines below one path of the API."""

    def __init__(self, kind: Kind, path: str) -> None:
        self._kind = kind
        self._path = path

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        found = get_or_none(client, f"{self._path}/{patterns(scope.prefix, scope.names(self._kind))}") or {}
        for name, body in found.items():
            description, marker = unmarked(body.get("description"))
            if scope.concerns(self._kind, name, marker):
                yield Live(self._kind, name, name, marker, {**body, "description": description})

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        return {"description": "", **resolve(resource.body, ids)}

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        writing.send("PUT", f"{self._path}/{resource.name}", writing.body(resource))
        return resource.name

    def delete(self, writing: Writing, live: Live) -> None:
        with contextlib.suppress(NotFoundError):
            writing.send("DELETE", f"{self._path}/{live.name}")
