"""BertEncoder: pooling over the text's own tokens, and a row depends on its text only."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertModel

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.minilm.torch_encoder import MAX_TOKENS, BertEncoder, ModelFilesError, Pooling
from tests.model_packages import small
from tests.model_packages.inputs import TEXTS

SIZE = 48
SAMPLES = [Sample(text) for text in TEXTS.values()] + [Sample(""), Sample("\ud800"), Sample("a\udfff")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> BertEncoder:
    return BertEncoder.load(folder, device="cpu")


@pytest.mark.parametrize("pooling", Pooling)
def test_vectors_are_those_of_transformers_pooled_by_hand(folder: Path, pooling: Pooling) -> None:
    model = BertModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = ["a red mug", "a mug", "several words about nothing at all, and a few more of them"]
    rows = BertEncoder.load(folder, pooling, "cpu").encode([Sample(text) for text in texts], SIZE)
    for row, text in zip(rows, texts, strict=True):
        with torch.no_grad():
            states = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0].numpy()
        pooled = states.mean(0) if pooling is Pooling.MEAN else states[0]
        assert np.abs(row - pooled / np.linalg.norm(pooled)).max() <= 1e-6


@pytest.mark.parametrize("pooling", Pooling)
def test_a_row_depends_on_its_text_only(folder: Path, pooling: Pooling) -> None:
    encoder = BertEncoder.load(folder, pooling, "cpu")
    together = encoder.encode(SAMPLES, SIZE)
    assert together.dtype == np.float32
    assert together.shape == (len(SAMPLES), SIZE)
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() <= 1e-5
    alone = np.vstack([encoder.encode([sample], SIZE) for sample in SAMPLES])
    assert np.abs(together - alone).max() <= 1e-5
    assert np.abs(encoder.encode(SAMPLES[::-1], SIZE)[::-1] - together).max() <= 1e-5


def test_different_texts_have_different_vectors(encoder: BertEncoder) -> None:
    rows = encoder.encode([Sample("a red mug"), Sample("a blue chair"), Sample("mug a red")], SIZE)
    assert (rows @ rows.T - np.eye(3)).max() < 0.999


def test_words_after_the_limit_change_nothing(encoder: BertEncoder) -> None:
    body = "word " * (MAX_TOKENS - 2)  # two more are the special tokens
    texts = [body, body + "guitar", body.removesuffix("word ")]
    whole, cut, shorter = (encoder.encode([Sample(text)], SIZE)[0] for text in texts)
    assert np.array_equal(whole, cut)
    assert not np.array_equal(whole, shorter)


def test_a_model_of_fewer_positions_cuts_earlier(tmp_path: Path) -> None:
    encoder = BertEncoder.load(small.save_bert(tmp_path, max_position_embeddings=16))
    short, long = encoder.encode([Sample("word " * 14), Sample("word " * 300)], SIZE)
    assert np.array_equal(short, long)


def test_tokens_are_counted_before_the_cut_and_without_special_ones(encoder: BertEncoder) -> None:
    assert encoder.count_tokens("a red mug") == 3
    assert encoder.count_tokens("word " * 1000) == 1000
    assert encoder.count_tokens("") == 0


def test_no_texts_have_no_rows(encoder: BertEncoder) -> None:
    assert encoder.encode([], SIZE).shape == (0, SIZE)


def test_pictures_and_other_sizes_are_refused(encoder: BertEncoder) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    for sample in (Sample("a mug", picture), Sample(image=picture), Sample()):
        with pytest.raises(ValueError, match="text only"):
            encoder.encode([sample], SIZE)
    with pytest.raises(ValueError, match="gives 48 dimensions, not 384"):
        encoder.encode([Sample("a mug")], 384)


def test_the_fingerprint_follows_weights_tokenizer_and_pooling(folder: Path, tmp_path: Path) -> None:
    first = BertEncoder.load(folder).fingerprint
    assert BertEncoder.load(small.save_bert(tmp_path / "same")).fingerprint == first
    other = small.save_bert(tmp_path / "other", seed=2)
    words = small.save_bert(tmp_path / "words")
    (words / "tokenizer.json").write_text((words / "tokenizer.json").read_text().replace('"zebra"', '"zebrq"'))
    fingerprints = {first, BertEncoder.load(other).fingerprint, BertEncoder.load(words).fingerprint}
    assert len(fingerprints | {BertEncoder.load(folder, Pooling.FIRST_TOKEN).fingerprint}) == 4


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "tokenizer.json", "lacking", "foreign", "cut"])
def test_what_is_wrong_with_a_folder_is_said_in_one_line(tmp_path: Path, damage: str) -> None:
    weights = small.save_bert(tmp_path) / "model.safetensors"
    if damage == "lacking":
        tensors = load_file(weights)
        tensors.pop("embeddings.word_embeddings.weight")
        save_file(tensors, weights)
    elif damage == "foreign":
        save_file({**load_file(weights), "classifier.weight": torch.zeros(2)}, weights)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        (tmp_path / damage).unlink()
    with pytest.raises(ModelFilesError) as caught:
        BertEncoder.load(tmp_path)
    said = str(caught.value)
    assert "\n" not in said
    assert (damage if "." in damage else str(weights)) in said
    assert "; next: " in said
