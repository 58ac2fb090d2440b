"""Awkward pictures on their whole way: admitted, sent in bulks to a real engine, looked at where models get them."""

import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from opensearchpy import OpenSearch
from PIL import Image
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuralshelf.bulk import index_all
from neuralshelf.deployment import Config
from neuralshelf.ingestion.admission import PictureLimits, Refused, admit, picture_limits
from tests.awkward import LARGE, SMALL
from tests.engine.pipelines.conftest import OpenShop

QUICK_TO_MAKE = ("a panorama", "a line of 70,000 pixels", "JPEG that is too heavy")
PICTURES = {**SMALL, **{name: LARGE[name] for name in QUICK_TO_MAKE}}

SHOP: Mapping[str, Any] = {
    "project": "awkward",
    "connectors": {
        "clip": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512, "max_body": 4_000_000},
        "titan": {"kind": "bedrock-titan-multimodal", "dimension": 256},
    },
    "index": {
        "name": "awkward",
        "fields": {"title": "text"},
        "vectors": {
            "clip_vector": {"connector": "clip", "image": "image"},
            "titan_vector": {"connector": "titan", "image": "image"},
        },
    },
    "search": {
        "template": "awkward-search",
        "keyword": ["title"],
        "weights": {"keyword": 0.2, "clip_vector": 0.4, "titan_vector": 0.4},
    },
}


@dataclass
class Recorder:
    """Around a model server: keeps the bodies of all requests, by the first part of their path."""

    bodies: list[tuple[str, bytes]] = field(default_factory=list)

    def __call__(self, app: ASGIApp) -> ASGIApp:
        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            body = bytearray()

            async def heard() -> Message:
                message = await receive()
                if message["type"] == "http.request":
                    body.extend(message.get("body", b""))
                    if not message.get("more_body", False) and body:
                        self.bodies.append((scope["path"].split("/")[1], bytes(body)))
                return message

            await app(scope, heard, send)

        return recorded

    @property
    def pictures(self) -> list[tuple[str, bytes, int]]:
        """(`endpoints` or `model`, picture, bytes of the request) of all requests with one."""
        found = []
        for service, body in self.bodies:
            encoded = json.loads(body).get("inputImage")
            if encoded is not None:
                found.append((service, base64.b64decode(encoded, validate=True), len(body)))
        return found


@dataclass(frozen=True)
class Way:
    """What became of all pictures: admitted bytes and refusals by name, and what the two models were sent."""

    limits: PictureLimits
    admitted: Mapping[str, bytes]
    converted: Mapping[str, str]
    refused: Mapping[str, str]
    failed: Mapping[str, str]
    arrived: list[tuple[str, bytes, int]]


@pytest.fixture(scope="module")
def way(client: OpenSearch, serve_models: Callable[..., Any], open_shop: OpenShop) -> Way:
    """All pictures, sent once."""
    recorder = Recorder()
    open_shop(SHOP, serve_models(wrap=recorder))
    config = Config.parse(SHOP, "shop.yaml")
    limits = picture_limits(config.connectors, config.index)
    admitted, converted, refused, documents = {}, {}, {}, {}
    for number, (name, picture) in enumerate(PICTURES.items()):
        try:
            found = admit(picture.make(), limits, name)
        except Refused as fault:
            refused[name] = fault.code
            continue
        admitted[name] = found.data
        converted[name] = found.converted or "plain"
        documents[name] = {"title": f"picture {number}", "image": base64.b64encode(found.data).decode()}
    failed = {done.id: done.error for done in index_all(client, "awkward", documents) if done.error is not None}
    return Way(limits, admitted, converted, refused, failed, recorder.pictures)


def test_each_picture_ends_plain_or_refused_with_its_code(way: Way) -> None:
    assert len(PICTURES) >= 60
    assert way.refused == {name: picture.refused for name, picture in PICTURES.items() if picture.refused}
    assert way.converted == {name: picture.becomes for name, picture in PICTURES.items() if picture.becomes}


def test_every_admitted_picture_gets_its_vector_of_each_model(way: Way, client: OpenSearch) -> None:
    assert way.failed == {}
    client.indices.refresh(index="awkward")
    hits = client.search(index="awkward", body={"size": 100, "query": {"match_all": {}}})["hits"]["hits"]
    assert {hit["_id"] for hit in hits} == set(way.admitted)
    for hit in hits:
        assert len(hit["_source"]["clip_vector"]) == 512
        assert len(hit["_source"]["titan_vector"]) == 256


def test_both_models_get_the_admitted_bytes_and_nothing_else(way: Way) -> None:
    sent = Counter(way.admitted.values())
    for service in ("endpoints", "model"):
        assert Counter(data for kind, data, _ in way.arrived if kind == service) == sent


def test_what_arrives_is_plain_and_within_the_limits_of_both_models(way: Way) -> None:
    assert way.arrived
    for _, data, size in way.arrived:
        assert size <= 4_000_000
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            image.load()
            assert image.mode in ("RGB", "L")
            assert image.format != "PNG" or data[24] == 8, "8 bits"
            assert getattr(image, "n_frames", 1) == 1
            assert image.getexif().get(0x0112, 1) == 1
            assert not image.has_transparency_data
            assert max(image.size) <= 2048
