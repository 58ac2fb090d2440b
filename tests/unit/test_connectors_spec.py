"""What a configuration may say about connectors, and what is said about one that it may not."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from neuralshelf.connectors.spec import (
    INGEST_TUNING,
    SEARCH_TUNING,
    TITAN_DIMENSIONS,
    BedrockTitanMultimodal,
    ConnectorName,
    ConnectorSpec,
    SageMakerClip,
    SageMakerText,
)
from neuralshelf.errors import ConfigError
from neuralshelf.frozen import Frozen

TEXT = {"kind": "sagemaker-text", "endpoint": "sentences", "dimension": 384}
CLIP = {"kind": "sagemaker-clip", "endpoint": "clip", "dimension": 512}
TITAN = {"kind": "bedrock-titan-multimodal"}


class Specs(Frozen):
    """The `connectors:` part of a configuration."""

    connectors: dict[ConnectorName, ConnectorSpec]


def parse(values: Mapping[str, Any], name: str = "one") -> ConnectorSpec:
    """One connector, as it is read from a file."""
    return Specs.parse({"connectors": {name: values}}, "neuralshelf.yaml").connectors[name]


def refusal(values: Mapping[str, Any], name: str = "one") -> ConfigError:
    """What is said about a wrong one."""
    with pytest.raises(ConfigError) as caught:
        parse(values, name)
    return caught.value


def test_the_shortest_of_each_kind_has_all_defaults() -> None:
    text, clip, titan = parse(TEXT), parse(CLIP), parse(TITAN)
    assert isinstance(text, SageMakerText)
    assert text.batch_size == 16
    assert isinstance(titan, BedrockTitanMultimodal)
    assert (titan.model_id, titan.dimension) == ("amazon.titan-embed-image-v1", 1024)
    for spec in (text, clip, titan):
        assert spec.tuning("ingest") == INGEST_TUNING
        assert spec.tuning("search") == SEARCH_TUNING


def test_searches_give_up_sooner_than_bulks() -> None:
    assert SEARCH_TUNING.read_timeout < INGEST_TUNING.read_timeout
    assert SEARCH_TUNING.retry_timeout < INGEST_TUNING.retry_timeout
    assert SEARCH_TUNING.max_retry_times < INGEST_TUNING.max_retry_times
    assert SEARCH_TUNING.max_connection < INGEST_TUNING.max_connection


def test_one_value_of_tuning_leaves_the_others_at_the_defaults_of_their_role() -> None:
    spec = parse({**CLIP, "ingest": {"max_connection": 7}, "search": {"read_timeout": 2}})
    assert spec.ingest == INGEST_TUNING.model_copy(update={"max_connection": 7})
    assert spec.search == SEARCH_TUNING.model_copy(update={"read_timeout": 2})


def test_a_spec_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse(TEXT).dimension = 5  # type: ignore[misc]


@pytest.mark.parametrize("dimension", TITAN_DIMENSIONS)
def test_titan_takes_the_dimensions_it_gives(dimension: int) -> None:
    assert parse({**TITAN, "dimension": dimension}).dimension == dimension


@pytest.mark.parametrize("dimension", [0, -1, 255, 512, 1025])
def test_titan_says_which_dimensions_it_gives(dimension: int) -> None:
    said = refusal({**TITAN, "dimension": dimension}).message
    assert f"dimension {dimension} is not one that amazon.titan-embed-image-v1 gives (256, 384, 1024)" in said


@pytest.mark.parametrize(
    ("values", "key", "near"),
    [
        ({**TEXT, "endpont": "x"}, "endpont", "endpoint"),
        ({**TEXT, "batchsize": 4}, "batchsize", "batch_size"),
        ({**CLIP, "dimensions": 4}, "dimensions", "dimension"),
        ({**TITAN, "model": "x"}, "model", "model_id"),
        ({**CLIP, "serach": {}}, "serach", "search"),
        ({**CLIP, "ingest": {"max_connections": 4}}, "max_connections", "max_connection"),
        ({**CLIP, "search": {"read_timout": 4}}, "read_timout", "read_timeout"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(values: Mapping[str, Any], key: str, near: str) -> None:
    fault = refusal(values)
    assert f"{key}'" in fault.message
    assert fault.message.startswith("neuralshelf.yaml: unknown key 'connectors.one.")
    assert fault.hint == f"did you mean {near!r}?"


def test_a_key_of_another_kind_is_unknown_and_the_known_ones_are_listed() -> None:
    fault = refusal({**CLIP, "batch_size": 4})
    assert "batch_size" in fault.message
    assert "batch_size" not in fault.hint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "discriminator 'kind'"),
        ({"kind": "sagemaker"}, "'sagemaker-clip', 'sagemaker-text', 'bedrock-titan-multimodal'"),
        ({"kind": "sagemaker-text", "dimension": 384}, "endpoint: Field required"),
        ({"kind": "sagemaker-clip", "endpoint": "x"}, "dimension: Field required"),
        ({**TEXT, "dimension": "384"}, "dimension: Input should be a valid integer"),
        ({**TEXT, "dimension": 384.0}, "dimension: Input should be a valid integer"),
        ({**TEXT, "dimension": True}, "dimension: Input should be a valid integer"),
        ({**TEXT, "dimension": 0}, "greater than or equal to 1"),
        ({**TEXT, "dimension": 16_001}, "less than or equal to 16000"),
        ({**TEXT, "batch_size": 0}, "greater than or equal to 1"),
        ({**TEXT, "batch_size": 257}, "less than or equal to 256"),
        ({**TEXT, "endpoint": ""}, "endpoint: String should match pattern"),
        ({**TEXT, "endpoint": "a/b"}, "endpoint: String should match pattern"),
        ({**TEXT, "endpoint": "a-"}, "endpoint: String should match pattern"),
        ({**TEXT, "endpoint": "a" * 64}, "endpoint: String should match pattern"),
        ({**TEXT, "endpoint": "a\n"}, "endpoint: String should match pattern"),
        ({**TEXT, "endpoint": "${parameters.region}"}, "endpoint: String should match pattern"),
        ({**TITAN, "model_id": "a b"}, "model_id: String should match pattern"),
        ({**TITAN, "model_id": "../../x?y"}, "model_id: String should match pattern"),
        ({**CLIP, "ingest": {"max_connection": 0}}, "greater than or equal to 1"),
        ({**CLIP, "ingest": {"read_timeout": 0}}, "greater than or equal to 1"),
        ({**CLIP, "search": {"max_retry_times": -1}}, "greater than or equal to 0"),
        ({**CLIP, "search": []}, "valid dictionary or instance of ClientTuning"),
        ({**CLIP, "search": None}, "valid dictionary or instance of ClientTuning"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_file_and_key(values: Mapping[str, Any], said: str) -> None:
    fault = refusal(values)
    assert fault.message.startswith("neuralshelf.yaml: connectors.one")
    assert said in fault.message
    assert "\n" not in str(fault)


@pytest.mark.parametrize("name", ["", "Text", "a b", "a_b", "1a", "a=b", "a" * 42, "ä", "a\n"])
def test_a_connector_has_a_name_that_ml_commons_takes(name: str) -> None:
    assert "should match pattern" in refusal(TEXT, name).message


@pytest.mark.parametrize("name", ["text", "search", "ingest", "picture-2"])
def test_a_connector_may_be_called_as_a_key_is(name: str) -> None:
    assert parse(TEXT, name).kind == "sagemaker-text"


def test_what_a_model_takes_can_be_said_within_bounds() -> None:
    serverless = parse({**CLIP, "max_body": 4_000_000, "max_tokens": 64})
    assert isinstance(serverless, SageMakerClip)
    assert (serverless.max_body, serverless.max_tokens) == (4_000_000, 64)
    for values in ({**CLIP, "max_body": 999_999}, {**CLIP, "max_body": 25_000_001}, {**TEXT, "max_tokens": 0}):
        assert "max_" in refusal(values).message
    assert "max_body" in refusal({**TITAN, "max_body": 1_000_000}).message, "Bedrock's limit is not ours to set"
