"""Every fault of a model, what an item of `_bulk` says about it in OpenSearch 3.6.0, and what is made of that.

The tables are the measurement: a row that no longer holds is a change of OpenSearch, or of ours.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pytest

from neuralshelf.bulk import Failure, send
from tests.faults.conftest import Shop
from tests.faults.faults import BREAKING, FAILING, FAULTS, GARBAGE, LATE, MIXED, REFUSING, THROTTLING

Verdict = Literal["slower", "again", "alone"]
"""Send it again and less at a time; send it again; send it alone, since a batch mate may be meant, then give up."""


@dataclass(frozen=True)
class Says:
    """What an item of `_bulk` says; `reason` is a pattern of outermost and innermost cause."""

    status: int
    type: str
    reason: str
    verdict: Verdict


def _remote(status: int, verdict: Verdict, reason: str = "Error from remote service: .+") -> Says:
    return Says(status, "status_exception", reason, verdict)


def _lost(reason: str, status: int = 500) -> Says:
    return Says(status, "status_exception", f"Error communicating with remote model: {reason}", "again")


def _unread(reason: str) -> Says:
    return Says(500, "m_l_exception", f"Fail to execute PREDICT in aws connector: .*{reason}", "again")


def _unmapped(reason: str) -> Says:
    return Says(400, "mapper_parsing_exception", f"failed to parse field .*: {reason}", "again")


_REPEATED = "Error from remote service: The request was denied due to remote server throttling"
_EMPTY = "Remote service returned empty response body"
_NO_NUMBERS = Says(400, "illegal_argument_exception", "The embedding should be a non-empty List containing", "again")

EVERYWHERE: Mapping[str, Says] = {
    "429 throttling": Says(429, "remote_connector_throttling_exception", _REPEATED, "slower"),
    "429 retry-after": _remote(429, "slower"),
    "429 text": _remote(429, "slower", "Error from remote service: Too Many Requests"),
    "400 throttling": Says(400, "remote_connector_throttling_exception", _REPEATED, "slower"),
    "400 null": _remote(400, "slower", r'Error from remote service: {"message": null}'),
    "400 empty": _remote(400, "slower", "Remote service returned error status 400 with empty body"),
    "424 busy": _remote(424, "slower", '.*"OriginalStatusCode": 429'),
    "503 throttling": Says(503, "remote_connector_throttling_exception", _REPEATED, "slower"),
    "500": _remote(500, "again"),
    "500 text": _remote(500, "again", "Error from remote service: Internal Server Error"),
    "502 html": _remote(502, "again", "Error from remote service: <html>"),
    "503": _remote(503, "again"),
    "504": _remote(504, "again", "Remote service returned error status 504 with empty body"),
    "408": _remote(408, "again"),
    "424 crashed": _remote(424, "again", '.*"OriginalStatusCode": 500'),
    "424 bedrock": _remote(424, "again", '.*"originalStatusCode": 500'),
    "429 not ready": _remote(429, "slower"),
    "424 input": _remote(424, "alone", '.*"OriginalStatusCode": 400'),
    "400 input": _remote(400, "alone"),
    "400 no endpoint": _remote(400, "again", ".*Endpoint shop-clip of account 000000000000 not found"),
    "403 expired": _remote(403, "again"),
    "403 denied": _remote(403, "again"),
    "slow": _lost("Read timed out"),
    "hang": _lost("Read timed out"),
    "trickle": _unread("Unexpected End Of File"),  # what came until the time was out is read as if it were all
    "cut before": _lost("The connection was closed during the request"),
    "cut head": _remote(502, "again", _EMPTY),
    "cut body": _lost("Response had content-length of [0-9]+ bytes, but only received", status=200),
    "wrong dimension": _unmapped("Vector dimension mismatch. Expected: ([0-9]+), Given: [0-9]+"),
    "nested": _NO_NUMBERS,
    "zeros": _unmapped("zero vector is not supported"),
    "NaN": _unmapped("KNN vector values cannot be NaN"),
    "Infinity": _NO_NUMBERS,
    "1e39": _unmapped("KNN vector values cannot be infinity"),
    "null": _NO_NUMBERS,
    "strings": _NO_NUMBERS,
    "empty body": _remote(502, "again", _EMPTY),
    "truncated": _unread("Unexpected End Of File"),
    "50 MB": _unmapped("Vector dimension mismatch. Expected: ([0-9]+), Given: [0-9]{7}"),
}

TEXTS: Mapping[str, Says] = {
    "empty vector": _NO_NUMBERS,
    "no vectors": _NO_NUMBERS,
    "html": Says(500, "null_pointer_exception", "Cannot invoke .*tensorsList", "again"),
    "error body": _NO_NUMBERS,
    "fewer": Says(500, "index_out_of_bounds_exception", "toIndex = [0-9]+", "again"),
}

PICTURES: Mapping[str, Says] = {
    "empty vector": _unmapped("Vector dimension mismatch. Expected: ([0-9]+), Given: 0"),
    "no vectors": Says(400, "illegal_argument_exception", "Can't run post process function as model output", "again"),
    "html": _unread("Expected to find an object with property"),
    "error body": _unread("No results for path"),
}

CODES = {
    "dimension mismatch": "WrongDimension",
    "cannot be": "NotFinite",
    "zero vector": "ZeroVector",
    "non-empty": "NoVector",
    "model output": "NoVector",
}

UNSEEN = ("more", "shifted", "other order")
"""What OpenSearch takes as it comes."""

EXTENDED = ("trickle", "50 MB")

CASES = [
    pytest.param(logical, name, marks=pytest.mark.extended if name in EXTENDED else ())
    for logical, own in {"text": TEXTS, "picture": PICTURES, "titan": PICTURES}.items()
    for name in ({**EVERYWHERE, **own} if logical != "titan" else {**PICTURES, **dict.fromkeys(("408", "NaN"))})
]


def test_no_fault_is_left_out() -> None:
    groups = (THROTTLING, FAILING, REFUSING, BREAKING, GARBAGE, MIXED)
    faults = FAULTS.keys() - {LATE}
    assert {name for group in groups for name in group} == faults
    assert EVERYWHERE.keys() | TEXTS.keys() | set(UNSEEN) == faults
    assert EVERYWHERE.keys() | PICTURES.keys() | MIXED.keys() == faults


@pytest.fixture(scope="module")
def clean(applied: Shop) -> Shop:
    """Nothing that meets a fault gets in, so one emptying is enough; the last test looks."""
    applied.empty()
    return applied


@pytest.mark.parametrize(("logical", "name"), CASES)
def test_what_an_item_says_and_what_is_made_of_it(clean: Shop, logical: str, name: str) -> None:
    clean.models.heal()
    clean.models.share(1.0, [name])
    own = TEXTS if logical == "text" else PICTURES
    says = own.get(name) or EVERYWHERE[name]
    failed = send(clean.client, clean.index, clean.documents(logical, 1 if name == "50 MB" else 2))
    assert failed, "it got in"
    for failure in failed.values():
        assert (failure.status, failure.code) == (says.status, says.type), failure
        found = re.match(says.reason, failure.reason)
        assert found, failure.reason
        if found.groups():  # a letter names the size that the index expects
            assert int(found[1]) == {"text": 384, "picture": 512, "titan": 256}[logical]
        assert verdict(failure) == says.verdict
        assert failure.cause_class == class_of(says)


def verdict(failure: Failure) -> Verdict | None:
    """What senders make of it."""
    if failure.throttled:
        return "slower"
    if failure.may_pass:
        return "again"
    return "alone" if failure.refused_by_model else None


def class_of(says: Says) -> str:
    """The code of a letter about it."""
    found = next((code for words, code in CODES.items() if words in says.reason), None)
    return found or {"alone": "ModelRefused", "slower": "ModelThrottled", "again": "ModelFailed"}[says.verdict]


def test_nothing_of_all_that_was_indexed(clean: Shop) -> None:
    clean.models.heal()
    assert clean.kept() == {}
