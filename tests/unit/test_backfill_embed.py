"""Vectors of a whole catalogue by models in this process: those that a server gives, in a file that can be gone on
with."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.connectors.spec import SageMakerClip, SageMakerText
from neuralshelf.deployment import Config, Deployment
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.documents import Document
from neuralshelf.ingestion.vectors.files import Faulty, Given, VectorFiles
from neuralshelf.local.embed import Embedder
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.server.endpoints import CLIP_ENDPOINT, TEXT_ENDPOINT, standard_endpoints
from neuralshelf.pipelines.spec import IndexSpec, SearchSpec, VectorSpec
from neuralshelf.pipelines.stamps import stamp
from neuralshelf.settings import Environment
from tests.engine.fixtures import ToyEncoder

SIZES = {"text_vector": 384, "image_vector": 512}
CONFIG = Config(
    project="shop",
    connectors={
        "text": SageMakerText(kind="sagemaker-text", endpoint=TEXT_ENDPOINT, dimension=384),
        "picture": SageMakerClip(kind="sagemaker-clip", endpoint=CLIP_ENDPOINT, dimension=512),
    },
    index=IndexSpec(
        name="shop",
        fields={"title": "text", "product_id": "keyword"},
        product="product_id",
        vectors={
            "text_vector": VectorSpec(connector="text", text=("title",)),
            "image_vector": VectorSpec(connector="picture", image="image"),
        },
    ),
    search=SearchSpec(keyword=("title",), weights={"keyword": 0.4, "text_vector": 0.3, "image_vector": 0.3}),
)
SHOP = Deployment(CONFIG, Environment(name="test"))


@dataclass(frozen=True)
class Drawn:
    """A picture of one colour."""

    name: str
    colour: int

    def read(self, limit: int) -> bytes:
        out = BytesIO()
        Image.new("RGB", (8, 8), (self.colour, 40, 200 - self.colour)).save(out, "PNG")
        return out.getvalue()


def prepare(document: Document) -> dict[str, Any]:
    body = dict(document.fields)
    if document.picture is not None:
        if document.picture.name == "bad":
            raise Refused("DamagedPicture", "bad")
        body["image"] = base64.b64encode(document.picture.read(10_000)).decode()
    return body


def products(count: int) -> list[Product | BadLine]:
    """Product p1 has two pictures, p2 none."""
    rows: list[Product | BadLine] = []
    for n in range(count):
        pictures = (Drawn("x", n % 200), Drawn("y", (n + 50) % 200))
        rows.append(Product(n + 1, f"p{n}", {"title": f"Product {n}"}, pictures[: 2 if n == 1 else 0 if n == 2 else 1]))
    return rows


class Counting(ToyEncoder):
    """A toy that stops when it has embedded enough."""

    left = 10**9

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().encode(samples, dimension)


def embedder(deployment: Deployment = SHOP, *, left: int = 10**9) -> Embedder:
    encoder = Counting()
    encoder.left = left
    return Embedder(deployment, standard_endpoints(encoder, encoder), prepare)


def read(path: Path) -> dict[tuple[str, str], tuple[list[float], str | None]]:
    lines = list(VectorFiles([path], SIZES))
    assert not [line for line in lines if isinstance(line, Faulty)]
    given = [line for line in lines if isinstance(line, Given)]
    assert len({(line.id, line.field) for line in given}) == len(given)
    return {(line.id, line.field): (line.vector.tolist(), line.made_from) for line in given}


def test_each_document_gets_the_vectors_of_its_text_and_its_picture_with_stamps(tmp_path: Path) -> None:
    done = embedder().run(products(70), tmp_path / "v.jsonl")
    assert done.made == {"text_vector": 71, "image_vector": 70}
    found = read(tmp_path / "v.jsonl")
    assert len(found) == 141
    assert ("p1/2", "image_vector") in found
    assert ("p2", "image_vector") not in found
    encoder = ToyEncoder()
    vector, made_from = found["p33", "text_vector"]
    assert vector == encoder.encode([Sample(text="Product 33")], 384)[0].tolist()
    assert made_from == stamp("shop-test-v1", "Product 33")
    picture = prepare(Document("p33", {}, Drawn("x", 33), 1, "p33"))["image"]
    vector, made_from = found["p33", "image_vector"]
    pixels = np.full((8, 8, 3), (33, 40, 167), np.uint8)
    assert vector == encoder.encode([Sample(image=pixels)], 512)[0].tolist()
    assert made_from == stamp("shop-test-v1", picture)


@pytest.mark.parametrize("torn", [0, 1, 700, 5000])
def test_an_interrupted_run_is_gone_on_with_whatever_it_left_of_its_last_line(tmp_path: Path, torn: int) -> None:
    out = tmp_path / "v.jsonl"
    with pytest.raises(KeyboardInterrupt):
        embedder(left=3).run(products(40), out, batch=16)
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) - torn])
    again = embedder()
    done = again.run(products(40), out, batch=16)
    assert done.skipped in (14, 15, 16)
    assert again.run(products(40), out).made == {}
    embedder().run(products(40), tmp_path / "once.jsonl")
    assert read(out) == read(tmp_path / "once.jsonl")


def test_what_is_refused_gets_no_line_and_is_told(tmp_path: Path) -> None:
    rows = products(5)
    rows += [
        BadLine(6, None, "not JSON"),
        Product(7, "bad", {"title": "x"}, (Drawn("bad", 1),)),
        Product(8, "e", {}, ()),
    ]
    done = embedder().run(rows, tmp_path / "v.jsonl")
    assert done.refused == {"BadLine": 1, "DamagedPicture": 1}
    assert done.examples == ["row 6: BadLine: not JSON", "row 7: DamagedPicture: bad"]
    assert {identity for identity, _ in read(tmp_path / "v.jsonl")} == {"p0", "p1", "p1/2", "p2", "p3", "p4"}


def test_a_file_of_another_catalogue_is_left_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "v.jsonl"
    embedder().run(products(5), out)
    before = out.read_bytes()
    others: list[Product | BadLine] = [Product(1, "other", {"title": "x"}, ())]
    with pytest.raises(InputError, match="'p4', which is not in this catalogue"):
        embedder().run(others, out)
    assert out.read_bytes() == before
    out.write_text("some notes\n")
    with pytest.raises(InputError, match="something else than vectors"):
        embedder().run(others, out)
    with pytest.raises(InputError, match="Is a directory"):
        embedder().run(others, tmp_path)


def test_a_connector_that_no_local_model_answers_is_refused(tmp_path: Path) -> None:
    connectors: Mapping[str, Any] = {
        **CONFIG.connectors,
        "text": CONFIG.connectors["text"].model_copy(update={"endpoint": "x"}),
    }
    other = Deployment(CONFIG.model_copy(update={"connectors": connectors}), SHOP.environment)
    with pytest.raises(ConfigError, match="connector text: no model here answers for 'x'"):
        embedder(other)


def test_a_line_is_json_of_its_own_and_short(tmp_path: Path) -> None:
    embedder().run(products(1), tmp_path / "v.jsonl")
    (line,) = (tmp_path / "v.jsonl").read_text().splitlines()
    assert list(json.loads(line)) == ["id", "text_vector_from", "image_vector_from", "text_vector", "image_vector"]
    assert len(line) < 6 * (384 + 512) + 300
