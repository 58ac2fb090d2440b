"""The server against the real AWS SDK: answers, and errors as the exception classes a caller would catch."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
import requests
from botocore.exceptions import ClientError
from PIL import Image
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from neuralshelf.model_packages.encoder import Sample

TITAN = "amazon.titan-embed-image-v1"


def png(colour: str = "red", size: tuple[int, int] = (32, 24)) -> str:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def invoke_titan(server: Any, body: object, model: str = TITAN, **changes: Any) -> dict[str, Any]:
    answer = server.boto("bedrock-runtime", **changes).invoke_model(modelId=model, body=json.dumps(body))
    parsed: dict[str, Any] = json.loads(answer["body"].read())
    return parsed


def invoke_endpoint(server: Any, name: str, body: object, **parameters: Any) -> Any:
    answer = server.boto("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=json.dumps(body), **({"ContentType": "application/json"} | parameters)
    )
    return json.loads(answer["Body"].read())


def test_titan_answers_a_text_with_its_own_shape(server: Any) -> None:
    answer = invoke_titan(server, {"inputText": "a red wine glass"})
    assert set(answer) == {"embedding", "inputTextTokenCount", "message"}
    assert len(answer["embedding"]) == 1024
    assert answer["inputTextTokenCount"] == 4
    assert answer["message"] is None
    assert np.linalg.norm(answer["embedding"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("length", [256, 384, 1024])
def test_titan_gives_the_length_asked_for(server: Any, length: int) -> None:
    body = {"inputImage": png(), "embeddingConfig": {"outputEmbeddingLength": length}}
    assert len(invoke_titan(server, body)["embedding"]) == length


def test_titan_mixes_text_and_picture(server: Any) -> None:
    both = invoke_titan(server, {"inputText": "red", "inputImage": png()})["embedding"]
    text = invoke_titan(server, {"inputText": "red"})["embedding"]
    image = invoke_titan(server, {"inputImage": png()})["embedding"]
    assert both != text
    assert both != image


def test_a_null_field_is_the_same_as_an_absent_one(server: Any) -> None:
    absent = invoke_titan(server, {"inputText": "red"})
    assert invoke_titan(server, {"inputText": "red", "inputImage": None, "embeddingConfig": None}) == absent


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "required key [inputText] or [inputImage] not found"),
        ({"inputText": None}, "required key"),
        ({"inputText": ""}, "#/inputText: expected minLength: 1, actual: 0"),
        ({"inputText": 5}, "#/inputText: expected type: String, found: Integer"),
        ({"inputText": "a", "prompt": "b"}, "extraneous key"),
        ({"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 512}}, "not a valid enum value"),
        ({"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": True}}, "found: Boolean"),
        ({"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": "256"}}, "found: String"),
        ({"inputText": "a", "embeddingConfig": [256]}, "found: JSONArray"),
        ([], "#: expected type: JSONObject, found: JSONArray"),
        ({"inputImage": "https://example.com/a.jpg"}, "UrlNotFetched"),
        ({"inputText": "\ud800"}, "lone surrogate"),
        ({"inputText": "a" * 50_001}, "#/inputText: expected maxLength: 50000, actual: 50001"),
        ({"inputText": "word " * 257}, "Too many input tokens. Max input tokens: 256, request input token count: 257"),
        ({"inputImage": png(size=(2049, 2048))}, "400 Bad Request: Image exceeds max pixels allowed."),
    ],
)
def test_titan_refuses_a_wrong_body_as_a_validation_exception(server: Any, body: object, said: str) -> None:
    client = server.boto("bedrock-runtime")
    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.invoke_model(modelId=TITAN, body=json.dumps(body))
    assert said in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("model", ["amazon.titan-embed-text-v2:0", "amazon.titan-embed-image-v1:0", "neuralshelf-clip"])
def test_an_unknown_model_id_is_refused_in_bedrocks_words_after_its_signature_held(server: Any, model: str) -> None:
    with pytest.raises(ClientError) as caught:
        invoke_titan(server, {"inputText": "a"}, model=model)
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The provided model identifier is invalid.",
    }


def test_an_arn_as_model_id_is_verified_and_unknown(server: Any) -> None:
    arn = "arn:aws:bedrock:us-east-1:000000000000:provisioned-model/abcdefghijkl"
    with pytest.raises(ClientError, match="model identifier is invalid"):
        invoke_titan(server, {"inputText": "a"}, model=arn)


def test_the_clip_endpoint_speaks_titans_shape_with_its_own_default_length(server: Any) -> None:
    answer = invoke_endpoint(server, "neuralshelf-clip", {"inputText": "a", "inputImage": png()})
    assert len(answer["embedding"]) == 512
    assert answer["message"] is None
    longer = {"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 1024}}
    assert len(invoke_endpoint(server, "neuralshelf-clip", longer)["embedding"]) == 1024


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", None])
def test_the_content_type_may_carry_a_charset_or_be_left_out(server: Any, content_type: str | None) -> None:
    client = server.boto("sagemaker-runtime")
    given = {} if content_type is None else {"ContentType": content_type}
    answer = client.invoke_endpoint(EndpointName="neuralshelf-minilm", Body=b'"hello"', **given)
    assert len(json.loads(answer["Body"].read())) == 1


@pytest.mark.parametrize("body", [["b", "a", "b"], {"inputs": ["b", "a", "b"]}])
def test_the_text_endpoint_answers_one_vector_a_text_in_order(server: Any, body: object) -> None:
    first, second, third = invoke_endpoint(server, "neuralshelf-minilm", body)
    assert first == third != second
    assert len(first) == 384
    assert invoke_endpoint(server, "neuralshelf-minilm", "a") == [second]


@pytest.mark.parametrize(
    "body",
    [[], {}, 7, None, [["a"]], ["a", None], {"inputs": []}, {"inputs": "a", "x": 1}, ["a"] * 257, ["a" * 1_048_577]],
    ids=lambda body: json.dumps(body)[:20],
)
def test_the_text_endpoint_refuses_other_bodies_as_a_model_error(server: Any, body: object) -> None:
    client = server.boto("sagemaker-runtime")
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="neuralshelf-minilm", Body=json.dumps(body))
    assert caught.value.response["OriginalStatusCode"] == 400
    assert "Malformed input request" in caught.value.response["OriginalMessage"]


def test_an_unknown_endpoint_is_a_validation_error(server: Any) -> None:
    client = server.boto("sagemaker-runtime")
    with pytest.raises(client.exceptions.ValidationError, match=r"Endpoint nobody of account 0+ not found"):
        client.invoke_endpoint(EndpointName="nobody", Body=b"{}")


def test_a_bedrock_model_is_not_a_sagemaker_endpoint(server: Any) -> None:
    client = server.boto("sagemaker-runtime")
    with pytest.raises(client.exceptions.ValidationError):
        client.invoke_endpoint(EndpointName=TITAN, Body=b"{}")


@pytest.mark.parametrize("text", ["NAN", "RAISE"])
def test_a_model_that_fails_is_a_model_error_and_never_a_vector(server: Any, text: str) -> None:
    sagemaker, bedrock = server.boto("sagemaker-runtime"), server.boto("bedrock-runtime")
    body = json.dumps({"inputText": text})
    with pytest.raises(sagemaker.exceptions.ModelError) as caught:
        sagemaker.invoke_endpoint(EndpointName="neuralshelf-clip", Body=body)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert caught.value.response["OriginalStatusCode"] == 500
    with pytest.raises(bedrock.exceptions.ModelErrorException) as refused:
        bedrock.invoke_model(modelId=TITAN, body=body)
    assert refused.value.response["originalStatusCode"] == 500


def test_text_arrives_byte_exact(server: Any) -> None:
    """The toy model hashes the text, so one changed byte would give another vector."""
    hostile = ['"', "\\", "\x00\x01", "${parameters.region}", "\U0001f469‍\U0001f4bb", '{"a":1}', "  ", "‮\ufeff"]
    answers = invoke_endpoint(server, "neuralshelf-minilm", hostile)
    for text, answer in zip(hostile, answers, strict=True):
        assert invoke_endpoint(server, "neuralshelf-minilm", [text])[0] == answer
        expected = server.text.encode([Sample(text=text)], 384)[0]
        np.testing.assert_array_equal(np.float32(answer), expected)


class Teapot:
    """A middleware that answers some requests itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._app
        if scope["type"] == "http" and (b"x-teapot", b"1") in scope["headers"]:
            answer = Response(status_code=418)
        await answer(scope, receive, send)


def test_a_middleware_stands_around_everything(serve: Any) -> None:
    server = serve(signed=False, middleware=[Middleware(Teapot)])
    for path in ("/ping", "/endpoints/neuralshelf-clip/invocations", "/nothing"):
        assert requests.post(server.url + path, headers={"X-Teapot": "1"}, timeout=20).status_code == 418
    assert requests.get(server.url + "/ping", timeout=20).status_code == 200
