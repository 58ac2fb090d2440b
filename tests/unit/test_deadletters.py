"""A dead letter holds what is needed to try again, and neither secrets nor pictures."""

import base64
import json
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralshelf.cli.parser import parser
from neuralshelf.ingestion.letters.letter import CAUSE_CHARACTERS, DOCUMENT_BYTES, Fence, Letter, clean, keys_of
from neuralshelf.tables import letter_text, letters_table

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def kept(**values: Any) -> Any:
    return Letter(**({"document_id": "p1", "code": "C", "cause": "c"} | values)).kept(NOW, None)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("refused by https://robot:hunter2-hunter2@models.example.com/x", "hunter2"),
        ("GET https://b.s3.amazonaws.com/k?X-Amz-Signature=0a1b2c3d&x=1", "0a1b2c3d"),
        ("GET https://b.s3.amazonaws.com/k?a=1&X-Amz-Security-Token=FwoGZXIvYXdzEB", "FwoGZXIvYXdzEB"),
        ("https://models.example.com/?api_key=abc123", "abc123"),
        ("AKIAIOSFODNN7EXAMPLE is not allowed", "AKIAIOSFODNN7EXAMPLE"),
        ('{"Authorization": "Basic cm9ib3Q6aHVudGVyMg=="}', "cm9ib3Q6aHVudGVyMg"),
        ('{"secret_key": "wJalrXUtnFEMI0K7MDENGbPxRfiCYEXAMPLEKEY1"}', "wJalrXUtnFEMI"),
    ],
)
def test_a_cause_shows_no_login_signature_or_key(text: str, hidden: str) -> None:
    assert hidden in text
    assert hidden not in clean(text)
    assert "***" in clean(text) or "characters]" in clean(text)


@pytest.mark.parametrize("escaped", [False, True])
def test_a_cause_repeats_no_picture(escaped: bool) -> None:
    picture = base64.b64encode(secrets.token_bytes(30_000)).decode()
    shown = picture.replace("/", "\\/") if escaped else picture
    text = clean(f'can\'t read {{"image": "data:image/png;base64,{shown}"}} of the request')
    assert all(picture[start : start + 40] not in text for start in range(0, 40_000, 40))
    assert text.startswith("can't read")
    assert "characters]" in text


def test_a_cause_keeps_what_helps() -> None:
    text = "pictures/summer/collection/shoes/leather/brown/left.jpg: TruncatedPicture at https://a.example.com/x?size=3"
    assert clean(text) == text


@given(st.text(st.characters(), max_size=2000))
def test_a_cause_is_one_short_line_whatever_was_said(text: str) -> None:
    shown = clean(text)
    shown.encode("utf-8")
    assert len(shown) <= CAUSE_CHARACTERS
    assert all(character.isprintable() for character in shown)


def test_a_letter_is_read_as_it_was_kept() -> None:
    fence = Fence("goods-1", 3, 1)
    letter = Letter("p1", "C", "cause", 2, "c.jsonl", 7, {"title": "a"}, ("a.jpg",), fence=fence)
    read = Letter.read(json.loads(json.dumps(letter.kept(NOW, fence))))
    assert (read.first, read.last) == (NOW, NOW)
    assert Letter(**{**vars(read), "first": None, "last": None}) == letter


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"title": "x" * (DOCUMENT_BYTES + 1)}, "larger than 1,000,000 bytes"),
        ({"price": float("nan")}, "no such JSON"),
        ({"title": "\ud800"}, "no such JSON"),
        (json.loads("[" * 150 + "]" * 150), "more than 100 levels"),
    ],
)
def test_a_document_that_can_not_be_kept_is_left_out_and_the_letter_says_so(document: Any, why: str) -> None:
    found = kept(document=document if isinstance(document, dict) else {"levels": document})
    assert found["document"] is None
    assert why in found["left_out"]
    assert not Letter.read(found).replayable


@pytest.mark.parametrize("identity", ["x" * 513, "\ud800"])
def test_a_document_under_an_id_that_opensearch_does_not_take_is_never_replayed_under_another(identity: str) -> None:
    assert not Letter.read(kept(document_id=identity, document={"title": "a"})).replayable


def test_names_of_pictures_are_bounded_and_hold_no_picture() -> None:
    picture = "data:image/png;base64," + base64.b64encode(secrets.token_bytes(3000)).decode()
    found = kept(pictures=(picture, "https://robot:hunter2@example.com/a.jpg") * 100)["pictures"]
    assert len(found) == 50
    assert found[0].endswith("characters]")
    assert found[1] == "https://***@example.com/a.jpg"


def test_the_same_document_has_one_key_and_rows_without_an_id_one_each() -> None:
    assert Letter("p1", "A", "").key == Letter("p1", "B", "", 3, "other.jsonl", 9).key
    rows = {Letter(None, "BadLine", "", source=s, line=n).key for s in ("a", "b") for n in (1, 2)}
    assert len(rows) == 4
    assert Letter(None, "BadLine", "", source="a:b.csv", line=12).key in keys_of("a:b.csv:12")
    assert keys_of("p1") == [Letter("p1", "A", "").key]


def test_what_needs_its_catalogue_is_not_replayable() -> None:
    document = {"title": "a"}
    assert Letter("p1", "C", "", document=document).replayable
    for letter in (
        Letter("p1", "C", "", document=document, pictures=("a.jpg",)),
        Letter("p1", "C", ""),
        Letter(None, "C", "", document=document),
    ):
        assert not letter.replayable


def test_a_table_fits_the_terminal_and_sends_it_no_commands() -> None:
    letters = [Letter("\x1b[31mp1\n", "C", "long " * 90, 3, last=NOW), Letter(None, "BadLine", "x", source="c", line=2)]
    lines = letters_table(letters, {"C": 1, "BadLine": 1}, width=100).splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in "".join(lines)
    assert lines[-1] == "2 dead letters: C 1, BadLine 1"
    assert "c:2" in lines[3]
    assert letters_table([], {}, width=100) == "no dead letters"


def test_the_text_of_a_letter_says_why_its_document_is_not_kept() -> None:
    text = letter_text(Letter("p1", "C", "x", left_out="it is larger than 1,000,000 bytes", first=NOW, last=NOW))
    assert "it is larger" in text


@pytest.mark.parametrize("before", [True, False])
def test_configuration_may_be_named_before_or_behind_what_to_do(before: bool) -> None:
    named = ["-e", "aws", "--config", "other.yaml"]
    words = parser().parse_args(["deadletters", *named, "list"] if before else ["deadletters", "list", *named])
    assert (words.environment, words.config.name) == ("aws", "other.yaml")


@pytest.mark.parametrize("words", [["drop"], ["drop", "--all", "--code", "C"], [], ["show"]])
def test_letters_are_dropped_by_a_word_and_never_by_leaving_one_out(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["deadletters", *words])
