"""MiniLM: a text's vector is a function of the text alone, whatever the text is."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.model_packages.minilm.encoder import MAX_TOKENS

TEXTS = [
    "a photo of a red mug",
    "mug",
    "a much longer text about a mug " * 9,
    "${parameters.x} \"quoted\" {'json': null}",
    "日本語のテキスト",
]
AWKWARD = ["", " \t\r\n", "\0", "a\0b", "\ud800", "x\udfffy", "\U0010ffff", "\u202e", "é" * 500, "x" * 100_000]


@pytest.fixture(scope="module")
def minilm() -> MiniLmEncoder:
    return MiniLmEncoder.load()


def test_a_vector_does_not_depend_on_its_batch_mates(minilm: MiniLmEncoder) -> None:
    together = minilm.encode([Sample(text=text) for text in TEXTS], 384)
    alone = np.vstack([minilm.encode([Sample(text=text)], 384) for text in reversed(TEXTS)])[::-1]
    assert np.array_equal(together, alone)


def test_threads_get_the_same_vectors(minilm: MiniLmEncoder) -> None:
    expected = minilm.embed(TEXTS)
    with ThreadPoolExecutor(2) as pool:
        for vectors in pool.map(minilm.embed, [TEXTS] * 6):
            assert np.array_equal(vectors, expected)


def test_likeness_follows_meaning(minilm: MiniLmEncoder) -> None:
    sofa, couch, dumbbell = minilm.embed(["a sofa", "a couch", "a dumbbell"])
    assert sofa @ couch > 0.7 > 0.5 > sofa @ dumbbell


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
def test_any_string_gets_a_unit_vector(minilm: MiniLmEncoder, text: str) -> None:
    (vector,) = minilm.embed([text])
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert minilm.count_tokens(text) >= 0


def test_words_after_the_limit_change_nothing(minilm: MiniLmEncoder) -> None:
    body = "word " * (MAX_TOKENS - 2)  # two more are the special tokens
    whole, cut, shorter = minilm.embed([body, body + "guitar", body.removesuffix("word ")])
    assert np.array_equal(whole, cut)
    assert not np.array_equal(whole, shorter)


def test_tokens_are_counted_before_the_cut_and_without_special_ones(minilm: MiniLmEncoder) -> None:
    assert minilm.count_tokens("a red mug") == 3
    assert minilm.count_tokens("word " * 1000) == 1000
    assert minilm.count_tokens("") == 0


def test_pictures_and_other_sizes_are_refused(minilm: MiniLmEncoder) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="text only"):
        minilm.encode([Sample(text="a mug", image=picture)], 384)
    with pytest.raises(ValueError, match="not 512"):
        minilm.encode([Sample(text="a mug")], 512)
