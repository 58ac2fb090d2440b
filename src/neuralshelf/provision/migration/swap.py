"""Move the alias in one step, with searches and writes in flight.

A search's vector is made before the cluster looks up which index the alias names. So during the move the stored
template asks in the way of both indexes (`pipelines.stored.Place`), and no search in the way of one alone is under way
any more. A write is held to its index by the ingest pipeline.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opensearchpy import NotFoundError, OpenSearch

from neuralshelf.connectors.ranking import ranking_name
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ProvisionError
from neuralshelf.pipelines.stored import Place, search_templates
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.objects.search_template import comment
from neuralshelf.resource import Kind, resolve

Json = Any
DRAIN_SECONDS = 10.0
SEARCHES = "indices:data/read/search*,indices:data/read/msearch*"
WRITES = "indices:data/write/*"


def place(client: OpenSearch, index: str) -> Place:
    """An index with the models that its own default search pipeline names.

    Raises:
        ProvisionError: it has no such pipeline.
    """
    try:
        models = next(
            processor["neural_query_enricher"]["neural_field_default_id"]
            for processor in _pipeline(client, index)["request_processors"]
            if "neural_query_enricher" in processor
        )
    except (NotFoundError, KeyError, StopIteration):
        raise ProvisionError(
            f"index {index} has no search pipeline that names its models", hint="neuralshelf apply, then migrate again"
        ) from None
    return Place(index, models)


def _ranker(client: OpenSearch, index: str) -> str:
    """Id of the model that ranks for this index; nothing where none does."""
    pipeline = _pipeline(client, index)
    processors = pipeline.get("request_processors", []) + pipeline.get("response_processors", [])
    return next((one["ml_inference"]["model_id"] for one in processors if "ml_inference" in one), "")


def _pipeline(client: OpenSearch, index: str) -> Json:
    settings = client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]
    name = settings.get("index.search.default_pipeline", "_none")
    return client.transport.perform_request("GET", f"/_search/pipeline/{name}")[name]


def stored_scripts(client: OpenSearch, deployment: Deployment) -> dict[str, Json]:
    """The stored templates of the deployment as they are now."""
    search = deployment.config.search
    found = {}
    for name in (search.template, search.keyword_template):
        try:
            found[name] = client.get_script(id=name)["script"]
        except NotFoundError:
            continue
    return found


def put_scripts(client: OpenSearch, scripts: Mapping[str, Json]) -> None:
    """Store templates as `stored_scripts` gave them."""
    for name, script in scripts.items():
        client.put_script(id=name, body={"script": {"lang": script["lang"], "source": script["source"]}})


def put_transitional(
    client: OpenSearch, deployment: Deployment, indexes: Sequence[str], seconds: float = DRAIN_SECONDS
) -> None:
    """Store a template that is right on each of these indexes; wait for other searches to end, or for `seconds`."""
    places = [place(client, index) for index in indexes]
    config = deployment.config
    made = search_templates(
        config.index,
        config.search,
        prefix=deployment.generation,
        places=places,
        ranking=deployment.ranking,
    )
    search = next(template for template in made if template.name == config.search.template)
    ids = {address: next(iter(places[-1].models.values())) for address in search.depends_on}
    ids[f"{Kind.MODEL}/{ranking_name(deployment.prefix)}"] = _ranker(client, indexes[-1])
    script = resolve(search.body, ids)["script"]
    marker = Marker(deployment.prefix, search.address, search.fingerprint)
    put_scripts(client, {search.name: {**script, "source": comment(marker) + script["source"]}})
    drain(client, SEARCHES, time.monotonic(), seconds)


def move_alias(client: OpenSearch, alias: str, source: str, target: str, check: Callable[[], None]) -> None:
    """Let the alias name `target` instead of `source`, in one step."""
    options = client.indices.get_alias(index=source, name=alias)[source]["aliases"][alias]
    plain = {key: value for key, value in options.items() if key in ("filter", "is_hidden")}
    check()
    client.indices.update_aliases(
        body={
            "actions": [
                {"remove": {"index": source, "alias": alias, "must_exist": True}},
                {"add": {"index": target, "alias": alias, **plain}},
            ]
        }
    )


def drain(client: OpenSearch, actions: str, begun: float, seconds: float) -> None:
    """Wait until every request of that kind which began before `begun` has ended, or for `seconds`.

    Args:
        actions: such as `indices:data/write*`.
        begun: by the monotonic clock.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.monotonic()
        nodes = client.tasks.list(params={"actions": actions}).get("nodes", {})
        tasks = [task for node in nodes.values() for task in node["tasks"].values()]
        if not any(task["running_time_in_nanos"] / 1e9 > asked - begun for task in tasks):
            return
        time.sleep(0.02)
