"""Read the cluster: which of the desired objects exist, made from what, using what."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from opensearchpy import NotFoundError, OpenSearch

from neuralshelf.provision.marker import Marker
from neuralshelf.provision.plan import Live
from neuralshelf.resource import Kind, Resource, ids_in

ML = "/_plugins/_ml"


def observe(client: OpenSearch, desired: Iterable[Resource]) -> dict[str, Live]:
    """Live objects by address; an address without an entry does not exist. Sends no write."""
    live: dict[str, Live] = {}
    for resource in desired:
        found = _READERS[resource.kind](client, resource)
        if found is not None:
            live[resource.address] = found
    return live


def _settings(client: OpenSearch, resource: Resource) -> Live | None:
    current = client.cluster.get_settings(flat_settings=True)["persistent"]
    wanted = _flat(resource.body["persistent"])
    same = all(_text(current.get(key)) == _text(value) for key, value in wanted.items())
    return Live(resource.name, resource.fingerprint if same else None)


def _ml_object(kind: str, client: OpenSearch, resource: Resource) -> Live | None:
    """Newest object of that name first: names of connectors and models are not unique in ML Commons."""
    query = {
        "size": 100,
        "query": {"term": {"name.keyword": resource.name}},
        "sort": [{"created_time": {"order": "desc", "unmapped_type": "long"}}],
    }
    try:
        answer = client.transport.perform_request("POST", f"{ML}/{kind}/_search", body=query)
    except NotFoundError:  # the system index does not exist before the first object
        return None
    owned = []
    for hit in answer["hits"]["hits"]:
        marker = Marker.find(hit["_source"].get("description"))
        if marker and marker.address == resource.address:
            owned.append((hit["_id"], marker.fingerprint, hit["_source"]))
    if not owned:
        return None
    # An interrupted change can leave two: the one that already fits wins over the newest.
    owned.sort(key=lambda item: item[1] != resource.fingerprint)
    identity, fingerprint, source = owned[0]
    links = (
        {a: str(source["connector_id"]) for a in resource.depends_on if a.startswith("connector/")}
        if (source.get("connector_id"))
        else {}
    )
    return Live(identity, fingerprint, links, tuple(other for other, _, _ in owned[1:]))


def _ingest_pipeline(client: OpenSearch, resource: Resource) -> Live | None:
    try:
        body = client.ingest.get_pipeline(id=resource.name)[resource.name]
    except NotFoundError:
        return None
    return _marked(resource, body.get("description"), body)


def _search_pipeline(client: OpenSearch, resource: Resource) -> Live | None:
    try:
        body = client.transport.perform_request("GET", f"/_search/pipeline/{resource.name}")[resource.name]
    except NotFoundError:
        return None
    return _marked(resource, body.get("description"), body)


def _index(client: OpenSearch, resource: Resource) -> Live | None:
    try:
        mappings = client.indices.get_mapping(index=resource.name)[resource.name]["mappings"]
    except NotFoundError:
        return None
    return Live(resource.name, _fingerprint(resource, mappings.get("_meta", {}).get("neuralshelf")))


def _search_template(client: OpenSearch, resource: Resource) -> Live | None:
    try:
        script = client.get_script(id=resource.name)["script"]
    except NotFoundError:
        return None
    links = _model_links(resource.body["script"]["source"], script["source"])
    return Live(resource.name, _fingerprint(resource, script["source"]), links)


def _marked(resource: Resource, description: str | None, body: Mapping[str, Any]) -> Live:
    """A pipeline, with the model ids it uses now, so that a model made anew is noticed."""
    return Live(resource.name, _fingerprint(resource, description), links=_model_links(resource.body, body))


def _model_links(wanted: Any, live: Any) -> dict[str, str]:
    """Walk the desired and the live body together; where one has a reference the other has the id in use."""
    if isinstance(wanted, str) and isinstance(live, str):
        return ids_in(wanted, live)
    links: dict[str, str] = {}
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        for key, value in wanted.items():
            links |= _model_links(value, live.get(key))
    elif isinstance(wanted, list) and isinstance(live, list):
        for ours, theirs in zip(wanted, live, strict=False):
            links |= _model_links(ours, theirs)
    return links


def _fingerprint(resource: Resource, text: str | None) -> str | None:
    marker = Marker.find(text)
    return marker.fingerprint if marker and marker.address == resource.address else None


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return [str(item) for item in value] if isinstance(value, list) else None if value is None else str(value)


_READERS: Mapping[Kind, Callable[[OpenSearch, Resource], Live | None]] = {
    Kind.SETTINGS: _settings,
    Kind.CONNECTOR: partial(_ml_object, "connectors"),
    Kind.MODEL_GROUP: partial(_ml_object, "model_groups"),
    Kind.MODEL: partial(_ml_object, "models"),
    Kind.INGEST_PIPELINE: _ingest_pipeline,
    Kind.SEARCH_PIPELINE: _search_pipeline,
    Kind.INDEX: _index,
    Kind.SEARCH_TEMPLATE: _search_template,
}
