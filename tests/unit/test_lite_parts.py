"""What lite keeps in its cache and how it multiplies: whole or built anew, and the same whatever is beside it."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.lite import LiteEncoder, colour, labels, parts
from neuralshelf.model_packages.lite.encoder import SIZES
from neuralshelf.model_packages.lite.linear import rows_times
from neuralshelf.model_packages.minilm import MiniLmEncoder

IMAGES = Path(__file__).parents[2] / "samples" / "images"
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lite")


@pytest.fixture(scope="module")
def lite(cache: Path) -> LiteEncoder:
    """Built from nothing, with the label sentences of three classes only: all thousand take a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "build", few_labels)
        return LiteEncoder.load(cache)


def few_labels(text: MiniLmEncoder, progress: labels.Progress | None = None) -> labels.Labels:
    rows = text.embed(["a photo of a mug", "a photo of a chair", "a photo of a drum"])
    plain = np.resize(rows, (1000, 384)).astype(np.float16)
    coloured = np.repeat(plain[:, None], len(colour.NAMES), 1)
    if progress is not None:
        progress("label vectors", 1000, 1000)
    return labels.Labels(plain, coloured)


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    paths = sorted(IMAGES.glob("*-00.jpg"))[:5]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_has_the_same_vector_in_any_batch(lite: LiteEncoder, pictures: list[Pixels], size: int) -> None:
    alone = np.vstack([lite.encode([Sample(image=image)], size) for image in pictures])
    mixed = [Sample(text="in between"), *(Sample(image=image) for image in reversed(pictures))]
    np.testing.assert_allclose((lite.encode(mixed, size)[1:][::-1] * alone).sum(1), 1, atol=1e-6)


def test_text_meets_the_picture_in_the_text_block_only(lite: LiteEncoder, pictures: list[Pixels]) -> None:
    text, picture = lite.encode([Sample(text="a mug"), Sample(image=pictures[0])], 1024)
    assert not text[384:].any()
    assert np.linalg.norm(picture[:384]) == pytest.approx(np.sqrt(0.5), abs=1e-6)
    alone = lite.encode([Sample(image=pictures[0])], 384)[0]
    np.testing.assert_allclose(picture[:384] * np.sqrt(2), alone, atol=1e-6)


def test_a_second_load_takes_everything_from_the_cache(
    lite: LiteEncoder, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "build", None)  # would fail if called
    started = time.process_time()
    again = LiteEncoder.load(cache)
    assert time.process_time() - started < 2
    assert again.fingerprint == lite.fingerprint
    expected = lite.encode([Sample(text="a mug")], 256)
    assert np.array_equal(again.encode([Sample(text="a mug")], 256), expected)


def broken_caches(whole: bytes) -> Iterator[bytes]:
    yield b""
    yield b"garbage"
    yield whole[: len(whole) // 2]
    yield whole[:-1]
    for place in (5, 40, len(whole) // 2, len(whole) - 5):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        yield bytes(flipped)


def test_a_broken_cache_file_is_built_anew(lite: LiteEncoder, cache: Path, tmp_path: Path) -> None:
    (stored,) = cache.iterdir()
    whole = stored.read_bytes()
    for content in broken_caches(whole):
        path = tmp_path / stored.name
        path.write_bytes(content)
        assert parts._read(path) is None
    calls: list[tuple[str, int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "build", few_labels)
        rebuilt = LiteEncoder.load(tmp_path, lambda step, done, total: calls.append((step, done, total)))
    assert calls == [("label vectors", 1000, 1000)]
    assert (tmp_path / stored.name).read_bytes() == whole
    assert rebuilt.fingerprint == lite.fingerprint


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        parts._write(tmp_path / "lite-x.parts", b"content")
    assert list(tmp_path.iterdir()) == []


def test_the_axes_have_fixed_signs(lite: LiteEncoder) -> None:
    axes = lite._axes
    assert (axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])] > 0).all()
    np.testing.assert_allclose(axes.T @ axes, np.eye(256), atol=1e-4)


def test_rows_times_is_a_product_of_matrices_that_ignores_neighbours() -> None:
    random = np.random.default_rng(7)
    rows = random.standard_normal((5, 1280)).astype(np.float32)
    matrix = random.standard_normal((1280, 640)).astype(np.float32)
    np.testing.assert_allclose(rows_times(rows, matrix), rows @ matrix, atol=2e-3)
    for part in (matrix, matrix[:, :128]):
        assert np.array_equal(rows_times(rows, part)[3:4], rows_times(rows[3:4], part))


def test_class_names_are_a_thousand_words() -> None:
    names = labels.class_names()
    assert len(names) == 1000
    assert all(name == name.strip() != "" for name in names)
    assert names[504] == "coffee mug"
