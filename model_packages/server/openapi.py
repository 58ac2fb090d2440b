"""The server as an OpenAPI document, made from the contracts of its endpoints."""

from collections.abc import Mapping

from neuralshelf.model_packages.server import detection
from neuralshelf.model_packages.server.contracts import Schema
from neuralshelf.model_packages.server.endpoints import Endpoint, Service

_PATHS = {Service.SAGEMAKER: "/endpoints/{}/invocations", Service.BEDROCK: "/model/{}/invoke"}
_REFUSALS = ("400", "403", "408", "413", "415", "424", "429", "500")


def document(endpoints: Mapping[str, Endpoint], *, detector: bool = False) -> dict[str, object]:
    """OpenAPI 3.1: one path an endpoint, `/ping` and `/`; with `detector` also the path of the detector."""
    paths: dict[str, object] = {
        _PATHS[endpoint.service].format(name): {"post": _operation(name, endpoint)}
        for name, endpoint in endpoints.items()
    }
    if detector:
        path, name = _PATHS[Service.SAGEMAKER], detection.DETECTOR_ENDPOINT
        paths[path.format(name)] = {"post": _post(name, detection.request_schema(), detection.answer_schema())}
    paths["/ping"] = {"get": {"operationId": "ping", "responses": {"200": {"description": "ready"}}}}
    status: Schema = {"type": "object", "required": ["endpoints", "signed", "counters"]}
    paths["/"] = {"get": {"operationId": "status", "responses": {"200": _content("counters", status)}}}
    return {"openapi": "3.1.0", "info": {"title": "neuralshelf model server", "version": "1"}, "paths": paths}


def _operation(name: str, endpoint: Endpoint) -> Schema:
    request = endpoint.contract.request_schema(endpoint.encoder)
    answer = endpoint.contract.answer_schema(endpoint.encoder)
    return _post(name, request, answer)


def _post(name: str, request: Schema, answer: Schema) -> Schema:
    refusals = {status: _content("refused", _refusal_schema()) for status in _REFUSALS}
    return {
        "operationId": name,
        "requestBody": {"required": True, **_content("what to work on", request)},
        "responses": {"200": _content("what came of it", answer), **refusals},
    }


def _refusal_schema() -> Schema:
    message: Schema = {"type": "string"}
    return {
        "type": "object",
        "anyOf": [{"required": ["message"]}, {"required": ["Message"]}],
        "properties": {"message": message, "Message": message},
    }


def _content(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
