"""Awkward pictures on their whole way: ingested into a real engine, and looked at where two models get them."""

import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from opensearchpy import OpenSearch
from PIL import Image
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuralshelf.connectors.probe import picture as probe_picture
from neuralshelf.ingestion.admission import admit, picture_limits
from neuralshelf.ingestion.letters.deadletters import DeadLetters
from tests.awkward import LARGE, SMALL
from tests.engine.ingestion.catalogues import written
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.wire import wire_to

QUICK_TO_MAKE = ("a panorama", "a line of 70,000 pixels", "JPEG that is too heavy")
PICTURES = {**SMALL, **{name: LARGE[name] for name in QUICK_TO_MAKE}}

SHOP: Mapping[str, Any] = {
    "connectors": {
        "clip": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512, "max_body": 4_000_000},
        "titan": {"kind": "bedrock-titan-multimodal", "dimension": 256},
    },
    "index": {
        "fields": {"title": "text"},
        "vectors": {
            "clip_vector": {"connector": "clip", "image": "image"},
            "titan_vector": {"connector": "titan", "image": "image"},
        },
    },
    "search": {"keyword": ["title"], "weights": {"keyword": 0.2, "clip_vector": 0.4, "titan_vector": 0.4}},
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
            if encoded is not None and encoded != probe_picture():
                found.append((service, base64.b64decode(encoded, validate=True), len(body)))
        return found


@dataclass(frozen=True)
class Way:
    """What became of all pictures.

    Attributes:
        admitted: name -> bytes to be sent.
        report: of the ingest.
        letters: name -> code.
        vectors: name -> dimensions of its two vectors.
        arrived: what the models were sent, as `Recorder.pictures`.
    """

    admitted: Mapping[str, bytes]
    report: Mapping[str, Any]
    letters: Mapping[str, str]
    vectors: Mapping[str, tuple[int, int]]
    arrived: list[tuple[str, bytes, int]]


@pytest.fixture(scope="module")
def way(client: OpenSearch, engine: Any, serve_models: Callable[..., Any]) -> Iterator[Way]:
    """All pictures, ingested once."""
    recorder = Recorder()
    server = serve_models(wrap=recorder)
    with wire_to(engine.url) as wire, project_in_a_folder(client, wire, server, SHOP) as project:
        project.apply()
        config = project.deployment().config
        limits = picture_limits(config.connectors, config.index)
        admitted = {}
        for name, picture in PICTURES.items():
            data = picture.make()
            (project.folder / _file(name)).write_bytes(data)
            if not picture.refused:
                admitted[name] = admit(data, limits, name).data
        rows = ({"id": name, "title": "one", "image": _file(name)} for name in PICTURES)
        recorder.bodies.clear()
        done = project.run("ingest", str(written(project.folder / "awkward.jsonl", rows)), "--json", code=3)
        letters = DeadLetters.of(client, project.deployment()).find()
        answer = client.mget(index=project.name, body={"ids": list(PICTURES)})
        yield Way(
            admitted,
            done.json,
            {str(letter.document_id): letter.code for letter in letters},
            {
                document["_id"]: (len(document["_source"]["clip_vector"]), len(document["_source"]["titan_vector"]))
                for document in answer["docs"]
                if document["found"]
            },
            recorder.pictures,
        )


def _file(name: str) -> str:
    return f"{list(PICTURES).index(name)}.jpg"


def test_each_picture_is_indexed_or_has_a_letter_with_its_code(way: Way) -> None:
    assert len(PICTURES) >= 60
    assert way.letters == {name: picture.refused for name, picture in PICTURES.items() if picture.refused}
    assert way.vectors == {name: (512, 256) for name, picture in PICTURES.items() if not picture.refused}


def test_the_report_counts_what_was_converted_and_why(way: Way) -> None:
    why = Counter(f"picture converted: {p.becomes}" for p in PICTURES.values() if p.becomes not in ("", "plain"))
    assert {note: count for note, count in way.report["notes"].items() if "picture" in note} == dict(why)
    assert way.report["codes"] == dict(Counter(p.refused for p in PICTURES.values() if p.refused))


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
