"""Signatures over real HTTP: both signers pass unchanged, and a refusal is the exception AWS callers know."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from requests_aws4auth import AWS4Auth

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CLIP = "/endpoints/neuralshelf-clip/invocations"
TITAN = "/model/amazon.titan-embed-image-v1/invoke"
JSON = {"Content-Type": "application/json"}


def post(server: Any, path: str, service: str, body: object, **changes: str) -> requests.Response:
    options = {"key": "AKIDEXAMPLE", "secret": SECRET, "region": "us-east-1"} | changes
    auth = AWS4Auth(options["key"], options["secret"], options["region"], service)
    return requests.post(server.url + path, data=json.dumps(body), auth=auth, headers=JSON, timeout=20)


@pytest.mark.parametrize(("path", "service"), [(CLIP, "sagemaker"), (TITAN, "bedrock")])
def test_requests_aws4auth_passes_unchanged(server: Any, path: str, service: str) -> None:
    answer = post(server, path, service, {"inputText": "a"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["embedding"]


def test_an_unsigned_request_is_refused_before_its_body_is_parsed(server: Any) -> None:
    answer = requests.post(server.url + CLIP, data=b"{ not json", headers=JSON, timeout=20)
    assert answer.status_code == 403
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    assert answer.json() == {"message": "Missing Authentication Token"}


def test_the_signature_of_one_service_is_not_taken_by_the_other(server: Any) -> None:
    answer = post(server, TITAN, "sagemaker", {"inputText": "a"})
    assert answer.status_code == 403
    assert answer.json()["message"] == "Credential should be scoped to correct service: 'bedrock'. "


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"aws_access_key_id": "AKIDNOBODY"}, "UnrecognizedClientException"),
        ({"region_name": "eu-west-1"}, "InvalidSignatureException"),
        ({"aws_session_token": "stale"}, "UnrecognizedClientException"),
    ],
)
@pytest.mark.parametrize("service", ["sagemaker-runtime", "bedrock-runtime"])
def test_boto3_raises_awss_code(server: Any, service: str, change: dict[str, str], code: str) -> None:
    client = server.boto(service, **change)
    if service == "sagemaker-runtime":
        invoke = partial(client.invoke_endpoint, EndpointName="neuralshelf-clip", Body=b'{"inputText":"a"}')
    else:
        invoke = partial(client.invoke_model, modelId="amazon.titan-embed-image-v1", body=b'{"inputText":"a"}')
    with pytest.raises(ClientError) as caught:
        invoke()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_temporary_credentials_pass_with_their_session_token(server: Any) -> None:
    client = server.boto(
        "bedrock-runtime",
        aws_access_key_id="ASIATEMPORARY",
        aws_secret_access_key="temporary-secret",
        aws_session_token="token/with+signs==",
    )
    assert client.invoke_model(modelId="amazon.titan-embed-image-v1", body=b'{"inputText":"a"}')["body"].read()


@pytest.mark.parametrize(("minutes", "said"), [(16, "Signature expired"), (-16, "Signature not yet current")])
def test_a_clock_16_minutes_off_is_refused(serve: Any, minutes: int, said: str) -> None:
    server = serve(clock=lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(ClientError, match=said):
        server.boto("bedrock-runtime").invoke_model(modelId="amazon.titan-embed-image-v1", body=b"{}")


def test_a_presigned_url_is_not_taken(server: Any) -> None:
    client = server.boto("bedrock-runtime")
    url = client.generate_presigned_url(
        "invoke_model", {"modelId": "amazon.titan-embed-image-v1", "body": b'{"inputText":"a"}'}, HttpMethod="POST"
    )
    answer = requests.post(url, data=b'{"inputText":"a"}', timeout=20)
    assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"


def test_the_container_route_does_not_go_around_the_signature(server: Any) -> None:
    assert requests.post(server.url + "/invocations", data=b'{"inputText":"a"}', timeout=20).status_code == 404


def test_the_container_mode_takes_unsigned_requests_on_every_route(open_server: Any) -> None:
    for path in ("/invocations", CLIP, TITAN):
        answer = requests.post(open_server.url + path, json={"inputText": "a"}, timeout=20)
        assert answer.status_code == 200, answer.text


def test_the_container_answers_plain_http_statuses(open_server: Any) -> None:
    answer = requests.post(open_server.url + "/invocations", json={}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (400, "InputRefused")
