"""The lite model and MiniLM: same input, same vector; hostile input, clear refusal; a broken cache is built anew."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.lite import LiteEncoder, colour, torchfile
from neuralshelf.model_packages.lite.head import Head
from neuralshelf.model_packages.lite.pixels import look
from neuralshelf.model_packages.minilm import MiniLmEncoder
from neuralshelf.settings import Folders

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = [
    "",
    " ",
    "\0",
    "\ud800 lone",
    "a\u0301" * 50,
    "👩‍👩‍👧‍👦",
    "x" * 100_000,
    "${parameters.region}",
    "\u202edesrever",
]

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def lite() -> LiteEncoder:
    return LiteEncoder.load(Folders.default(ROOT).cache)


@pytest.fixture(scope="module")
def minilm() -> MiniLmEncoder:
    return MiniLmEncoder.load()


def picture(name: str) -> Pixels:
    return np.asarray(Image.open(ROOT / "samples" / "images" / f"{name}.jpg").convert("RGB"))


@pytest.mark.parametrize("dimension", [256, 384, 512, 1024])
def test_text_picture_and_both_give_unit_vectors_of_each_size(lite: LiteEncoder, dimension: int) -> None:
    teapot = picture("teapot-00")
    samples = [Sample(text="a teapot"), Sample(image=teapot), Sample(text="a teapot", image=teapot)]
    vectors = lite.encode(samples, dimension)
    assert vectors.shape == (3, dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    middle = vectors[0] + vectors[1]
    assert vectors[2] @ middle / np.linalg.norm(middle) == pytest.approx(1.0, abs=1e-6)


def test_a_vector_does_not_depend_on_its_batch_mates(lite: LiteEncoder, minilm: MiniLmEncoder) -> None:
    samples = [Sample(text=t) for t in ("a cup", "a very long title of a cup " * 9)]
    samples += [Sample(image=picture(name)) for name in ("teapot-00", "sofa-00", "drum-00")]
    together = lite.encode(samples, 1024)
    alone = np.vstack([lite.encode([sample], 1024) for sample in samples])
    assert (together * alone).sum(1) == pytest.approx(np.ones(5), abs=1e-6)
    texts = [Sample(text=t) for t in ("one", "two words", "three short words")]
    assert np.array_equal(minilm.encode(texts), np.vstack([minilm.encode([text]) for text in texts]))


def test_texts_find_pictures_of_what_they_say(lite: LiteEncoder) -> None:
    names = ["teapot-00", "sofa-00", "drum-00", "umbrella-00"]
    pictures = lite.encode([Sample(image=picture(name)) for name in names], 512)
    queries = lite.encode([Sample(text=f"a photo of a {name[:-3]}") for name in names], 512)
    assert (queries @ pictures.T).argmax(1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_gives_a_finite_unit_vector(minilm: MiniLmEncoder, text: str) -> None:
    vector = minilm.encode([Sample(text=text)])[0]
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3), (3000, 20)])
def test_any_shape_of_picture_gives_a_finite_unit_vector(lite: LiteEncoder, size: tuple[int, int]) -> None:
    vector = lite.encode([Sample(image=np.full((*size, 3), 128, np.uint8))], 512)[0]
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_tokens_are_counted_before_they_are_cut(minilm: MiniLmEncoder) -> None:
    assert minilm.count_tokens("") == 0
    assert minilm.count_tokens("a red cup") == 3
    assert minilm.count_tokens("cup " * 1000) == 1000
    long = [Sample(text="cup " * n) for n in (300, 600)]
    assert np.array_equal(*minilm.encode(long))


def test_what_the_models_can_t_do_is_refused(lite: LiteEncoder, minilm: MiniLmEncoder) -> None:
    with pytest.raises(ValueError, match="not 100"):
        lite.encode([Sample(text="x")], 100)
    with pytest.raises(ValueError, match="text, a picture, or both"):
        lite.encode([Sample()], 512)
    with pytest.raises(ValueError, match="text only"):
        minilm.encode([Sample(image=np.zeros((4, 4, 3), np.uint8))])
    with pytest.raises(ValueError, match="not 512"):
        minilm.encode([Sample(text="x")], 512)


def test_without_the_head_it_is_another_vector_space(lite: LiteEncoder) -> None:
    bare = LiteEncoder.load(Folders.default(ROOT).cache, head=False)
    assert bare.fingerprint != lite.fingerprint


def test_the_hold_keeps_the_head_from_moving_what_it_is_held_on() -> None:
    generator = np.random.default_rng(7)
    clothes, others = (np.abs(generator.standard_normal((60, 1280))).astype(np.float32) for _ in range(2))
    missing = generator.standard_normal((60, 384)).astype(np.float32)
    still = np.zeros((60, 384), np.float32)
    free, held = (Head.fit(clothes, missing, others, ridge=0.1, hold=hold) for hold in (0.0, 100.0))
    assert np.abs(held.correct(still, others)).mean() < 0.05 * np.abs(free.correct(still, others)).mean()
    assert np.corrcoef(held.correct(still, clothes).ravel(), missing.ravel())[0, 1] > 0.9


def test_a_weight_file_that_names_anything_but_tensors_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    buffer = io.BytesIO()
    for _ in range(3):
        pickle.dump(0, buffer)
    pickle.dump(Evil(), buffer)
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        torchfile.read(buffer.getvalue())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "rgb"),
    [
        ("black", (15, 15, 18)),
        ("white", (250, 250, 248)),
        ("gray", (120, 122, 125)),
        ("red", (190, 20, 30)),
        ("orange", (235, 115, 20)),
        ("yellow", (240, 200, 40)),
        ("green", (40, 130, 60)),
        ("blue", (30, 80, 170)),
        ("purple", (105, 50, 145)),
        ("pink", (236, 143, 178)),
        ("brown", (122, 74, 42)),
    ],
)
def test_a_coloured_thing_on_a_backdrop_has_its_colour(name: str, rgb: tuple[int, int, int]) -> None:
    backdrop = (200, 205, 212) if name in ("white", "black") else (244, 244, 244)
    image = Image.new("RGB", (200, 200), backdrop)
    image.paste(rgb, (50, 50, 150, 150))
    shares = colour.histogram(look(np.asarray(image)).colour)
    assert shares.sum() == pytest.approx(1.0, abs=1e-6)
    assert colour.NAMES[int(shares.argmax())] == name
