"""The CLIP package's handler: the same answers, and the same refusals, whichever way a request comes."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralshelf.connectors.spec import SageMakerClip
from neuralshelf.ingestion.catalogue import Product
from neuralshelf.ingestion.documents import Document
from neuralshelf.ingestion.vectors.transform import write_requests
from neuralshelf.model_packages.functions import PICTURES as MEDIA
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec
from tests.model_packages import small
from tests.model_packages.inputs import BAD, PICTURES, UNUSABLE, body, good
from tests.model_packages.ways import Functions, Served, handler, served

ARCHITECTURES = {"resnet": small.RESNET, "vit": small.VIT}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def functions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Functions:
    folder = small.save_clip(tmp_path_factory.mktemp("model"), ARCHITECTURES[request.param])
    module = handler("clip")
    return Functions(module, module.model_fn(str(folder)))


@pytest.fixture(scope="module")
def ways(functions: Functions) -> Iterator[Served]:
    with served(functions.model) as found:
        yield found


def vector(answer: Any) -> NDArray[np.float32]:
    assert list(answer) == ["embedding", "inputTextTokenCount", "message"]
    assert answer["message"] is None
    return np.asarray(answer["embedding"], np.float32)


def test_each_way_gives_the_same_unit_vector_for_every_input(functions: Functions, ways: Served) -> None:
    dimension = functions.model.encoder.default_dimension
    bodies = good(dimension)
    assert len(bodies) >= 50
    for name, sent in bodies.items():
        direct = functions.answer(sent)
        found = vector(direct)
        assert found.shape == (dimension,), name
        assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5), name
        for other in (ways.container(sent), ways.endpoint(sent), functions.answer(sent.decode())):
            assert np.abs(vector(other) - found).max() <= 1e-6, name
            assert other["inputTextTokenCount"] == direct["inputTextTokenCount"], name


def test_several_requests_in_one_call_have_the_vectors_of_each_alone(functions: Functions) -> None:
    bodies = list(good(functions.model.encoder.default_dimension).values())
    asked = [functions.module.input_fn(sent, "application/json") for sent in bodies]
    embedded = functions.module.predict_fn(asked, functions.model)
    assert all(one.rows.dtype == np.float32 for one in embedded)
    answers = functions.module.output_fn(embedded, "application/json")
    assert len(answers) == len(bodies)
    for sent, answer in zip(bodies, answers, strict=True):
        alone = functions.answer(sent)
        assert np.abs(vector(json.loads(answer)) - vector(alone)).max() <= 1e-5


def test_each_way_refuses_alike(functions: Functions, ways: Served) -> None:
    assert len(BAD) >= 50
    for name, sent in BAD.items():
        status, code, message = functions.refusal(sent)
        assert (status, code, message) == ways.container_refusal(sent), name
        assert ways.endpoint_refusal(sent) == (status, message), name


def test_what_is_wrong_is_said(functions: Functions) -> None:
    assert functions.refusal(b"{}") == (
        400,
        "InputRefused",
        "Malformed input request: #: required key [inputText] or [inputImage] not found, "
        "please reformat your input and try again.",
    )
    assert functions.refusal(b"x" * 6_291_457) == (413, "BodyTooLarge", "Request body is larger than 6291456 bytes")
    assert functions.refusal(b"a,b", "text/csv") == (415, "MediaTypeRefused", "Content type must be application/json")


@pytest.mark.parametrize("media", MEDIA)
def test_a_bare_picture_has_the_vector_it_has_in_a_request(functions: Functions, media: str) -> None:
    for found in list(PICTURES.values())[:4]:
        bare = functions.answer(found.make(), media)
        assert np.array_equal(vector(bare), vector(functions.answer(body(picture=found.make()))))
        assert bare["inputTextTokenCount"] == 0


def test_a_bare_picture_is_refused_as_in_a_request(functions: Functions) -> None:
    for name, found in UNUSABLE.items():
        picture = found.make()
        status, code, message = functions.refusal(picture, "image/jpeg")
        if name == "25 MB and a byte":
            assert (status, code) == (413, "BodyTooLarge")
        else:
            assert (status, code) == (400, "InputRefused")
            assert f" #: {found.refused}: " in message, name
        if 0 < len(picture) < 1_000_000:
            inside = functions.refusal(body(picture=picture))
            assert inside[2].replace("#/inputImage: ", "#: ") == message, name


def test_media_types_are_read_as_the_server_reads_them(functions: Functions, ways: Served) -> None:
    sent = body("a mug")
    expected = vector(functions.answer(sent))
    for media in (None, "application/json; charset=utf-8", "APPLICATION/JSON", "application/octet-stream"):
        assert np.array_equal(vector(functions.answer(sent, media)), expected)
    for media in ("text/plain", "application/jsonlines", "image/tiff", "multipart/form-data"):
        assert functions.refusal(sent, media) == ways.container_refusal(sent, media)


def test_a_failing_model_is_said_without_its_words(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret place")

    monkeypatch.setattr(functions.model.encoder, "encode", fail)
    refusal = functions.refusal(body("a mug"))
    assert refusal == (500, "ModelFailed", "The model failed on this input: RuntimeError")


def test_a_vector_that_is_not_finite_is_not_answered(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    dimension = functions.model.encoder.default_dimension
    monkeypatch.setattr(functions.model.encoder, "encode", lambda *_: np.full((1, dimension), np.nan, np.float32))
    assert functions.refusal(body("a mug")) == (500, "ModelFailed", "The model gave a vector that is not finite")


class Held:
    """A picture in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._data = data

    def read(self, limit: int) -> bytes:
        return self._data


def prepare(document: Document) -> Mapping[str, Any]:
    fields = dict(document.fields)
    if document.picture is not None:
        fields["image"] = base64.b64encode(document.picture.read(10**7)).decode()
    return fields


def test_lines_of_a_batch_transform_have_the_vectors_of_the_endpoint(
    functions: Functions, ways: Served, tmp_path: Path
) -> None:
    dimension = functions.model.encoder.default_dimension
    index = IndexSpec(
        name="shop",
        fields={"title": "text"},
        vectors={
            "text_vector": VectorSpec(connector="clip", text=("title",)),
            "image_vector": VectorSpec(connector="clip", image="image"),
            "joint_vector": VectorSpec(connector="clip", text=("title",), image="image"),
        },
    )
    pictures = {name: found.make() for name, found in PICTURES.items()}
    rows = [
        Product(line, str(line), {"title": f"a {name}"}, (Held(name, data),))
        for line, (name, data) in enumerate(pictures.items(), 1)
    ]
    connector = SageMakerClip(kind="sagemaker-clip", endpoint="clip", dimension=dimension)
    write_requests(rows, tmp_path / "in", index=index, connectors={"clip": connector}, prepare=prepare)
    lines = (tmp_path / "in" / "clip" / "00001.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3 * len(pictures) >= 50
    for line in map(json.loads, lines):
        product = rows[int(line["id"]) - 1]
        picture = pictures[product.pictures[0].name]
        text = product.fields["title"]
        kind = line["vector"]
        given = (text if kind != "image_vector" else None, picture if kind != "text_vector" else None)
        batch = vector(functions.answer(json.dumps(line["input"], ensure_ascii=False)))  # InputFilter $.input
        assert np.abs(batch - vector(ways.endpoint(body(*given)))).max() <= 1e-6
        if kind == "image_vector":
            assert np.abs(batch - vector(functions.answer(picture, "application/x-image"))).max() <= 1e-6
