"""Shops on a real engine: provisioned as a user's would be, filled with small products, embedded by toy models."""

import base64
import io
import json
import urllib.request
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchWarning
from PIL import Image
from pydantic import SecretStr

from neuralshelf.connectors.ranking import ranking_resources
from neuralshelf.connectors.resources import cluster_settings, connector_resources, model_group
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Config
from neuralshelf.pipelines import pipeline_resources
from neuralshelf.pipelines.clusters import Centroids
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.provision.apply import apply
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import plan
from neuralshelf.settings import VectorStore
from tests.engine.pipelines.ranked import Ranked, ranked_shop

COLOURS = {"red": (200, 20, 20), "green": (20, 180, 20), "blue": (20, 20, 200), "gold": (210, 170, 30)}
KINDS = ("teapot", "mug", "chair")


def picture(colour: tuple[int, int, int], bottom: int = 0) -> str:
    """A small PNG as base64: one colour above, a grey of `bottom` below."""
    image = Image.new("RGB", (16, 16), colour)
    image.paste((bottom, bottom, bottom), (0, 8, 16, 16))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Product:
    """A document and the picture it was indexed with."""

    id: str
    document: Mapping[str, Any]

    @property
    def picture(self) -> str:
        return str(self.document["image"])


def products() -> list[Product]:
    """36 products: four colours × three kinds × three variants, each with a picture of its own."""
    made: list[Product] = []
    for c, (colour, rgb) in enumerate(COLOURS.items()):
        for k, kind in enumerate(KINDS):
            for variant in range(3):
                number = len(made)
                document = {
                    "title": f"{colour} {kind} number {number}",
                    "description": f"A {kind} to keep",
                    "brand": ("Amber", "Birch", "Cedar")[variant],
                    "colour": colour,
                    "price": 10.0 * (k + 1) + variant,
                    "stock": number,
                    "image": picture(rgb, bottom=20 * (3 * k + variant) + c),
                }
                made.append(Product(f"p{number}", document))
    return made


@dataclass(frozen=True)
class Shop:
    """One provisioned index and the server that embeds for it."""

    client: OpenSearch
    index: str
    template: str
    keyword_template: str
    server: str

    def bulk(self, *operations: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Send raw bulk lines; id -> error of each item that failed."""
        answer = self.client.bulk(body=list(operations), index=self.index, refresh=True)
        items = [next(iter(item.values())) for item in answer["items"]]
        return {item["_id"]: item for item in items if "error" in item}

    def index_all(self, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Index whole documents; id -> error of each that failed."""
        lines: list[Mapping[str, Any]] = []
        for identity, document in documents.items():
            lines += [{"index": {"_id": identity}}, document]
        return self.bulk(*lines)

    def source(self, identity: str) -> dict[str, Any]:
        """The document as it is kept."""
        return dict(self.client.get(index=self.index, id=identity)["_source"])

    def update(self, identity: str, *, refresh: bool = True, **fields: Any) -> None:
        """Change some fields by `_update`; the engine warns that it runs the pipeline then, which is what is tested."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OpenSearchWarning)
            self.client.update(index=self.index, id=identity, body={"doc": fields}, refresh=refresh)

    def search(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Hits of a plain `_search`."""
        answer = self.client.search(index=self.index, body=dict(body))
        return list(answer["hits"]["hits"])

    def answer(self, template: str | None = None, **params: Any) -> dict[str, Any]:
        """What the stored search template answers."""
        body = {"id": template or self.template, "params": params}
        return dict(self.client.transport.perform_request("POST", f"/{self.index}/_search/template", body=body))

    def ask(self, template: str | None = None, **params: Any) -> list[dict[str, Any]]:
        """Hits of the stored search template."""
        return list(self.answer(template, **params)["hits"]["hits"])

    def rendered(self, **params: Any) -> dict[str, Any]:
        """The body that the template makes of `params`."""
        body = {"id": self.template, "params": params}
        answer = self.client.transport.perform_request("POST", "/_render/template", body=body)
        return dict(answer["template_output"])

    def calls(self, during: Callable[[], object]) -> dict[str, int]:
        """What reached the model server meanwhile: requests, texts, images."""
        before = self._counters()
        during()
        return {name: count - before[name] for name, count in self._counters().items()}

    def _counters(self) -> dict[str, int]:
        with urllib.request.urlopen(self.server + "/", timeout=10) as answer:
            counters = json.load(answer)["counters"]
        return {name: counters[name] for name in ("requests", "texts", "images")}


OpenShop = Callable[..., Shop]
"""`open_shop(values, shards=1, centroids=None, ranker_at=None, **of serve_models)`."""


@pytest.fixture(scope="session")
def open_shop(client: OpenSearch, serve_models: Callable[..., Any]) -> OpenShop:
    """Provision a configuration (neuralshelf.yaml as a mapping) with a model server of its own, in `shards` shards.

    `ranker_at` is the base URL of a ranker elsewhere.
    """

    def opened(
        values: Mapping[str, Any],
        shards: int = 1,
        centroids: Centroids | None = None,
        ranker_at: str | None = None,
        **served: Any,
    ) -> Shop:
        server = serve_models(**served)
        config = Config.parse(values, "shop.yaml")
        runtime = Runtime(server.region).at(server.url, server.access_key, SecretStr(server.secret_key))
        prefix = f"{config.project}-test"
        wanted = [cluster_settings(runtime), model_group(prefix)]
        for name, spec in config.connectors.items():
            wanted += connector_resources(name, spec, runtime=runtime, prefix=prefix, group=wanted[1].name)
        if config.ranking:
            there = replace(runtime, url=ranker_at or runtime.url)
            wanted += ranking_resources(config.ranking, runtime=there, prefix=prefix, group=wanted[1].name)
        wanted += pipeline_resources(
            config.index,
            config.search,
            config.connectors,
            store=VectorStore(shards=shards),
            prefix=prefix,
            ranking=Ranking.of(config.ranking, prefix),
            numbering=centroids.numbering(config.clusters) if centroids and config.clusters else None,
        )
        apply(client, plan(wanted, observe(client, wanted, prefix=prefix), prefix=prefix))
        search = config.search
        return Shop(client, config.index.name, search.template, search.keyword_template, server.local_url)

    return opened


@pytest.fixture(scope="session")
def combination() -> str:
    """How the joint shop joins its legs."""
    return "rrf"


SHOP: Mapping[str, Any] = {
    "project": "pipes",
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512},
    },
    "index": {
        "name": "pipes",
        "fields": {
            "title": "text",
            "description": "text",
            "brand": "keyword",
            "colour": "keyword",
            "price": "float",
            "stock": "integer",
        },
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title", "brand", "description"]},
            "image_vector": {"connector": "picture", "image": "image"},
        },
    },
    "search": {
        "template": "pipes-search",
        "keyword": ["title^3", "brand^2", "colour^2", "description"],
        "weights": {"keyword": 0.3, "text_vector": 0.3, "image_vector": 0.4},
        "filters": ["brand", "colour", "price", "stock"],
    },
}


PICTURE_WEIGHTS = {"keyword": 0.1, "text_vector": 0.1, "image_vector": 0.8}
"""Of `full_shop`, where text and picture come together."""


@pytest.fixture(scope="session")
def shop_values() -> Mapping[str, Any]:
    """The configuration of `empty_shop`, to be changed."""
    return SHOP


@pytest.fixture(scope="session")
def empty_shop(open_shop: OpenShop) -> Shop:
    """A shop of two vectors; tests bring documents under ids of their own."""
    return open_shop(SHOP)


@pytest.fixture(scope="session")
def catalogue() -> Sequence[Product]:
    """The products of `full_shop`."""
    return products()


@pytest.fixture(scope="session")
def full_shop(open_shop: OpenShop, catalogue: Sequence[Product]) -> Shop:
    """A shop with the whole catalogue; tests only search it."""
    named = {
        **SHOP,
        "project": "shelf",
        "index": {**SHOP["index"], "name": "shelf"},
        "search": {**SHOP["search"], "template": "shelf-search", "picture_weights": PICTURE_WEIGHTS},
    }
    shop = open_shop(named)
    failed = shop.index_all({product.id: product.document for product in catalogue})
    assert not failed, failed
    return shop


@pytest.fixture(scope="session")
def joint_shop(open_shop: Any, combination: str) -> Any:
    """A shop with one vector of text and picture together, by Titan's contract."""
    return open_shop(
        {
            "project": "joint",
            "connectors": {"titan": {"kind": "bedrock-titan-multimodal", "dimension": 256}},
            "index": {
                "name": "joint",
                "fields": {"title": "text", "price": "float"},
                "vectors": {"joint_vector": {"connector": "titan", "text": ["title"], "image": "image"}},
            },
            "search": {
                "template": "joint-search",
                "keyword": ["title"],
                "weights": {"keyword": 0.5, "joint_vector": 0.5},
                "combination": combination,
            },
        }
    )


@pytest.fixture(scope="module")
def open_ranked(
    open_shop: OpenShop, catalogue: Any, shop_values: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Mapping[str, Any]], AbstractContextManager[Ranked]]:
    """`open_ranked(name, ranking)`: the shop of the other tests, called so, with this section `ranking`."""
    return partial(
        ranked_shop,
        open_shop=open_shop,
        catalogue=catalogue,
        shop_values=shop_values,
        folder=tmp_path_factory.mktemp("ranker"),
    )
