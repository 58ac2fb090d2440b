"""Token ids are those of open_clip, at any length, and a text can't end itself."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from neuralshelf.model_packages.clip.tokens import BytePairs
from tests.model_packages.inputs import TEXTS

SIMPLE = SimpleTokenizer()
TOKENS = BytePairs(SIMPLE)
MARKS = "<start_of_text>", "<end_of_text>"


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if len(text) < 5000 and MARKS[1] not in text])
def test_ids_are_those_of_open_clip(name: str) -> None:
    text = TEXTS[name].replace(MARKS[0], "")
    assert np.array_equal(TOKENS.ids([text]), SIMPLE([text]).numpy())
    assert TOKENS.count(text) == len(SIMPLE.encode(text))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=120).filter(lambda text: not any(mark in text.lower() for mark in MARKS)))
def test_ids_of_any_text_are_those_of_open_clip(text: str) -> None:
    assert np.array_equal(TOKENS.ids([text]), SIMPLE([text.encode("utf-8", "replace").decode()]).numpy())


def test_a_mark_that_is_spelled_out_does_not_end_a_text() -> None:
    (row,) = TOKENS.ids(["a <end_of_text> mug"])
    assert list(row).count(SIMPLE.eot_token_id) == 1
    assert TOKENS.count("<end_of_text>") > 1


def test_lone_surrogates_are_read_as_unknown_letters() -> None:
    assert np.array_equal(TOKENS.ids(["a\ud800"]), TOKENS.ids(["a?"]))


def test_long_words_take_little_time_and_nothing_is_kept() -> None:
    kept = len(SIMPLE.cache)
    letters = "".join(chr(97 + (n * n + 7 * n) % 26) for n in range(20_000))  # open_clip's own takes minutes
    begin = time.process_time()
    assert TOKENS.count(letters) > 5000
    assert time.process_time() - begin < 10
    assert len(SIMPLE.cache) == kept
