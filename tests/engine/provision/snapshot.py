"""All objects of a cluster, by its own lists: what one must not be able to tell apart before and after."""

from collections.abc import Collection, Mapping
from typing import Any

from opensearchpy import NotFoundError, OpenSearch

from neuralshelf.provision.objects.connector import distinct

Json = Any

ML_KINDS = ("connectors", "models", "model_groups")
# what ML Commons counts and dates by itself
_PASSING = ("last_updated_time", "last_deployed_time", "last_undeployed_time", "auto_redeploy_retry_times")


def snapshot(client: OpenSearch) -> dict[str, Json]:
    """`KIND/ID` -> body, of all kinds that a deployment may have objects of, whoever owns them."""
    found: dict[str, Json] = {}
    settings = client.cluster.get_settings(flat_settings=True)
    for scope in ("persistent", "transient"):
        found |= {f"{scope}/{key}": value for key, value in settings[scope].items()}
    for kind in ML_KINDS:
        found |= {f"{kind}/{identity}": body for identity, body in ml_objects(client, kind).items()}
    found |= _named("ingest-pipeline", _get(client, "/_ingest/pipeline"))
    found |= _named("search-pipeline", _get(client, "/_search/pipeline"))
    # hidden indexes, too; those with a dot are ML Commons' own
    found |= _named("index", client.indices.get(index="*,-.*", expand_wildcards="all"))
    found |= _named("template", _get(client, "/_template"))
    for kind in ("component", "index"):
        listed = _get(client, f"/_{kind}_template").get(f"{kind}_templates", [])
        found |= {f"{kind}-template/{item['name']}": item for item in listed}
    state = client.cluster.state(metric="metadata", filter_path="metadata.stored_scripts")
    return found | _named("script", state.get("metadata", {}).get("stored_scripts", {}))


def ml_objects(client: OpenSearch, kind: str) -> dict[str, Json]:
    """Id -> body of all connectors, models or model_groups; see `mistaken`."""
    found = listed(client, kind)
    if kind != "connectors":
        return found
    used = {str(body.get("connector_id")) for body in listed(client, "models").values()}
    return {identity: body for identity, body in found.items() if not mistaken(identity, used)}


def mistaken(identity: str, used: Collection[str]) -> bool:
    """Whether a connector has to stay, by bad luck of its id, until models of others have gone: see test_alike_ids."""
    return identity not in used and not distinct(identity, used, shortest=0)


def listed(client: OpenSearch, kind: str) -> dict[str, Json]:
    """Id -> body of all of a kind that the cluster lists."""
    body = {"size": 10_000, "query": {"match_all": {}}}
    try:
        hits = client.transport.perform_request("POST", f"/_plugins/_ml/{kind}/_search", body=body)["hits"]["hits"]
    except NotFoundError:  # no system index before the first object
        return {}
    return {hit["_id"]: {k: v for k, v in hit["_source"].items() if k not in _PASSING} for hit in hits}


def changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, str]:
    """`KIND/ID` -> added, removed or changed."""
    return (
        dict.fromkeys(after.keys() - before.keys(), "added")
        | dict.fromkeys(before.keys() - after.keys(), "removed")
        | {key: "changed" for key in before.keys() & after.keys() if before[key] != after[key]}
    )


def _named(kind: str, found: Mapping[str, Json]) -> dict[str, Json]:
    return {f"{kind}/{name}": body for name, body in found.items()}


def _get(client: OpenSearch, path: str) -> Any:
    try:
        return client.transport.perform_request("GET", path)
    except NotFoundError:
        return {}
