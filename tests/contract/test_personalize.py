"""Amazon Personalize's own clients of boto3, unchanged, before the local ranker."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from neuralshelf.model_packages.ranker.contract import TRACKER
from neuralshelf.model_packages.ranker.store import Interactions

CAMPAIGN = "arn:aws:personalize:us-east-1:000000000000:campaign/neuralshelf"


@pytest.fixture
def runtime(running: Any) -> Any:
    return running.boto("personalize-runtime")


@pytest.fixture
def events(running: Any) -> Any:
    return running.boto("personalize-events")


def ranked(runtime: Any, user: str, *items: str) -> list[str]:
    answer = runtime.get_personalized_ranking(campaignArn=CAMPAIGN, inputList=list(items), userId=user)
    assert answer["recommendationId"]
    return [entry["itemId"] for entry in answer["personalizedRanking"]]


def event(item: str, **more: Any) -> dict[str, Any]:
    return {"eventType": "view", "itemId": item, "sentAt": datetime.now(UTC), **more}


def put(events: Any, *listed: dict[str, Any], user: str | None = "ann", session: str = "s1", **more: Any) -> None:
    who = {} if user is None else {"userId": user}
    events.put_events(**({"trackingId": TRACKER, "sessionId": session, "eventList": list(listed)} | who | more))


def test_an_event_changes_the_next_ranking_within_a_second(runtime: Any, events: Any) -> None:
    assert ranked(runtime, "ann", "vase", "mug") == ["vase", "mug"]
    begun = time.monotonic()
    put(events, event("mug"))
    assert ranked(runtime, "ann", "vase", "mug") == ["mug", "vase"]
    assert time.monotonic() - begun < 1
    assert ranked(runtime, "ben", "vase", "mug") == ["vase", "mug"]


def test_scores_are_the_best_first_and_sum_to_one(runtime: Any, events: Any) -> None:
    put(events, event("c", eventType="purchase", eventValue=12.5), event("a"))
    answer = runtime.get_personalized_ranking(campaignArn=CAMPAIGN, inputList=["a", "b", "c"], userId="ann")
    scores = [entry["score"] for entry in answer["personalizedRanking"]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert [entry["itemId"] for entry in answer["personalizedRanking"]] == ["c", "a", "b"]


def test_a_session_without_a_login_is_ranked_by_its_own_id(runtime: Any, events: Any) -> None:
    put(events, event("mug"), user=None, session="anonymous-7")
    assert ranked(runtime, "anonymous-7", "vase", "mug") == ["mug", "vase"]


def test_an_event_without_an_item_is_taken_and_kept_nowhere(events: Any, store: Interactions) -> None:
    put(events, {"eventType": "search", "sentAt": datetime.now(UTC), "properties": '{"query": "mug"}'})
    assert store.summary().interactions == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"campaignArn": CAMPAIGN.replace("0" * 12, "1" * 12)}, "ResourceNotFoundException"),
        ({"inputList": []}, "InvalidInputException"),
        ({"inputList": ["x"] * 501}, "InvalidInputException"),
        ({"inputList": [""]}, "InvalidInputException"),
        ({"userId": ""}, "InvalidInputException"),
        ({"filterArn": "arn:aws:personalize:us-east-1:000000000000:filter/x"}, "InvalidInputException"),
    ],
)
def test_a_wrong_question_is_refused_in_personalizes_words(runtime: Any, change: dict[str, Any], code: str) -> None:
    asked = {"campaignArn": CAMPAIGN, "inputList": ["a"], "userId": "ann"} | change
    with pytest.raises(ClientError) as refused:
        runtime.get_personalized_ranking(**asked)
    assert refused.value.response["Error"]["Code"] == code


def test_events_are_kept_all_or_none(events: Any, store: Interactions) -> None:
    with pytest.raises(ClientError) as refused:
        put(events, event("mug"), event("x" * 257))
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"
    with pytest.raises(ClientError) as unknown:
        put(events, event("mug"), trackingId="other")
    assert unknown.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert store.summary().interactions == 0


def test_only_signatures_for_personalize_are_taken(running: Any) -> None:
    wrong = running.boto("personalize-runtime", aws_secret_access_key="wrong")
    with pytest.raises(ClientError) as refused:
        ranked(wrong, "ann", "a")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    answer = running.raw(
        b"POST /personalize-ranking HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    assert answer.splitlines()[0].split()[1] == b"403"


def test_without_a_ranker_there_is_no_such_operation(server: Any) -> None:
    with pytest.raises(ClientError) as refused:
        ranked(server.boto("personalize-runtime"), "ann", "a")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
