"""The detector's endpoint against the real AWS SDK; what it finds is given, the rest is real."""

import base64
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import requests
import schemathesis
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from PIL import Image
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance, unsupported_method

from neuralshelf.model_packages.grounding_dino.contract import Detection
from neuralshelf.model_packages.server.detection import DETECTOR_ENDPOINT
from neuralshelf.model_packages.server.limits import Limits
from neuralshelf.model_packages.server.openapi import document

PATH = f"/endpoints/{DETECTOR_ENDPOINT}/invocations"


@dataclass
class Given:
    """Finds a shoe on the left, a mug on the right, or whatever its prompt says."""

    name: str = "given"
    fingerprint: str = "fedcba9876543210"
    gate: threading.Event | None = None

    def detect(
        self, image: NDArray[np.uint8], prompt: str, box_threshold: float, text_threshold: float
    ) -> list[Detection]:
        if self.gate is not None:
            self.gate.wait(30)
        if prompt == "raise":
            raise RuntimeError("asked to")
        there = Detection((0.75, 0.5, 0.5, 1.0), 0.5, "mugs"), Detection((0.25, 0.5, 0.5, 1.0), 0.875, "shoes")
        return [one for one in there if one.phrase in prompt]


@pytest.fixture(scope="module")
def server(_serving: Any) -> Any:
    return _serving(detector=Given())


def picture() -> str:
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def ask(server: Any, **fields: Any) -> Any:
    body = json.dumps({"inputImage": picture(), **fields})
    answer = server.boto("sagemaker-runtime").invoke_endpoint(
        EndpointName=DETECTOR_ENDPOINT, Body=body, ContentType="application/json"
    )
    return json.loads(answer["Body"].read())


def refusal(server: Any, **fields: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        ask(server, **fields)
    found: dict[str, Any] = dict(caught.value.response)
    return found


def test_several_objects_are_boxes_to_choose_from_the_best_first(server: Any) -> None:
    assert ask(server, prompt="shoes . mugs") == {
        "boxes": [[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]],
        "scores": [0.875, 0.5],
        "phrases": ["shoes", "mugs"],
        "fileType": "png",
    }


def test_one_object_is_cropped(server: Any) -> None:
    answer = ask(server, prompt="mugs")
    crop = Image.open(io.BytesIO(base64.b64decode(answer["crop"])))
    assert crop.size == (400, 400)
    assert crop.getextrema() == ((0, 0), (0, 0), (255, 255))
    assert (answer["box"], answer["score"], answer["phrase"]) == ([0.75, 0.5, 0.5, 1.0], 0.5, "mugs")


def test_a_box_is_cropped_without_looking(server: Any) -> None:
    answer = ask(server, prompt="raise", box=[0.25, 0.5, 0.5, 0.5])
    assert Image.open(io.BytesIO(base64.b64decode(answer["crop"]))).size == (400, 200)


def test_nothing_found_is_a_refusal_of_the_container(server: Any) -> None:
    found = refusal(server, prompt="hats")
    assert found["Error"]["Code"] == "ModelError"
    assert found["OriginalStatusCode"] == 400
    assert "NoObjectFound" in found["OriginalMessage"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("not base64!", "InvalidBase64"),
        ("https://shop.example/shoe.jpg", "UrlNotFetched"),
        (base64.b64encode(b"%PDF-1.7").decode(), "UnsupportedFormat"),
        (base64.b64encode(base64.b64decode(picture())[:60]).decode(), "TruncatedPicture"),
    ],
)
def test_bad_pictures_have_the_codes_of_the_other_endpoints(server: Any, sent: str, code: str) -> None:
    found = refusal(server, inputImage=sent)
    assert found["OriginalStatusCode"] == 400
    assert f"#/inputImage: {code}: " in found["OriginalMessage"]
    with pytest.raises(ClientError) as caught:
        server.boto("sagemaker-runtime").invoke_endpoint(
            EndpointName="neuralshelf-clip", Body=json.dumps({"inputImage": sent}), ContentType="application/json"
        )
    assert f"#/inputImage: {code}: " in caught.value.response["OriginalMessage"]  # type: ignore[typeddict-item]


def test_a_bucket_is_not_read_here(server: Any) -> None:
    found = refusal(server, inputImage=None, bucket="photos", file_name="a.jpg")
    assert "BucketNotAllowed" in found["OriginalMessage"]


def test_a_model_that_fails_is_a_server_error(server: Any) -> None:
    found = refusal(server, prompt="raise")
    assert (found["OriginalStatusCode"], found["Error"]["Code"]) == (500, "ModelError")
    assert "RuntimeError" in found["OriginalMessage"]
    assert "asked to" not in found["OriginalMessage"]


def test_an_unsigned_request_is_refused(server: Any) -> None:
    answer = requests.post(f"{server.url}{PATH}", json={"inputImage": picture()}, timeout=20)
    assert answer.status_code == 403


def test_the_status_shows_it_only_where_it_is(server: Any, serve: Any) -> None:
    shown = server.status()["endpoints"][DETECTOR_ENDPOINT]
    assert shown == {"service": "sagemaker", "model": "given", "fingerprint": "fedcba9876543210"}
    without = serve()
    assert DETECTOR_ENDPOINT not in without.status()["endpoints"]
    assert refusal(without)["Error"]["Code"] == "ValidationError"


def test_too_many_pictures_are_throttled_and_searches_go_on(serve: Any) -> None:
    gate = threading.Event()
    full = serve(detector=Given(gate=gate), limits=Limits(max_batch=1, max_queue=1, shutdown=5))
    try:
        with ThreadPoolExecutor(2) as clients:
            asked = [clients.submit(ask, full, prompt="mugs") for _ in range(2)]
            while full.status()["counters"]["waiting"] < 1:
                pass
            assert refusal(full)["Error"]["Code"] == "ThrottlingException"
            text = full.boto("sagemaker-runtime").invoke_endpoint(
                EndpointName="neuralshelf-clip", Body=b'{"inputText": "a"}', ContentType="application/json"
            )
            assert len(json.loads(text["Body"].read())["embedding"]) == 512
            gate.set()
            assert all("crop" in future.result(20) for future in asked)
    finally:
        gate.set()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_it_keeps_to_its_contract(serve: Any, mode: GenerationMode) -> None:
    unsigned = serve(signed=False, detector=Given())
    api = schemathesis.openapi.from_dict(document({}, detector=True))
    excluded: list[Any] = [positive_data_acceptance, negative_data_rejection, unsupported_method]

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=api[PATH]["POST"].as_strategy(generation_mode=mode))
    def keeps(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate(base_url=unsigned.url, excluded_checks=excluded, timeout=20)
        assert mode is GenerationMode.POSITIVE or answer.status_code in (400, 424)

    keeps()
