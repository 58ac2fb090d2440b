"""Signature verification against two independent signers: botocore and requests-aws4auth."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_aws4auth import AWS4Auth

from neuralshelf.model_packages.server.refusals import SignatureRefused
from neuralshelf.model_packages.server.sigv4 import Credential, SignedRequest, Verifier

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-central-1"
VERIFIER = Verifier({KEY: Credential(SECRET)}, REGION)
BODY = b'{"inputText": "a"}'
URL = "http://127.0.0.1:8080/endpoints/neuralshelf-clip/invocations"


def raw_headers(headers: Any, host: str) -> list[tuple[bytes, bytes]]:
    listed = [(name.encode(), _bytes(value)) for name, value in headers.items()]
    return [*listed, (b"Host", host.encode())]


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def received(url: str, headers: Any) -> SignedRequest:
    """The request as a server sees it."""
    parts = urlsplit(url)
    folded = SignedRequest.fold(raw_headers(headers, parts.netloc))
    return SignedRequest("POST", parts.path.encode(), parts.query.encode(), folded)


def by_botocore(
    url: str = URL,
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    *,
    key: str = KEY,
    secret: str = SECRET,
    token: str | None = None,
    region: str = REGION,
    service: str = "sagemaker",
) -> SignedRequest:
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"} | (headers or {}))
    SigV4Auth(Credentials(key, secret, token), service, region).add_auth(request)
    return received(url, request.headers)


def by_aws4auth(url: str, body: bytes, headers: dict[str, str]) -> SignedRequest:
    session = requests.Session()
    given_headers = {"Content-Type": "application/json"} | headers
    request = session.prepare_request(requests.Request("POST", url, data=body, headers=given_headers))
    AWS4Auth(KEY, SECRET, REGION, "sagemaker")(request)
    return received(str(request.url), request.headers)


def verify(
    request: SignedRequest, body: bytes = BODY, verifier: Verifier = VERIFIER, ahead: timedelta = timedelta(0)
) -> None:
    claim = verifier.claim(request, "sagemaker", datetime.now(UTC) + ahead)
    verifier.verify(claim, request, hashlib.sha256(body).hexdigest())


def refusal(request: SignedRequest, body: bytes = BODY, **how: Any) -> SignatureRefused:
    with pytest.raises(SignatureRefused) as caught:
        verify(request, body, **how)
    assert SECRET not in caught.value.message
    return caught.value


def altered(request: SignedRequest, **headers: str | None) -> SignedRequest:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in request.headers.items() if name not in changed}
    return replace(request, headers=kept | {name: value for name, value in changed.items() if value is not None})


segments = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
paths = st.lists(segments.filter(lambda text: text not in (".", "..")), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(quote(part, safe="") for part in parts)
)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'"), min_size=1, max_size=20)
queries = st.lists(st.tuples(segments, st.text(st.characters(codec="utf-8"), max_size=8)), max_size=3).map(
    lambda pairs: "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
)


def url_of(path: str, query: str) -> str:
    return f"http://127.0.0.1:8080{path}" + (f"?{query}" if query else "")


@settings(max_examples=200, deadline=None)
@given(path=paths, query=queries, body=st.binary(max_size=64), value=values)
def test_what_botocore_signs_is_accepted_and_one_changed_byte_is_not(
    path: str, query: str, body: bytes, value: str
) -> None:
    request = by_botocore(url_of(path, query), body, {"X-Amz-Custom": f"  {value}   {value} "})
    verify(request, body)
    assert refusal(request, body + b" ").code == "InvalidSignatureException"
    assert refusal(altered(request, x_amz_custom=value + "x"), body).code == "InvalidSignatureException"
    assert refusal(replace(request, raw_path=request.raw_path + b"x"), body).code == "InvalidSignatureException"
    assert refusal(replace(request, query=request.query + b"&x=1"), body).code == "InvalidSignatureException"
    assert refusal(replace(request, method="PUT"), body).code == "InvalidSignatureException"


@settings(max_examples=200, deadline=None)
@given(path=paths, query=queries, body=st.binary(min_size=1, max_size=64), value=values)
def test_what_aws4auth_signs_is_accepted_and_another_body_is_not(
    path: str, query: str, body: bytes, value: str
) -> None:
    request = by_aws4auth(url_of(path, query), body, {"X-Amz-Custom": value})
    verify(request, body)
    assert refusal(request, body + b" ").code == "InvalidSignatureException"


@pytest.mark.parametrize(
    "path", ["/model/amazon.titan-embed-text-v2%3A0/invoke", "/model/arn%3Aaws%3Ab%2Fc/invoke", "/a//b/../c/./d/", "/"]
)
def test_both_signers_agree_on_model_ids_with_colons_and_on_odd_paths(path: str) -> None:
    url = f"http://127.0.0.1:8080{path}"
    verify(by_botocore(url))
    session = requests.Session()
    request = session.prepare_request(requests.Request("POST", url, data=BODY))
    AWS4Auth(KEY, SECRET, REGION, "sagemaker")(request)
    verify(received(str(request.url), request.headers))


def test_a_repeated_header_is_signed_as_its_values_in_order() -> None:
    folded = SignedRequest.fold([(b"X-Amz-A", b" 2 "), (b"x-amz-a", b"1"), (b"Other", b"o\xe9")])
    assert folded == {"x-amz-a": "2,1", "other": "oé"}


def test_without_an_authorization_header_the_token_is_missing() -> None:
    refused = refusal(altered(by_botocore(), authorization=None))
    assert (refused.status, refused.code) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer abc",
        "Basic dXNlcjpwYXNz",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/x, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a, Credential=b, SignedHeaders=host, Signature=00",
        "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20260101/r/s/aws4_request, SignedHeaders=host, Signature=00",
    ],
)
def test_a_half_authorization_header_is_an_incomplete_signature(header: str) -> None:
    refused = refusal(altered(by_botocore(), authorization=header))
    assert (refused.status, refused.code) == (400, "IncompleteSignatureException")


@pytest.mark.parametrize("stamp", [None, "", "20260101", "20261301T000000Z", "٢٠٢٦٠١٠١T000000Z", "a,b"])
def test_a_missing_or_malformed_date_is_an_incomplete_signature(stamp: str | None) -> None:
    assert refusal(altered(by_botocore(), x_amz_date=stamp)).code == "IncompleteSignatureException"


def test_an_unknown_key_is_unrecognized() -> None:
    refused = refusal(by_botocore(key="AKIDOTHER"))
    assert (refused.status, refused.code) == (403, "UnrecognizedClientException")


def test_a_wrong_secret_does_not_match() -> None:
    refused = refusal(by_botocore(secret="other"))
    assert (refused.status, refused.code) == (403, "InvalidSignatureException")
    assert refused.message.startswith("The request signature we calculated does not match")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"region": "us-east-1"}, "Credential should be scoped to a valid region. "),
        ({"service": "bedrock"}, "Credential should be scoped to correct service: 'sagemaker'. "),
    ],
)
def test_another_scope_is_refused_in_awss_words(change: dict[str, str], said: str) -> None:
    refused = refusal(by_botocore(**change))  # type: ignore[arg-type]
    assert (refused.code, refused.message) == ("InvalidSignatureException", said)


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(16, "Signature expired: "), (5.1, "Signature expired: "), (-16, "Signature not yet current: ")],
)
def test_a_date_outside_the_window_is_refused(minutes: float, said: str) -> None:
    refused = refusal(by_botocore(), ahead=timedelta(minutes=minutes))
    assert refused.code == "InvalidSignatureException"
    assert refused.message.startswith(said)
    assert "5 min.)" in refused.message


@pytest.mark.parametrize("minutes", [4.9, -4.9])
def test_a_date_inside_the_window_is_taken_again_and_again(minutes: float) -> None:
    request = by_botocore()
    for _ in range(2):
        verify(request, ahead=timedelta(minutes=minutes))


def test_the_date_of_the_scope_must_be_the_date_of_the_request() -> None:
    request = by_botocore()
    scope = request.headers["authorization"].replace(request.headers["x-amz-date"][:8], "20200101")
    assert "does not match YYYYMMDD" in refusal(altered(request, authorization=scope)).message


def test_the_scope_must_end_as_the_specification_says() -> None:
    request = by_botocore()
    scope = request.headers["authorization"].replace("/aws4_request", "/aws5_request")
    assert "valid terminator: 'aws4_request'" in refusal(altered(request, authorization=scope)).message


def test_an_unsigned_host_is_refused() -> None:
    request = by_botocore()
    unsigned = request.headers["authorization"].replace("content-type;host;", "content-type;")
    assert "must be a 'SignedHeader'" in refusal(altered(request, authorization=unsigned)).message


def test_another_host_does_not_match() -> None:
    assert refusal(altered(by_botocore(), host="other:8080")).code == "InvalidSignatureException"


def test_a_signed_header_that_did_not_arrive_does_not_match() -> None:
    assert refusal(altered(by_botocore(), content_type=None)).code == "InvalidSignatureException"


@pytest.mark.parametrize("declared", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64])
def test_a_body_that_the_signature_does_not_cover_is_refused(declared: str) -> None:
    refused = refusal(by_botocore(headers={"X-Amz-Content-SHA256": declared}))
    assert refused.code == "InvalidSignatureException"
    assert "'x-amz-content-sha256' header does not match" in refused.message


TEMPORARY = Verifier({KEY: Credential(SECRET, session_token="token+/=")}, REGION)


def test_a_session_token_must_be_the_one_that_belongs_to_the_key() -> None:
    verify(by_botocore(token="token+/="), verifier=TEMPORARY)
    assert refusal(by_botocore(token="stale"), verifier=TEMPORARY).code == "UnrecognizedClientException"
    assert refusal(by_botocore(), verifier=TEMPORARY).code == "UnrecognizedClientException"
    assert refusal(by_botocore(token="token+/=")).code == "UnrecognizedClientException"


def test_an_expired_session_is_named_so() -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    verifier = Verifier({KEY: Credential(SECRET, "t", past)}, REGION)
    refused = refusal(by_botocore(token="t"), verifier=verifier)
    assert (refused.status, refused.code) == (403, "ExpiredTokenException")


def test_secrets_stay_out_of_reprs() -> None:
    request = by_botocore()
    claim = VERIFIER.claim(request, "sagemaker", datetime.now(UTC))
    for shown in (repr(VERIFIER), repr(claim), repr(Credential("s3cret", "t0ken"))):
        assert SECRET not in shown
        assert "s3cret" not in shown
        assert "t0ken" not in shown
