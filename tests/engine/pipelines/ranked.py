"""What tests of ranking share: a shop with a ranker that has moods, and people who do things."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuralshelf.model_packages.ranker.contract import Contract
from neuralshelf.model_packages.ranker.ranking import Ranker, Taste
from neuralshelf.model_packages.ranker.store import Interaction, Interactions

SIZE = 6
READ_TIMEOUT = 1
TEXT = "teapot mug chair number"
NONSENSE = {
    "a page": "<html><body>Sign in</body></html>",
    "cut off": '{"personalizedRanking": [{"itemId": "gold", "sc',
    "nothing": "{}",
    "a list": "[1, 2]",
    "no notes": '{"personalizedRanking": [{"itemId": "gold", "score": 1.0}]}',
    "not all items": '{"personalizedRanking": [{"itemId": "gold"}, {"itemId": "~~000 1.0 false 0.0 1.0 9 18"}]}',
    "not all notes": '{"personalizedRanking": [{"itemId": "gold"}, {"itemId": "~~000 1.0 false 0.0 1.0 1 18"}]}',
    "no numbers": '{"personalizedRanking": [{"itemId": "gold", "score": "much"}]}',
}
NOW = time.time()  # what people like fades: the same moment for the cluster's ranker and for the one it is held against


def ranker(store: Interactions) -> Ranker:
    """Knows at once what others liked together."""
    return Ranker(store, Taste(refresh=0), clock=lambda: NOW)


@dataclass
class Mood:
    """The ranker: up, "strict" (as Personalize: items that nobody met come last, with 0), "down" (500), "hanging", or
    one that answers NONSENSE."""

    now: str = "up"
    asked: int = 0

    def wrap(self, app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == "/personalize-ranking":
                self.asked += 1
                if self.now == "hanging":
                    await asyncio.sleep(4 * READ_TIMEOUT)
                if self.now == "strict":
                    await app(scope, receive, _Strict(send))
                    return
                if self.now in NONSENSE:
                    await Response(NONSENSE[self.now], 200, media_type="application/json")(scope, receive, send)
                    return
                if self.now != "up":
                    await PlainTextResponse("gone", 500)(scope, receive, send)
                    return
            await app(scope, receive, send)

        return wrapped


@dataclass
class _Strict:
    """Sends a ranking on as Personalize would: items of no interaction last, without a score, in any order."""

    send: Send
    start: Message | None = None
    body: bytes = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        self.body += message.get("body", b"")
        if message.get("more_body"):
            return
        answer = json.loads(self.body)
        ranked = answer["personalizedRanking"]
        met = [one for one in ranked if one["itemId"] in ("gold", "blue")]
        other = [{"itemId": one["itemId"], "score": 0.0} for one in reversed(ranked) if one not in met]
        total = sum(one["score"] for one in met)
        met = [{"itemId": one["itemId"], "score": one["score"] / total, "promotionName": None} for one in met]
        response = JSONResponse({"personalizedRanking": met + other, "recommendationId": "RID-1"})
        assert self.start is not None
        await self.send({**self.start, "headers": response.raw_headers})
        await self.send({"type": "http.response.body", "body": response.body})


@dataclass(frozen=True)
class Ranked:
    """A shop whose hits are ranked."""

    shop: Any
    store: Interactions
    mood: Mood

    def ask(self, size: int = SIZE, **params: Any) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = self.shop.ask(text=TEXT, size=size, **params)
        return hits

    def order(self, **params: Any) -> list[str]:
        return ids(self.ask(**params))

    def did(self, user: str, *items: str, event: str = "purchase") -> None:
        self.store.add([Interaction(user, item, event, NOW - n) for n, item in enumerate(items)])


def ids(hits: Sequence[Mapping[str, Any]]) -> list[str]:
    return [hit["_id"] for hit in hits]


@contextmanager
def ranked_shop(
    name: str,
    ranking: Mapping[str, Any],
    *,
    open_shop: Any,
    catalogue: Any,
    shop_values: Mapping[str, Any],
    folder: Path,
) -> Iterator[Ranked]:
    """The shop of the other tests, called `name`, with this section `ranking`."""
    mood, store = Mood(), Interactions(folder / "interactions.db")
    values = {
        **shop_values,
        "project": name,
        "index": {**shop_values["index"], "name": name},
        "search": {**shop_values["search"], "template": f"{name}-search"},
        "ranking": ranking,
    }
    shop = open_shop(values, ranker=Contract(ranker(store)), wrap=mood.wrap)
    assert not shop.index_all({product.id: product.document for product in catalogue})
    yield Ranked(shop, store, mood)
    store.close()
