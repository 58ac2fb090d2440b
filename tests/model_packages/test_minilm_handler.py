"""The MiniLM package's handler: the same answers, and the same refusals, whichever way a request comes."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuralshelf.connectors.spec import SageMakerText
from neuralshelf.ingestion.catalogue import Product
from neuralshelf.ingestion.documents import Document
from neuralshelf.ingestion.vectors.transform import write_requests
from neuralshelf.model_packages.minilm.torch_encoder import ModelFilesError
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec
from tests.model_packages import small
from tests.model_packages.inputs import BAD_LISTS, LISTS, TEXTS
from tests.model_packages.ways import Functions, Served, handler, served

SIZE = 48


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Functions:
    module = handler("minilm")
    return Functions(module, module.model_fn(str(small.save_bert(tmp_path_factory.mktemp("model")))))


@pytest.fixture(scope="module")
def ways(functions: Functions) -> Iterator[Served]:
    with served(functions.model) as found:
        yield found


def vectors(answer: Any) -> NDArray[np.float32]:
    return np.asarray(answer, np.float32)


def texts_in(sent: bytes) -> int:
    value = json.loads(sent)
    value = value["inputs"] if isinstance(value, dict) else value
    return 1 if isinstance(value, str) else len(value)


def test_each_way_gives_the_same_unit_vectors_for_every_input(functions: Functions, ways: Served) -> None:
    assert len(LISTS) >= 50
    for name, sent in LISTS.items():
        found = vectors(functions.answer(sent))
        assert found.shape == (texts_in(sent), SIZE), name
        assert np.abs(np.linalg.norm(found, axis=1) - 1).max() <= 1e-5, name
        assert np.array_equal(vectors(functions.answer(sent.decode())), found), name
        for other in (ways.container(sent), ways.endpoint(sent)):
            assert np.abs(vectors(other) - found).max() <= 1e-6, name


def test_several_requests_in_one_call_have_the_vectors_of_each_alone(functions: Functions) -> None:
    asked = [functions.module.input_fn(sent, "application/json") for sent in LISTS.values()]
    embedded = functions.module.predict_fn(asked, functions.model)
    assert all(one.rows.dtype == np.float32 for one in embedded)
    answers = functions.module.output_fn(embedded, "application/json")
    for sent, answer in zip(LISTS.values(), answers, strict=True):
        assert np.abs(vectors(json.loads(answer)) - vectors(functions.answer(sent))).max() <= 1e-5


def test_each_way_refuses_alike(functions: Functions, ways: Served) -> None:
    assert len(BAD_LISTS) >= 30
    for name, sent in BAD_LISTS.items():
        status, code, message = functions.refusal(sent)
        assert (status, code, message) == ways.container_refusal(sent), name
        assert ways.endpoint_refusal(sent) == (status, message), name


def test_what_is_wrong_is_said(functions: Functions) -> None:
    again = ", please reformat your input and try again."
    refused = {
        b"[]": "Malformed input request: #: expected 1 to 256 texts, found: 0" + again,
        b'["a", 5]': "Malformed input request: #/1: expected type: String, found: Integer" + again,
    }
    for sent, message in refused.items():
        assert functions.refusal(sent) == (400, "InputRefused", message)
    assert functions.refusal(b"x" * 6_291_457) == (413, "BodyTooLarge", "Request body is larger than 6291456 bytes")


@pytest.mark.parametrize("media", ["text/csv", "image/png", "application/x-image", "text/plain"])
def test_other_media_types_are_refused_as_the_server_does(functions: Functions, ways: Served, media: str) -> None:
    assert functions.refusal(b'["a"]', media) == ways.container_refusal(b'["a"]', media)
    assert functions.refusal(b'["a"]', media)[:2] == (415, "MediaTypeRefused")


def test_the_environment_says_how_tokens_are_pooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, folder = handler("minilm"), str(small.save_bert(tmp_path))
    default = module.model_fn(folder).encoder.fingerprint
    monkeypatch.setenv("POOLING", "mean")
    assert module.model_fn(folder).encoder.fingerprint == default
    monkeypatch.setenv("POOLING", "first-token")
    assert module.model_fn(folder).encoder.fingerprint != default
    monkeypatch.setenv("POOLING", "cls")
    with pytest.raises(ModelFilesError, match="POOLING must be one of mean, first-token; next: "):
        module.model_fn(folder)


def prepare(document: Document) -> Mapping[str, Any]:
    return dict(document.fields)


def test_lines_of_a_batch_transform_have_the_vectors_of_the_endpoint(
    functions: Functions, ways: Served, tmp_path: Path
) -> None:
    index = IndexSpec(
        name="shop",
        fields={"title": "text", "brand": "text"},
        vectors={"text_vector": VectorSpec(connector="words", text=("title", "brand"))},
    )
    rows = [
        Product(line, str(line), {"title": text, "brand": "Acme"}, ()) for line, text in enumerate(TEXTS.values(), 1)
    ]
    rows += [Product(100 + n, str(100 + n), {"title": f"mug {n}", "brand": "Acme"}, ()) for n in range(30)]
    connector = SageMakerText(kind="sagemaker-text", endpoint="words", dimension=SIZE)
    write_requests(rows, tmp_path / "in", index=index, connectors={"words": connector}, prepare=prepare)
    lines = (tmp_path / "in" / "words" / "00001.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert len(lines) == len(rows) >= 50
    for line in map(json.loads, lines):
        sent = json.dumps(line["input"], ensure_ascii=False)  # InputFilter $.input
        batch = vectors(functions.answer(sent))
        assert batch.shape == (1, SIZE)
        assert np.abs(batch - vectors(ways.endpoint(sent.encode()))).max() <= 1e-6
