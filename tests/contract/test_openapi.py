"""Bodies made by schemathesis from the contracts' own schemas: what is promised is kept, what is not is refused."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance, unsupported_method

from neuralshelf.model_packages.server.endpoints import standard_endpoints
from neuralshelf.model_packages.server.openapi import document

PATHS = [
    "/endpoints/neuralshelf-clip/invocations",
    "/endpoints/neuralshelf-minilm/invocations",
    "/model/amazon.titan-embed-image-v1/invoke",
]


def run(server: Any, path: str, method: str, mode: GenerationMode, excluded: list[Any]) -> None:
    api = schemathesis.openapi.from_dict(document(standard_endpoints(server.multimodal, server.text)))

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def keeps_to_its_contract(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate(base_url=server.url, excluded_checks=excluded, timeout=20)
        assert mode is GenerationMode.POSITIVE or answer.status_code in (400, 424)

    keeps_to_its_contract()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_server_keeps_to_its_contracts(open_server: Any, path: str, mode: GenerationMode) -> None:
    # A random string is no picture, so a body that fits the schema may still be refused; and SageMaker's status for
    # a refused body is 424, which schemathesis does not take for a refusal (`run` does).
    run(open_server, path, "POST", mode, [positive_data_acceptance, negative_data_rejection, unsupported_method])


def test_every_list_of_texts_that_fits_the_schema_is_embedded(open_server: Any) -> None:
    run(open_server, PATHS[1], "POST", GenerationMode.POSITIVE, [unsupported_method])


@pytest.mark.parametrize("path", ["/ping", "/"])
def test_the_open_routes_answer(open_server: Any, path: str) -> None:
    run(open_server, path, "GET", GenerationMode.POSITIVE, [unsupported_method])
