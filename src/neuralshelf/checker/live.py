"""What a search meets in a cluster that is up. Sends no write."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from opensearchpy import ConnectionError as NoConnection
from opensearchpy import NotFoundError, OpenSearch, TransportError

from neuralshelf.checker.facts import MAX_WINDOW, Facts, Field, fields_of
from neuralshelf.checker.search import normaliser
from neuralshelf.client import reason
from neuralshelf.errors import EngineError, InputError, SearchError
from neuralshelf.pipelines.ranking import PREFERENCE_LEG
from neuralshelf.pipelines.spec import KEYWORD_LEG

Json = Any
DEFAULT = "index.search.default_pipeline"
HINT = "neuralshelf check-query --offline looks at the configuration alone"


def read_facts(client: OpenSearch, target: str, configured: Facts) -> Facts:
    """Facts about an index, an alias, a pattern or several of them.

    Args:
        configured: what the configuration says of its own index.

    Raises:
        InputError: nothing is there under this name.
        EngineError: no answer; SearchError: the cluster refuses a question.
    """
    try:
        return _read(client, target, configured)
    except NotFoundError:
        raise InputError(f"no index or alias {target}", hint="neuralshelf apply, or give another --index") from None
    except NoConnection as fault:
        raise EngineError(f"no answer from OpenSearch ({fault.error})", hint=HINT) from None
    except TransportError as fault:
        raise SearchError(f"the cluster refuses a question ({fault.status_code}): {reason(fault)}", hint=HINT) from None


def rendered(client: OpenSearch, template: str, params: Json) -> Json:
    """The body that a stored template makes of parameters.

    Raises:
        InputError: there is no such template, or what it makes is no JSON.
        EngineError: no answer.
    """
    try:
        answer = client.transport.perform_request("POST", "/_render/template", body={"id": template, "params": params})
    except NoConnection as fault:
        raise EngineError(f"no answer from OpenSearch ({fault.error})", hint="neuralshelf status") from None
    except TransportError as fault:
        hint = "look at the parameters' names and kinds, and at GET _scripts"
        raise InputError(f"template {template} can't be rendered: {reason(fault)}", hint=hint) from None
    return answer["template_output"]


def _read(client: OpenSearch, target: str, configured: Facts) -> Facts:
    found = client.indices.get(index=target, params={"flat_settings": "true"})
    if not found:
        raise InputError(f"no index matches {target}", hint="give another --index")
    fields: dict[str, Field] = {}
    for body in found.values():
        fields |= dict(fields_of(body["mappings"]))
    settings = [body["settings"] for body in found.values()]
    pipelines = client.transport.perform_request("GET", "/_search/pipeline")
    defaults = {name for one in settings if (name := one.get(DEFAULT)) not in (None, "_none")}
    default = next(iter(defaults)) if len(defaults) == 1 else None
    pipeline = pipelines.get(default)
    weights = (normaliser(pipeline) or {}).get("combination", {}).get("parameters", {}).get("weights", [])
    vectors = set(configured.legs) - {KEYWORD_LEG, PREFERENCE_LEG}
    ours = vectors <= fields.keys() and len(weights) == len(configured.legs)
    made = Facts(
        target,
        fields,
        legs=configured.legs if ours else (),
        k=configured.k,
        product=configured.product if configured.product in fields else None,
        pipeline=pipeline,
        pipelines=pipelines,
        scattered=len(defaults) > 1,
        lost=default if default is not None and pipeline is None else "",
        shards=sum(int(one["index.number_of_shards"]) for one in settings),
        replicas=max(int(one["index.number_of_replicas"]) for one in settings),
        narrowed=_alias_filter(target, found),
        secured=_secured(client, tuple(found)),
        window=min(int(one.get("index.max_result_window", MAX_WINDOW)) for one in settings),
    )
    return replace(made, views=_views(client, target, made.product))


def _alias_filter(target: str, found: Mapping[str, Json]) -> Json:
    """The one filter that an alias of this name sets, each index by itself where they differ."""
    filters: dict[str, Json] = {}
    for index, body in found.items():
        aliases = [options for name, options in body["aliases"].items() if _named(name, target)]
        # the index itself, or an alias without a filter, lets all through
        whole = _named(index, target) or not all("filter" in options for options in aliases)
        filters[index] = None if whole else {"bool": {"should": [options["filter"] for options in aliases]}}
        if not whole and len(aliases) == 1:
            filters[index] = aliases[0]["filter"]
    if all(one == next(iter(filters.values())) for one in filters.values()):
        return next(iter(filters.values()))
    own = [
        {"bool": {"filter": [one or {"match_all": {}}, {"term": {"_index": name}}]}} for name, one in filters.items()
    ]
    return {"bool": {"should": own}}


def _named(name: str, target: str) -> bool:
    return any(fnmatchcase(name, one) for one in target.split(","))


def _views(client: OpenSearch, target: str, product: str | None) -> int:
    """The most documents of one product."""
    if product is None:
        return 0
    asked = {"size": 0, "aggs": {"views": {"terms": {"field": product, "size": 1}}}}
    answer = client.search(index=target, body=asked, params={"search_pipeline": "_none"})
    return max((int(bucket["doc_count"]) for bucket in answer["aggregations"]["views"]["buckets"]), default=0)


def _secured(client: OpenSearch, indexes: tuple[str, ...]) -> bool | None:
    """Whether a role of this login has document-level security on an index; None when it may not read roles."""
    account, roles = (
        client.transport.perform_request("GET", f"/_plugins/_security/{path}", params={"ignore": (400, 401, 403, 404)})
        for path in ("authinfo", "api/roles")
    )
    if "roles" not in account:  # no security plugin
        return False
    if not all(isinstance(roles.get(role), dict) for role in account["roles"]):
        return None
    permissions = [one for role in account["roles"] for one in roles[role].get("index_permissions", [])]
    return any(
        one.get("dls") and any(fnmatchcase(index, pattern) for index in indexes for pattern in one["index_patterns"])
        for one in permissions
    )
