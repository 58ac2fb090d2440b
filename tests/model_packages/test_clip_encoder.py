"""ClipEncoder: what it computes is what open_clip computes, and a row depends on its sample only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import BertTokenizerFast

from neuralshelf.model_packages.clip.encoder import ClipEncoder, ModelFilesError
from neuralshelf.model_packages.encoder import Encoder, Sample
from tests import awkward
from tests.model_packages import small
from tests.model_packages.inputs import TEXTS

SCENES = [awkward.scene(*size) for size in ((96, 64), (64, 96), (300, 200), (20, 20), (224, 224), (1, 1))]
IMAGES: list[NDArray[np.uint8]] = [np.asarray(scene) for scene in SCENES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.save_clip(tmp_path_factory.mktemp("vit"), small.VIT)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return ClipEncoder.load(folder, "cpu")


def unit(rows: Any) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


@pytest.mark.parametrize(
    ("architecture", "preprocessing"),
    [
        (small.RESNET, {}),
        (small.VIT, {}),
        (small.VIT, {"interpolation": "bilinear", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}),
        (small.VIT, {"resize_mode": "squash"}),
        (small.VIT, {"resize_mode": "longest"}),
    ],
)
def test_towers_tokens_and_preprocessing_are_those_of_open_clip(
    architecture: dict[str, Any], preprocessing: dict[str, Any], tmp_path: Path
) -> None:
    folder = small.save_clip(tmp_path, architecture, **preprocessing)
    encoder = ClipEncoder.load(folder, "cpu")
    model, look = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    model.eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")
    texts = ["a red mug", "two\nlines, and some more", "word " * 200]
    with torch.no_grad():
        expected_texts = model.encode_text(tokens(texts), normalize=True).numpy()
        expected_images = model.encode_image(torch.stack([look(scene) for scene in SCENES]), normalize=True).numpy()
    dimension = encoder.default_dimension
    assert dimension == architecture["embed_dim"]
    assert np.abs(encoder.encode([Sample(text) for text in texts], dimension) - expected_texts).max() <= 1e-6
    images = encoder.encode([Sample(image=image) for image in IMAGES], dimension)
    assert np.abs(images - expected_images).max() <= 1e-6


def test_both_is_the_middle_of_text_and_picture(encoder: Encoder) -> None:
    size = encoder.default_dimension
    text, image, both = encoder.encode([Sample("a mug"), Sample(image=IMAGES[0]), Sample("a mug", IMAGES[0])], size)
    assert np.abs(unit(text + image) - both).max() <= 1e-6


def test_a_row_depends_on_its_sample_only(encoder: Encoder) -> None:
    samples = [Sample(text) for text in TEXTS.values()] + [Sample(image=image) for image in IMAGES]
    samples += [Sample(text, image) for text, image in zip(TEXTS.values(), IMAGES, strict=False)]
    size = encoder.default_dimension
    together = encoder.encode(samples, size)
    assert together.dtype == np.float32
    assert together.shape == (len(samples), size)
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() <= 1e-5
    alone = np.vstack([encoder.encode([sample], size) for sample in samples])
    assert np.abs(together - alone).max() <= 1e-5
    turned = encoder.encode(samples[::-1], size)[::-1]
    assert np.abs(together - turned).max() <= 1e-5


def test_different_inputs_have_different_vectors(encoder: Encoder) -> None:
    rows = encoder.encode([Sample("a red mug"), Sample("a blue chair"), *(Sample(image=i) for i in IMAGES[:2])], 48)
    likeness = rows @ rows.T - np.eye(4)
    assert likeness.max() < 0.999


def test_no_samples_have_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([], encoder.default_dimension).shape == (0, encoder.default_dimension)


def test_words_after_the_limit_change_nothing(encoder: Encoder) -> None:
    body = "word " * 75  # two more are the marks
    texts = [body, body + "guitar", body.removesuffix("word ")]
    whole, cut, shorter = encoder.encode([Sample(text) for text in texts], 48)
    assert np.array_equal(whole, cut)
    assert not np.array_equal(whole, shorter)


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (3, 9000)])
def test_a_very_long_picture_costs_no_more_than_its_middle(encoder: Encoder, size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    (row,) = encoder.encode([Sample(image=image)], 48)
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)
    image[0, 0] = 255  # far from the middle
    assert np.array_equal(encoder.encode([Sample(image=image)], 48)[0], row)


def test_other_sizes_and_nothing_at_all_are_refused(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="gives 48 dimensions, not 512"):
        encoder.encode([Sample("a mug")], 512)
    with pytest.raises(ValueError, match="needs a text, a picture, or both"):
        encoder.encode([Sample()], 48)


def test_a_prompt_is_for_texts_only_and_makes_another_space(folder: Path, tmp_path: Path) -> None:
    prompted = small.save_clip(tmp_path, small.VIT)
    (prompted / "neuralshelf.json").write_text('{"prompt": "this is {} or {}"}')
    with pytest.raises(ModelFilesError, match=r"one \{\} in it"):
        ClipEncoder.load(prompted)
    (prompted / "neuralshelf.json").write_text('{"prompt": "this is {} {0}"}')
    plain, encoder = ClipEncoder.load(folder), ClipEncoder.load(prompted)
    written = plain.encode([Sample("this is a {} mug {0}")], 48)
    assert np.array_equal(encoder.encode([Sample("a {} mug")], 48), written)
    picture = Sample(image=IMAGES[0])
    assert np.array_equal(encoder.encode([picture], 48), plain.encode([picture], 48))
    assert encoder.count_tokens("a mug") == plain.count_tokens("a mug") == 2
    assert encoder.fingerprint != plain.fingerprint


def test_the_fingerprint_follows_weights_and_configuration(folder: Path, tmp_path: Path) -> None:
    first = ClipEncoder.load(folder).fingerprint
    assert len(first) == 16
    assert int(first, 16) >= 0
    assert ClipEncoder.load(small.save_clip(tmp_path / "same", small.VIT)).fingerprint == first
    others = [
        small.save_clip(tmp_path / "weights", small.VIT, seed=2),
        small.save_clip(tmp_path / "recipe", small.VIT, interpolation="bilinear"),
    ]
    assert len({first, *(ClipEncoder.load(other).fingerprint for other in others)}) == 3


def test_pickled_weights_are_never_opened(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())
    for name in ("open_clip_pytorch_model.bin", "model.pt", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(ModelFilesError, match=r"holds none of open_clip_model\.safetensors.*next: convert"):
        ClipEncoder.load(tmp_path)
    tensors = load_file(folder / "open_clip_model.safetensors")
    save_file(tensors, tmp_path / "model.safetensors")  # the name that open_clip itself prefers less than a pickle
    assert ClipEncoder.load(tmp_path).fingerprint == ClipEncoder.load(folder).fingerprint


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign", "no config", "a list"])
def test_what_is_wrong_with_a_folder_is_said_in_one_line(folder: Path, tmp_path: Path, damage: str) -> None:
    small.save_clip(tmp_path, small.RESNET if damage == "foreign" else small.VIT)
    config, weights = tmp_path / "open_clip_config.json", tmp_path / "open_clip_model.safetensors"
    if damage == "missing":
        tensors = load_file(weights)
        tensors.pop("text_projection")
        save_file(tensors, weights)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "foreign":
        config.write_bytes((folder / "open_clip_config.json").read_bytes())
    elif damage == "no config":
        config.unlink()
    else:
        config.write_text("[]")
    with pytest.raises(ModelFilesError) as caught:
        ClipEncoder.load(tmp_path)
    said = str(caught.value)
    assert "\n" not in said
    assert str(config if damage in ("no config", "a list") else weights) in said
    assert "; next: " in said


def test_a_text_tower_of_transformers_comes_from_the_folder_too(tmp_path: Path) -> None:
    text = {"context_length": 32, "hf_pooler_type": "mean_pooler", "hf_proj_type": "mlp"}
    names = {"hf_model_name": "nobody/has-this", "hf_tokenizer_name": "nobody/has-this"}
    small.save_bert(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    BertTokenizerFast(tokenizer_file=str(small.WORDS)).save_pretrained(tmp_path)
    here = {"hf_model_name": str(tmp_path), "hf_model_pretrained": False}
    model: Any = open_clip.CustomTextCLIP(**(small.VIT | {"text_cfg": text | here})).eval()
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    config = {"model_cfg": small.VIT | {"text_cfg": text | names}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    encoder = ClipEncoder.load(tmp_path, "cpu")
    texts = ["a red mug", "Größe 42", "word " * 60]
    with torch.no_grad():
        expected = model.encode_text(open_clip.get_tokenizer(f"local-dir:{tmp_path}")(texts), normalize=True).numpy()
    assert np.abs(encoder.encode([Sample(text) for text in texts], 48) - expected).max() <= 1e-6
    assert encoder.count_tokens("word " * 60) == 60
    (tmp_path / "tokenizer.json").write_text((tmp_path / "tokenizer.json").read_text().replace('"zebra"', '"zebrq"'))
    assert ClipEncoder.load(tmp_path, "cpu").fingerprint != encoder.fingerprint
    assert encoder.encode([Sample(text) for text in TEXTS.values()], 48).shape == (len(TEXTS), 48)


def test_half_precision_weights_are_computed_with_in_full(folder: Path, tmp_path: Path) -> None:
    halved = small.save_clip(tmp_path, small.VIT) / "open_clip_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(halved).items()}, halved)
    samples = [Sample("a red mug"), Sample(image=IMAGES[0])]
    rows = ClipEncoder.load(tmp_path).encode(samples, 48)
    assert rows.dtype == np.float32
    assert (rows * ClipEncoder.load(folder).encode(samples, 48)).sum(1).min() > 0.99


def test_a_config_decides_not_the_name_of_a_model() -> None:
    """The architectures that the README names exist in open_clip with the sizes it says."""
    sizes = {name: open_clip.get_model_config(name)["embed_dim"] for name in ("RN50", "ViT-B-32", "ViT-L-14")}
    assert sizes == {"RN50": 1024, "ViT-B-32": 512, "ViT-L-14": 768}


def test_a_sample_is_read_not_changed(encoder: Encoder) -> None:
    image = np.asarray(Image.new("RGB", (40, 30), "red")).copy()
    image.flags.writeable = False
    assert encoder.encode([Sample("a mug", image)], 48).shape == (1, 48)
