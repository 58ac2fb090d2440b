"""The contract of Amazon Personalize: GetPersonalizedRanking (Personalize Runtime) and PutEvents (Personalize Events).

    POST /personalize-ranking
    {"campaignArn", "inputList": [item, …], "userId"}     → {"personalizedRanking": [{"itemId", "score"}, …],
                                                            "recommendationId"}; the best first, scores sum to 1
    POST /events
    {"trackingId", "sessionId", "userId", "eventList": [{"eventType", "sentAt", "itemId", "eventValue", …}, …]}  → {}

Lengths and numbers are those of the API reference (docs.aws.amazon.com/personalize/latest/dg/API_Operations.html) and
of "Amazon Personalize endpoints and quotas". What somebody does who did not log in is kept under the session's id: ask
for a ranking with it in the place of the user's.
"""

import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from neuralshelf.model_packages.ranker.ranking import Ranker
from neuralshelf.model_packages.ranker.store import Interaction
from neuralshelf.model_packages.server.jsonbody import kind, parse
from neuralshelf.model_packages.server.refusals import InputRefused

CAMPAIGN = re.compile(r"arn:aws[a-z-]*:personalize:[a-z0-9-]+:000000000000:campaign/[A-Za-z0-9_-]{1,63}")
"""Any campaign of the account that is nobody's: all are the one ranker."""

TRACKER = "neuralshelf"

MOST_ITEMS = 500
MOST_EVENTS = 10
LONGEST = 256
"""Characters of an id or a type."""

_RANKING = {"campaignArn", "inputList", "userId", "context", "filterArn", "filterValues", "metadataColumns"}
_EVENTS = {"trackingId", "sessionId", "userId", "eventList"}
_EVENT = {
    *("eventId", "eventType", "eventValue", "itemId", "properties", "sentAt", "recommendationId", "impression"),
    "metricAttribution",
}


class ResourceMissing(InputRefused):
    """No such campaign or event tracker here."""


@dataclass(frozen=True)
class Contract:
    """A ranker as one campaign and one event tracker."""

    ranker: Ranker

    def ranking(self, body: bytes) -> dict[str, object]:
        """The answer to GetPersonalizedRanking.

        Raises:
            ResourceMissing, InputRefused: the message names the field, never its value.
        """
        asked = _object(parse(body), _RANKING)
        if not CAMPAIGN.fullmatch(_text(asked, "campaignArn")):
            raise ResourceMissing("Campaign not found")
        for field in ("filterArn", "metadataColumns"):
            if asked.get(field):
                raise InputRefused(f"{field} is not supported here")
        items = _list(asked, "inputList", MOST_ITEMS)
        names = [_text({"inputList": item}, "inputList") for item in items]
        ranked = self.ranker.rank(_text(asked, "userId"), names)
        ranking = [{"itemId": item, "score": score} for item, score in ranked]
        return {"personalizedRanking": ranking, "recommendationId": f"RID-{uuid.uuid4()}"[:40]}

    def put_events(self, body: bytes) -> dict[str, object]:
        """Keep what PutEvents brings, all of it or nothing; the next ranking knows it.

        Raises:
            ResourceMissing, InputRefused: as `ranking`.
        """
        asked = _object(parse(body), _EVENTS)
        if _text(asked, "trackingId") != TRACKER:
            raise ResourceMissing("Event tracker not found")
        session = _text(asked, "sessionId")
        user = _text(asked, "userId") if asked.get("userId") is not None else session
        events = [_object(event, _EVENT) for event in _list(asked, "eventList", MOST_EVENTS)]
        self.ranker.store.add([found for event in events if (found := _interaction(user, event))])
        return {}


def _interaction(user: str, event: Mapping[str, object]) -> Interaction | None:
    """None for an event without an item, which says nothing about any."""
    what, at = _text(event, "eventType"), _number(event, "sentAt")
    value = _number(event, "eventValue") if event.get("eventValue") is not None else None
    return Interaction(user, _text(event, "itemId"), what, at, value) if event.get("itemId") is not None else None


def _object(value: object, known: set[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InputRefused(f"expected an object, found {kind(value)}")
    if unknown := sorted(set(value) - known):
        raise InputRefused(f"unknown field {unknown[0][:LONGEST]}")
    return value


def _list(of: Mapping[str, object], field: str, most: int) -> list[object]:
    found = of.get(field)
    if not isinstance(found, list) or not 1 <= len(found) <= most:
        raise InputRefused(f"{field} must be a list of 1 to {most}")
    return found


def _text(of: Mapping[str, object], field: str) -> str:
    found = of.get(field)
    if not isinstance(found, str) or not 1 <= len(found) <= LONGEST:
        raise InputRefused(f"{field} must be text of 1 to {LONGEST} characters")
    return found


def _number(of: Mapping[str, object], field: str) -> float:
    found = of.get(field)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise InputRefused(f"{field} must be a number")
    return float(found)
