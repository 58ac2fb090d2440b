"""Ways of searching for somebody: hits put into order after the search, or a leg of what is liked; of one index."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch
from personas import Person

from neuralshelf.deployment import Config, Deployment
from neuralshelf.local.interactions import opened
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.ranker.ranking import Ranker
from neuralshelf.pipelines.search import search_pipeline_name
from neuralshelf.provision.apply import apply
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import plan, plan_destroy
from neuralshelf.resource import Kind
from neuralshelf.settings import Folders
from neuralshelf.yamlfile import load

SETTLED = 65.0
"""Seconds after which a ranker knows what is liked together (Taste.refresh)."""

Ask = Callable[[str, str, float, int], list[Mapping[str, Any]]]
"""(text, user, weight, size) -> hits."""


@dataclass(frozen=True)
class Ways:
    """The ways of searching for somebody."""

    client: OpenSearch
    deployment: Deployment
    leg: Deployment
    ranker: Ranker

    @cached_property
    def all(self) -> dict[str, Ask]:
        found: dict[str, Ask] = {"rerank": self.rerank, "leg": self.with_leg}
        if self.deployment.centroids is not None:
            found["vector"] = self.vector
        return found

    def rerank(self, text: str, user: str, weight: float, size: int) -> list[Mapping[str, Any]]:
        """By the stack's own template."""
        params: dict[str, Any] = {"text": text, "size": size} | ({"user": user, "user_weight": weight} if user else {})
        return self._ask(self.deployment.config.search.template, params)

    def with_leg(self, text: str, user: str, weight: float, size: int) -> list[Mapping[str, Any]]:
        """By the one with a leg."""
        params: dict[str, Any] = {"text": text, "size": size} | ({"user": user, "user_weight": weight} if user else {})
        return self._ask(self.leg.config.search.template, params, search_pipeline=self._pipeline_name)

    def vector(self, text: str, user: str, weight: float, size: int) -> list[Mapping[str, Any]]:
        """By a user vector among what the words find; weight 0 to 1 in the mean of the legs."""
        body = {"id": self.leg.config.search.template, "params": {"text": text, "size": size}}
        body = self.client.transport.perform_request("POST", "/_render/template", body=body)["template_output"]
        legs, centroids = body["query"]["hybrid"]["queries"], self.deployment.centroids
        assert centroids is not None
        found = {"filter": legs[0], "k": 100, "vector": self._user_vector(user).tolist()}
        legs[-1] = {"knn": {centroids.vector: found}}
        weights = [w * (1 - weight) for w in self.deployment.config.search.weights.values()]
        body["search_pipeline"] = {
            "request_processors": self._pipeline["request_processors"][1:],
            "phase_results_processors": [
                {
                    "normalization-processor": {
                        "normalization": {"technique": "min_max"},
                        "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [*weights, weight]}},
                    }
                }
            ],
        }
        answer = self.client.search(index=self.deployment.config.index.name, body=body)
        return list(answer["hits"]["hits"])

    def _user_vector(self, user: str) -> np.ndarray:
        """Shape (dimension,), of length 1."""
        centroids = self.deployment.centroids
        assert centroids is not None
        liked = dict(self.ranker.rank(user, centroids.ids))
        rows = np.array(centroids.centroids) / np.array(centroids.lengths)[:, None]
        mean = np.array([liked[each] for each in centroids.ids]) @ rows
        return np.asarray(mean / np.linalg.norm(mean))

    @property
    def _pipeline_name(self) -> str:
        return search_pipeline_name(self.leg.config.index, self.leg.generation)

    @cached_property
    def _pipeline(self) -> Mapping[str, Any]:
        pipeline: Mapping[str, Any] = self.client.search_pipeline.get(id=self._pipeline_name)[self._pipeline_name]
        return pipeline

    def _ask(self, template: str, params: Mapping[str, Any], **url: str) -> list[Mapping[str, Any]]:
        body, path = {"id": template, "params": params}, f"/{self.deployment.config.index.name}/_search/template"
        answer = self.client.transport.perform_request("POST", path, params=url, body=body)
        return list(answer["hits"]["hits"])

    def items(self) -> dict[str, str]:
        """Id of a product -> what is ranked of it."""
        spec, index = self.deployment.config.ranking, self.deployment.config.index.name
        assert spec is not None
        asked = {"size": 10_000, "_source": [spec.item], "query": {"match_all": {}}}
        hits = self.client.search(index=index, body=asked, params={"search_pipeline": "_none"})["hits"]["hits"]
        return {hit["_id"]: hit["_source"][spec.item] for hit in hits if spec.item in hit["_source"]}


@contextmanager
def ways(config: Path, environment: str, people: Sequence[Person]) -> Iterator[Ways]:
    """A second pipeline beside the stack's own, and a ranker that knows these people; both end with the block."""
    deployment = Deployment.load(config, environment)
    if deployment.config.ranking is None or deployment.config.ranking.method != "rerank":
        raise SystemExit(f"{config}: give it ranking with method: rerank, then neuralshelf apply")
    leg = _with_leg(deployment, config)
    stack = Stack(config, environment, Folders.default(config))
    client, prefix = stack.client(deployment), leg.prefix
    left_out = (Kind.INDEX, Kind.INGEST_PIPELINE)
    wanted = [each for each in leg.resources(stack.runtime(deployment)) if each.kind not in left_out]
    try:
        apply(client, plan(wanted, observe(client, wanted, prefix=prefix), prefix=prefix))
        with opened(stack) as store:
            found = Ways(client, deployment, leg, Ranker(store))
            items = found.items()
            try:
                for person in people:
                    store.add(each._replace(item=items[each.item]) for each in person.history if each.item in items)
                for wait in (SETTLED, 5.0):  # the first question afterwards makes it learn
                    time.sleep(wait)
                    found.rerank("something", people[0].name, 0.5, 10)
                yield found
            finally:
                for person in people:
                    store.forget(person.name)
    finally:
        apply(client, plan_destroy(observe(client, wanted, prefix=prefix), prefix=prefix))


def _with_leg(deployment: Deployment, config: Path) -> Deployment:
    """The same under other names, with a leg."""
    values = load(config)
    values["project"] = f"legs-{values['project']}"
    values["search"] = {**values["search"], "template": "legs-search"}
    rank = {key: value for key, value in values["ranking"].items() if key != "oversample"}
    values["ranking"] = {**rank, "method": "leg"}
    leg = replace(deployment, config=Config.parse(values, str(config)))
    if deployment.centroids is None:
        return leg
    return replace(leg, centroids=deployment.centroids.model_copy(update={"generation": leg.generation}))
