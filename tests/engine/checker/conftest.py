"""Two shelves of the same documents, on one shard and on three, embedded by toy models whose vectors are known."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

from neuralshelf.checker import Facts, facts_of
from neuralshelf.checker.live import read_facts
from neuralshelf.deployment import Config
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.settings import VectorStore
from tests.engine.conftest import ToyEncoder
from tests.engine.pipelines.conftest import Shop, open_shop

from .oracle import Oracle

__all__ = ["open_shop"]

DIMENSIONS = {"text_vector": 384, "image_vector": 512}
COUNT, TENANTS, CATEGORIES, BRANDS, VIEWS, K = 600, 8, 6, 8, 3, 60
WORDS = tuple("red blue green gold teapot mug chair lamp table wine glass sofa shelf oak brass".split())  # noqa: SIM905


def shelf(shards: int) -> dict[str, Any]:
    """neuralshelf.yaml of a shelf."""
    return {
        "project": f"shelf{shards}",
        "connectors": {
            "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
            "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512},
        },
        "index": {
            "name": f"shelf{shards}",
            "fields": {
                "title": "text",
                "brand": "keyword",
                "category": "keyword",
                "tenant": "keyword",
                "product": "keyword",
                "price": "float",
            },
            "vectors": {
                "text_vector": {"connector": "text", "text": ["title"]},
                "image_vector": {"connector": "picture", "image": "image"},
            },
            "product": "product",
            "views": VIEWS,
        },
        "search": {
            "template": f"shelf{shards}-search",
            "keyword": ["title^2", "brand"],
            "weights": {"keyword": 0.3, "text_vector": 0.3, "image_vector": 0.4},
            "k": K // VIEWS,
            "filters": ["brand", "category", "tenant", "price"],
        },
    }


def documents() -> dict[str, dict[str, Any]]:
    """Id -> document with vectors; seed 7."""
    draw = np.random.default_rng(7)
    made = {}
    for number in range(COUNT):
        vectors = {name: draw.standard_normal(size) for name, size in DIMENSIONS.items()}
        made[f"d{number}"] = {
            "title": " ".join(draw.choice(WORDS, size=draw.integers(2, 7))) + (" heirloom" if number == 77 else ""),
            "brand": f"brand{draw.integers(BRANDS)}",
            "category": f"c{draw.integers(CATEGORIES)}",
            "tenant": f"t{number % TENANTS}",
            "product": f"p{number // VIEWS}",
            "price": float(number * 7 % COUNT),
            **{name: np.round(v / np.linalg.norm(v), 4).tolist() for name, v in vectors.items()},
        }
    return made


def embedded(text: str, field: str) -> list[float]:
    """What the toy models make of a query."""
    row = ToyEncoder().encode([Sample(text=text, image=None)], DIMENSIONS[field])[0]
    return [float(number) for number in row]


@dataclass(frozen=True)
class Shelf:
    """One of the two, with its oracle and what the checker reads of it."""

    shop: Shop
    oracle: Oracle
    configured: Facts
    read: dict[str, Facts] = field(default_factory=dict)

    @property
    def client(self) -> OpenSearch:
        return self.shop.client

    @property
    def index(self) -> str:
        return self.shop.index

    def facts(self, target: str = "") -> Facts:
        """As the cluster has them; asked once."""
        target = target or self.index
        if target not in self.read:
            self.read[target] = read_facts(self.client, target, self.configured)
        return self.read[target]


def filled(client: OpenSearch, index: str, made: Mapping[str, Mapping[str, Any]]) -> None:
    """Index documents that bring their vectors, past the models; one segment a shard afterwards."""
    identities = list(made)
    for start in range(0, len(identities), 200):
        lines: list[Mapping[str, Any]] = []
        for identity in identities[start : start + 200]:
            lines += [{"index": {"_id": identity}}, made[identity]]
        answer = client.bulk(body=lines, index=index, params={"pipeline": "_none"})
        assert not answer["errors"], answer["items"][0]
    client.indices.forcemerge(index=index, params={"max_num_segments": 1})
    client.indices.refresh(index=index)


@pytest.fixture(scope="session")
def made() -> dict[str, dict[str, Any]]:
    """The documents of both shelves."""
    return documents()


@pytest.fixture(scope="session")
def shelves(open_shop: Callable[..., Shop], client: OpenSearch, made: dict[str, dict[str, Any]]) -> Sequence[Shelf]:
    """On one shard, on three."""
    found = []
    for shards in (1, 3):
        values, store = shelf(shards), VectorStore(shards=shards)
        shop = open_shop(values, shards)
        filled(client, shop.index, made)
        config = Config.parse(values, "shelf.yaml")
        configured = facts_of(
            config.index, config.search, config.connectors, store=store, prefix=f"{config.project}-test"
        )
        found.append(Shelf(shop, Oracle(client, shop.index, made, shards), configured))
    _neighbours(client)
    return found


def _neighbours(client: OpenSearch) -> None:
    """Beside each shelf: an alias of one tenant, a copy without a search pipeline, an empty index with another."""
    for shards, other in ((1, 3), (3, 1)):
        index = f"shelf{shards}-1"
        client.indices.put_alias(index=index, name=f"tenant{shards}", body={"filter": {"term": {"tenant": "t3"}}})
        client.indices.put_settings(index=index, body={"index.blocks.write": True})
        bare = {"settings": {"index.search.default_pipeline": "_none", "index.number_of_replicas": 0}}  # not copied
        client.indices.clone(index=index, target=f"bare{shards}", body=bare)
        mappings = client.indices.get(index=index)[index]["mappings"]
        pipeline = f"shelf{other}-test-shelf{other}-search"
        settings = {"index.knn": True, "index.number_of_replicas": 0, "index.search.default_pipeline": pipeline}
        client.indices.create(index=f"empty{shards}", body={"settings": settings, "mappings": mappings})


WRITE = os.environ.get("NEURALSHELF_GOLDEN") == "write"
