"""Personalize Runtime and Personalize Events, signed for `personalize`, before the local ranker."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from neuralshelf.model_packages.ranker.contract import Contract, ResourceMissing
from neuralshelf.model_packages.server.bodies import Body
from neuralshelf.model_packages.server.dialects import Said
from neuralshelf.model_packages.server.exchange import Exchange, read_signed, require_plain
from neuralshelf.model_packages.server.refusals import CONTAINER_STATUS, Refusal, SignatureRefused, Throttled
from neuralshelf.model_packages.server.sigv4 import Verifier

MAX_BODY = 262_144
"""500 items of 256 characters fit."""


class Personalize:
    """Both services' way of speaking: InvalidInputException and ResourceNotFoundException."""

    service = "personalize"

    def say(self, refusal: Refusal | None) -> Said:
        if refusal is None:
            return Said(500, "InternalServerException", {"message": "An internal server error occurred."})
        if isinstance(refusal, SignatureRefused):
            return Said(refusal.status, refusal.code, {"message": refusal.message})
        if isinstance(refusal, ResourceMissing):
            return Said(404, "ResourceNotFoundException", {"message": refusal.message})
        if isinstance(refusal, Throttled):
            return Said(429, "ThrottlingException", {"message": refusal.message})
        status = CONTAINER_STATUS[type(refusal)]
        code = "InvalidInputException" if status < 500 else "InternalServerException"
        return Said(status, code, {"message": refusal.message})


def personalize_routes(
    contract: Contract, exchange: Exchange, verifier: Verifier | None, clock: Callable[[], datetime]
) -> list[Route]:
    """POST /personalize-ranking and POST /events."""

    def route(path: str, answer: Callable[[bytes], dict[str, object]]) -> Route:
        async def invoke(request: Request, body: Body, request_id: str) -> Response:
            require_plain(request)
            content = await read_signed(request, body, verifier, Personalize.service, clock(), MAX_BODY)
            answered = await asyncio.to_thread(answer, content)
            return Response(orjson.dumps(answered), 200, {"x-amzn-RequestId": request_id}, "application/json")

        async def handle(request: Request) -> Response:
            def asked(body: Body, request_id: str) -> Awaitable[Response]:
                return invoke(request, body, request_id)

            return await exchange.answer(request, Personalize(), asked)

        return Route(path, handle, methods=["POST"])

    return [route("/personalize-ranking", contract.ranking), route("/events", contract.put_events)]
