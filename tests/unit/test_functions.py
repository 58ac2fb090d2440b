"""The handlers' common functions, with a small model and without SageMaker's toolkit."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from neuralshelf.model_packages import functions
from neuralshelf.model_packages.functions import Asked
from neuralshelf.model_packages.server.contracts import TEXTS, Multimodal
from neuralshelf.model_packages.server.endpoints import Endpoint, Service
from neuralshelf.model_packages.server.limits import SAGEMAKER_MAX_BODY
from neuralshelf.model_packages.server.refusals import BodyTooLarge, InputRefused, MediaTypeRefused, ModelFailed
from tests import awkward
from tests.engine.fixtures import ToyEncoder

PICTURE = awkward.encoded(awkward.scene(), "PNG")
JSON = "application/json"


@pytest.fixture
def multimodal() -> Endpoint:
    encoder = ToyEncoder()
    return Endpoint(Service.SAGEMAKER, Multimodal(encoder.dimensions), encoder)


@pytest.fixture
def texts() -> Endpoint:
    return Endpoint(Service.SAGEMAKER, TEXTS, ToyEncoder())


def answer(model: Endpoint, body: str | bytes, media: str | None = JSON) -> Any:
    embedded = functions.predict_fn(functions.input_fn(body, media), model)
    written = functions.output_fn(embedded, JSON)
    assert isinstance(written, bytes)
    return json.loads(written)


def test_text_picture_and_bare_picture(multimodal: Endpoint) -> None:
    encoded = base64.b64encode(PICTURE).decode()
    text = answer(multimodal, '{"inputText": "a red mug"}')
    assert len(text["embedding"]) == multimodal.encoder.default_dimension
    assert text["inputTextTokenCount"] == 3
    inside = answer(multimodal, json.dumps({"inputImage": encoded}).encode())
    assert answer(multimodal, PICTURE, "image/png; x=y") == inside == answer(multimodal, PICTURE, "application/x-image")
    assert inside["embedding"] != text["embedding"]


def test_a_list_of_requests_is_one_call_with_an_answer_for_each(texts: Endpoint) -> None:
    bodies = (b'["a", "b"]', b'"c"', b'["d", "e", "f"]')
    embedded = functions.predict_fn([functions.input_fn(body, JSON) for body in bodies], texts)
    answers = functions.output_fn(embedded, JSON)
    assert isinstance(answers, list)
    assert [json.loads(one) for one in answers] == [answer(texts, body) for body in bodies]


def test_refusals_are_the_servers(multimodal: Endpoint, texts: Endpoint) -> None:
    with pytest.raises(BodyTooLarge, match=str(SAGEMAKER_MAX_BODY)):
        functions.input_fn(b"x" * (SAGEMAKER_MAX_BODY + 1), JSON)
    with pytest.raises(InputRefused, match="required key"):
        answer(multimodal, b"{}")
    with pytest.raises(InputRefused, match=r"^400 Bad Request: #: UnsupportedFormat: "):
        answer(multimodal, b"GIF", "image/gif")
    with pytest.raises(InputRefused, match=r"^400 Bad Request: Image exceeds max pixels allowed\. #: TooManyPixels: "):
        answer(multimodal, awkward.bomb(6_400), "image/png")
    for model, media in ((multimodal, "text/csv"), (texts, "image/png")):
        with pytest.raises(MediaTypeRefused, match="must be application/json"):
            functions.predict_fn(Asked(PICTURE, media), model)


@pytest.mark.parametrize("broken", [np.full((1, 384), np.inf, np.float32), np.ones((1, 3)), None])
def test_a_model_that_fails_is_not_the_clients_fault(
    texts: Endpoint, monkeypatch: pytest.MonkeyPatch, broken: object
) -> None:
    monkeypatch.setattr(texts.encoder, "encode", lambda *_: broken)
    with pytest.raises(ModelFailed):
        answer(texts, b'"a"')
