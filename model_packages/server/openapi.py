"""The server as an OpenAPI document, made from the contracts of its endpoints."""

from collections.abc import Mapping

from neuralshelf.model_packages.server.contracts import Schema
from neuralshelf.model_packages.server.endpoints import Endpoint, Service

_PATHS = {Service.SAGEMAKER: "/endpoints/{}/invocations", Service.BEDROCK: "/model/{}/invoke"}
_REFUSALS = ("400", "403", "408", "413", "415", "424", "429", "500")


def document(endpoints: Mapping[str, Endpoint]) -> dict[str, object]:
    """OpenAPI 3.1: one path an endpoint, `/ping` and `/`."""
    paths: dict[str, object] = {
        _PATHS[endpoint.service].format(name): {"post": _operation(name, endpoint)}
        for name, endpoint in endpoints.items()
    }
    paths["/ping"] = {"get": {"operationId": "ping", "responses": {"200": {"description": "ready"}}}}
    status: Schema = {"type": "object", "required": ["endpoints", "signed", "counters"]}
    paths["/"] = {"get": {"operationId": "status", "responses": {"200": _content("counters", status)}}}
    return {"openapi": "3.1.0", "info": {"title": "neuralshelf model server", "version": "1"}, "paths": paths}


def _operation(name: str, endpoint: Endpoint) -> Schema:
    request = endpoint.contract.request_schema(endpoint.encoder)
    answer = endpoint.contract.answer_schema(endpoint.encoder)
    refusals = {status: _content("refused", _refusal_schema()) for status in _REFUSALS}
    return {
        "operationId": name,
        "requestBody": {"required": True, **_content("what to embed", request)},
        "responses": {"200": _content("vectors", answer), **refusals},
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
