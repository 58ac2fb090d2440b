"""Indexes with their aliases. Fields, vector sizes and shards are for life; defaults, replicas and aliases are not."""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from opensearchpy import NotFoundError, OpenSearch, RequestError

from neuralshelf.errors import ProvisionError
from neuralshelf.provision.live import Live
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.objects.base import Json, Scope, Writing, get_or_none
from neuralshelf.resource import Kind, Resource, resolve

FIXED = ("settings.index.number_of_shards", "settings.index.knn", "mappings.properties.")
"""Beginnings of paths that only a new index can change."""

# What the engine writes into the settings of every index.
_ADDED = (
    "index.uuid",
    "index.provided_name",
    "index.creation_date",
    "index.version.",
    "index.replication.",
    "index.merge.policy.floor_segment",
    "index.merge.policy.max_merge_at_once",
    "index.knn.derived_source.enabled",
    "index.routing.allocation.initial_recovery.",
    "index.resize.",
)
_META = "_meta"


class Indexes:
    """The indexes behind the aliases of a deployment."""

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        aliases = {alias for r in scope.desired.values() if r.kind is Kind.INDEX for alias in r.body["aliases"]}
        names = [*scope.names(Kind.INDEX), *(f"{alias}-*" for alias in sorted(aliases))]
        options = {"ignore_unavailable": "true", "expand_wildcards": "open,closed", "flat_settings": "true"}
        for name, found in (get_or_none(client, "/" + ",".join(names), **options) or {}).items() if names else ():
            meta = found["mappings"].get(_META, {})
            marker = Marker.find(str(meta.get("neuralshelf")))
            if scope.concerns(Kind.INDEX, name, marker):
                settings = {k: v for k, v in found["settings"].items() if not k.startswith(_ADDED)}
                mappings = {key: value for key, value in found["mappings"].items() if key != _META}
                body = {"settings": settings, "mappings": _plain(mappings), "aliases": found["aliases"]}
                yield Live(Kind.INDEX, name, name, marker, body, extra={"meta": meta})

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        body = resolve(resource.body, ids)
        settings = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in body["settings"].items()
        }
        return {**body, "settings": settings, "mappings": _plain(body["mappings"])}

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        body = resolve(resource.body, writing.ids)
        name = resource.name
        meta = dict(live.extra["meta"]) if live else {}
        known = meta.get("spaces")
        added = {*vectors(body)} - ({*vectors(live.body)} if live and known else set())
        if writing.guard is not None and added:
            from neuralshelf.provision.spaces import encode  # numpy: a plan does without

            spaces = encode(writing.guard.spaces(writing.ids))
            meta["spaces"] = {**{name: spaces[name] for name in added}, **(known or {})}
        mappings = {**body["mappings"], _META: {**meta, "neuralshelf": str(writing.marker(resource))}}
        if live is None:
            writing.send("PUT", f"/{name}", {"settings": body["settings"], "mappings": mappings})
            _move_aliases(writing, name, body["aliases"], {})
            return name
        wanted = self.wanted(resource, writing.ids)["settings"]
        changes = {
            key: wanted.get(key)
            for key in {*wanted, *live.body["settings"]}
            if wanted.get(key) != live.body["settings"].get(key)
        }
        blocks = {key: changes.pop(key) for key in list(changes) if key.startswith("index.blocks.")}
        if blocks:  # a blocked index takes no mapping
            writing.send("PUT", f"/{name}/_settings", blocks)
        # The mapping goes first: it is what the engine refuses when vectors don't fit, and then nothing has changed.
        writing.send("PUT", f"/{name}/_mapping", mappings)
        if changes:
            writing.send("PUT", f"/{name}/_settings", changes)
        _move_aliases(writing, name, body["aliases"], live.body["aliases"])
        return name

    def delete(self, writing: Writing, live: Live) -> None:
        with contextlib.suppress(NotFoundError):
            writing.send("DELETE", f"/{live.name}")


def vectors(body: Mapping[str, Json]) -> list[str]:
    """Vector fields of an index, in the shape of a resource's body; dead letters have none."""
    return [name for name, field in body["mappings"]["properties"].items() if field.get("type") == "knn_vector"]


def holders(client: OpenSearch, alias: str) -> dict[str, int]:
    """Index -> number of documents, for each index behind an alias."""
    found = get_or_none(client, f"/{alias}-*/_alias/{alias}") or {}
    return {index: documents(client, index) for index, held in found.items() if held.get("aliases")}


def documents(client: OpenSearch, index: str, query: Json = None) -> int:
    """Their number. `_count` is refused once the index's default search pipeline is gone, which apply has to mend."""
    body = {"size": 0, "track_total_hits": True, "query": query or {"match_all": {}}}
    try:
        answer = client.search(index=index, body=body, params={"search_pipeline": "_none"})
    except RequestError as fault:
        if fault.error != "index_closed_exception":
            raise
        raise ProvisionError(f"index {index} is closed", hint=f"open it: POST /{index}/_open") from None
    return int(answer["hits"]["total"]["value"])


def _move_aliases(writing: Writing, index: str, wanted: Mapping[str, Json], live: Mapping[str, Json]) -> None:
    """Let each wanted alias name this index alone, in one step: an alias on two indexes takes no writes."""
    actions: list[Json] = [{"remove": {"index": index, "alias": alias}} for alias in live if alias not in wanted]
    for alias, options in wanted.items():
        others = [held for held in holders(writing.client, alias) if held != index]
        actions += [{"remove": {"index": other, "alias": alias}} for other in others]
        if others or live.get(alias) != options:
            actions.append({"add": {"index": index, "alias": alias, **options}})
    if actions:
        writing.send("POST", "/_aliases", {"actions": actions})


def _plain(value: Any) -> Any:
    """A mapping without what the engine adds to vector fields, so that ours and the live one can be compared."""
    if not isinstance(value, Mapping):
        return value
    plain = {key: _plain(item) for key, item in value.items()}
    method = plain.get("method")
    if plain.get("type") == "knn_vector" and isinstance(method, dict):
        if method.get("space_type") == plain.get("space_type"):
            method.pop("space_type", None)
        if not method.get("parameters"):
            method.pop("parameters", None)
    return plain
