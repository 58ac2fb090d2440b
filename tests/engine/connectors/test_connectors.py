"""Connectors on a real engine: made, kept, changed; what they send for texts and pictures; what a probe says."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import RequestError
from PIL import Image
from pydantic import SecretStr

from neuralshelf.connectors.probe import probe
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ROLES
from neuralshelf.errors import ProvisionError
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.provision.apply import apply
from neuralshelf.provision.plan import Action
from neuralshelf.resource import Kind

PICTURED = ("picture", "titan")


def picture(colour: tuple[int, int, int]) -> str:
    """A small PNG as base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


RED, BLUE = picture((200, 30, 30)), picture((30, 30, 200))


def test_applying_twice_changes_nothing(wire: Any) -> None:
    assert {change.action for change in wire.plan().changes} == {Action.KEEP}


@pytest.mark.parametrize("logical", ["text", "picture", "titan"])
@pytest.mark.parametrize("role", ROLES)
def test_the_model_of_each_role_answers_a_probe(wire: Any, logical: str, role: Any) -> None:
    spec = wire.specs[logical]
    answered = probe(wire.client, wire.model(logical, role), spec, name=f"{logical}-{role}")
    assert answered.dimension == spec.dimension
    assert 0 < answered.seconds < 60


def test_a_role_has_a_connector_of_its_own_with_all_tuning_written_out(wire: Any) -> None:
    connectors = {}
    for role in ROLES:
        model = wire.client.transport.perform_request("GET", f"/_plugins/_ml/models/{wire.model('picture', role)}")
        path = f"/_plugins/_ml/connectors/{model['connector_id']}"
        connectors[role] = wire.client.transport.perform_request("GET", path)
        tuning = wire.specs["picture"].tuning(role)
        kept = connectors[role]["client_config"]
        assert kept == {
            "max_connection": tuning.max_connection,
            "connection_timeout": tuning.connection_timeout,
            "read_timeout": tuning.read_timeout,
            "max_retry_times": tuning.max_retry_times,
            "retry_timeout_seconds": tuning.retry_timeout,
            "retry_backoff_millis": tuning.retry_backoff,
            "retry_backoff_policy": "exponential_full_jitter",
            "skip_ssl_verification": False,
        }
    assert connectors["ingest"]["name"] == "wire-picture-ingest"
    assert connectors["search"]["name"] == "wire-picture-search"


def test_no_answer_of_the_engine_holds_the_secret_key(wire: Any) -> None:
    answer = wire.client.transport.perform_request("POST", "/_plugins/_ml/connectors/_search", body={"size": 100})
    assert len(answer["hits"]["hits"]) >= 6
    assert wire.server.secret_key not in str(answer)
    assert wire.server.access_key not in str(answer)


def test_what_a_cluster_trusts_by_default_stays_trusted(wire: Any) -> None:
    key = "plugins.ml_commons.trusted_connector_endpoints_regex"
    before = wire.client.cluster.get_settings(flat_settings=True)["persistent"]
    try:
        wire.client.cluster.put_settings(body={"persistent": {key: None}})
        settings = wire.client.cluster.get_settings(flat_settings=True, include_defaults=True)
    finally:
        wire.client.cluster.put_settings(body={"persistent": {key: before[key]}})
    defaults = settings["defaults"][key]
    assert set(defaults) < set(before[key])
    for host in ("runtime.sagemaker", "bedrock-runtime"):  # what connectors to AWS call
        url = f"https://{host}.eu-central-1.amazonaws.com/path"
        assert any(re.match(pattern, url) for pattern in defaults)


def test_an_address_that_is_not_ours_is_not_trusted(wire: Any) -> None:
    (connector,) = [r for r in wire.resources() if r.address == "connector/wire-text-search"]
    action = connector.body["actions"][0] | {"url": wire.server.url.replace("http://", "http://evil.") + "/x"}
    body = {**connector.body, "actions": [action], "credential": {"access_key": "a", "secret_key": "b"}}
    with pytest.raises(RequestError, match="not matching the trusted connector endpoint regex"):
        wire.client.transport.perform_request("POST", "/_plugins/_ml/connectors/_create", body=body)


@pytest.mark.parametrize("logical", PICTURED)
@pytest.mark.parametrize(
    ("document", "arrives"),
    [
        ({"text": "a ${parameters.region} cup"}, ("a ${parameters.region} cup", False)),
        ({"image": RED}, (None, True)),
        ({"text": "null", "image": RED}, ("null", True)),
    ],
    ids=["text", "picture", "both"],
)
def test_a_document_sends_what_it_has_and_nothing_else(
    wire: Any, logical: str, document: dict[str, str], arrives: tuple[str | None, bool]
) -> None:
    before = len(wire.server.multimodal.samples)
    assert not wire.bulk(logical, {"one": document})
    (sample,) = wire.server.multimodal.samples[before:]
    assert (sample.text, sample.image is not None) == arrives
    assert len(wire.vectors(logical, ["one"])["one"]) == wire.specs[logical].dimension


@pytest.mark.parametrize("logical", PICTURED)
def test_queries_by_text_by_picture_and_by_both_find_their_document_first(wire: Any, logical: str) -> None:
    documents: Mapping[str, Mapping[str, str]] = {
        "kettle": {"text": "an iron kettle"},
        "red": {"image": RED},
        "blue-kettle": {"text": "an iron kettle", "image": BLUE},
    }
    assert not wire.bulk(logical, documents)
    wire.client.indices.refresh(index=wire.index(logical))
    questions = [
        {"query_text": "an iron kettle"},
        {"query_image": RED},
        {"query_text": "an iron kettle", "query_image": BLUE},
    ]
    hits = [answer["hits"]["hits"][0] for answer in wire.ask(logical, questions)]
    assert [hit["_id"] for hit in hits] == list(documents)
    assert all(hit["_score"] == pytest.approx(1.0, abs=1e-5) for hit in hits)


@pytest.mark.parametrize("logical", PICTURED)
@pytest.mark.parametrize("image", [RED + '","inputText":"smuggled', "${parameters.region}", "\\", '"'])
def test_a_picture_field_cannot_smuggle_a_text_in(wire: Any, logical: str, image: str) -> None:
    before = len(wire.server.multimodal.samples)
    failed = wire.bulk(logical, {"bad": {"image": image}, "good": {"text": "a good neighbour"}})
    assert set(failed) == {"bad"}
    assert "InvalidBase64" in failed["bad"]["reason"]
    assert [sample.text for sample in wire.server.multimodal.samples[before:]] == ["a good neighbour"]


@pytest.mark.parametrize("logical", PICTURED)
def test_base64_in_lines_is_a_picture(wire: Any, logical: str) -> None:
    wrapped = base64.encodebytes(base64.b64decode(RED)).decode("ascii")
    assert "\n" in wrapped.strip()
    assert not wire.bulk(logical, {"plain": {"image": RED}, "wrapped": {"image": wrapped}})
    kept = wire.vectors(logical, ["plain", "wrapped"])
    assert kept["plain"] == kept["wrapped"]


def test_texts_of_a_bulk_travel_in_batches_and_each_gets_its_own_vector(wire: Any) -> None:
    documents = {f"t{n}": {"text": f"thing number {n} " + "and more " * (n % 7)} for n in range(40)}
    assert wire.requests(lambda: wire.bulk("text", documents)) == 3  # 16 + 16 + 8
    for name, vector in wire.vectors("text", documents).items():
        expected = wire.server.text.encode([Sample(documents[name]["text"])], 384)[0]
        assert vector == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "said", "hint"),
    [
        (
            {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 300},
            "300 is not a valid enum value, of [384, 512, 1024]",
            "correct dimension of this connector",
        ),
        (
            {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 512},
            "gives vectors of 384, the configuration says 512",
            "correct dimension of this connector, or the endpoint",
        ),
        (
            {"kind": "sagemaker-clip", "endpoint": "nobody", "dimension": 512},
            "Endpoint nobody of account",
            "correct endpoint or model_id of this connector, or the region",
        ),
        (
            {"kind": "bedrock-titan-multimodal", "model_id": "amazon.titan-embed-image-v1:0"},
            "The provided model identifier is invalid",
            "correct endpoint or model_id of this connector, or the region",
        ),
    ],
    ids=["dimension-of-clip", "dimension-of-text", "endpoint", "model-id-with-a-colon"],
)
def test_a_probe_says_what_is_wrong_with_an_endpoint(
    make_wire: Any, request: pytest.FixtureRequest, kind: Mapping[str, Any], said: str, hint: str
) -> None:
    prefix = "bad-" + request.node.callspec.id
    made = make_wire(prefix, {"bad": kind})
    made.apply()
    with pytest.raises(ProvisionError) as caught:
        probe(made.client, made.model("bad", "search"), made.specs["bad"], name=f"{prefix}-bad-search")
    assert said in caught.value.message
    assert caught.value.message.startswith(f"{prefix}-bad-search: ")
    assert caught.value.hint == hint


@dataclass
class ConstantEncoder:
    """A model that looks at nothing: the same vector for everything."""

    value: float
    name: str = "constant"
    dimensions: tuple[int, ...] = (256, 384, 512, 1024)
    default_dimension: int = 512
    fingerprint: str = "0" * 16

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        return np.full((len(samples), dimension), self.value, dtype=np.float32)

    def count_tokens(self, text: str) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.5, "gives one and the same vector for a text and for a picture"),
        (0.0, "gives no usable vector"),
        (float("nan"), "does not answer"),
    ],
    ids=["constant", "zero", "nan"],
)
def test_a_probe_does_not_take_vectors_that_mean_nothing(
    make_wire: Any, request: pytest.FixtureRequest, value: float, said: str
) -> None:
    prefix = request.node.callspec.id
    kinds = {"picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512}}
    made = make_wire(prefix, kinds, multimodal=ConstantEncoder(value))
    made.apply()
    with pytest.raises(ProvisionError, match=said):
        probe(made.client, made.model("picture", "ingest"), made.specs["picture"], name=f"{prefix}-picture-ingest")


def test_a_probe_tells_wrong_credentials_and_mending_them_is_one_apply(make_wire: Any) -> None:
    kinds = {"text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384}}
    made = make_wire("keys", kinds, secret_key="not-the-key")
    made.apply()
    model = made.model("text", "search")
    with pytest.raises(ProvisionError) as caught:
        probe(made.client, model, made.specs["text"], name="keys-text-search")
    assert caught.value.hint == "check the credentials, and that they may invoke it"
    assert made.server.secret_key not in str(caught.value)

    runtime = made.runtime.at(made.server.url, made.server.access_key, SecretStr(made.server.secret_key))
    mended = type(made)(made.client, made.server, made.prefix, runtime, made.specs)
    assert {c.resource.kind for c in mended.plan().changes if c.action is Action.REPLACE} == {Kind.CONNECTOR}
    apply(made.client, mended.plan())
    assert mended.model("text", "search") == model
    probe(made.client, model, made.specs["text"], name="keys-text-search")


def test_a_probe_tells_an_endpoint_that_nobody_listens_at(make_wire: Any) -> None:
    made = make_wire("gone", {"text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384}})
    port = made.server.url.rsplit(":", 1)[1]
    nobody = made.runtime.at(made.server.url.removesuffix(port) + "9", "AKIA", SecretStr("secret"))
    gone = type(made)(made.client, made.server, made.prefix, nobody, made.specs)
    gone.apply()
    with pytest.raises(ProvisionError, match="Error communicating with remote model") as caught:
        probe(made.client, gone.model("text", "search"), made.specs["text"], name="gone-text-search")
    assert caught.value.hint == "check that it runs and that the cluster reaches it"


def test_connectors_to_aws_are_taken_without_a_change_of_cluster_settings(wire: Any) -> None:
    access, secret, token = SecretStr("AKIA"), SecretStr("secret"), SecretStr("token")
    runtime = Runtime("eu-central-1", access_key=access, secret_key=secret, session_token=token)
    aws = type(wire)(wire.client, wire.server, "aws", runtime, wire.specs)
    actions = {change.resource.kind: change.action for change in aws.plan().changes}
    assert actions[Kind.SETTINGS] is Action.KEEP
    assert actions[Kind.CONNECTOR] is Action.CREATE
    aws.apply()
    assert [change.as_dict() for change in aws.plan().changes if change.action is not Action.KEEP] == []


def test_a_role_on_a_cluster_that_is_not_amazons_is_refused_by_name(wire: Any) -> None:
    runtime = Runtime("eu-central-1", role_arn="arn:aws:iam::123456789012:role/models")
    roled = type(wire)(wire.client, wire.server, "roled", runtime, wire.specs)
    with pytest.raises(ProvisionError, match=r"connector/roled-picture-ingest: refused by the cluster .*credential"):
        roled.apply()
