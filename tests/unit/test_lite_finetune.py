"""Lite's visual block: losses with right gradients, training that helps on products it has not seen, a file that is
checked, and a model that is another one with it."""

import base64
import io
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.errors import ConfigError
from neuralshelf.local.embed import local_endpoints
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.lite import LiteEncoder, VisualError, finetune, losses, observations
from neuralshelf.model_packages.lite.finetune import Plan, fit, ranks
from neuralshelf.model_packages.lite.observations import PicturesError
from neuralshelf.model_packages.lite.visual import Visual, centred
from neuralshelf.settings import Environment, Folders

ROOT = Path(__file__).resolve().parents[2]
CACHE = Folders.default(ROOT).cache

Doubles = NDArray[np.float64]


def unit_rows(seed: int, count: int, width: int) -> Doubles:
    rows = np.random.default_rng(seed).standard_normal((count, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def slope(loss: Callable[[Doubles], float], at: Doubles, step: float = 1e-6) -> Doubles:
    """Central differences of `loss` in every entry of `at`."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        moved = at.copy()
        moved[place] += step
        above = loss(moved)
        moved[place] -= 2 * step
        found[place] = (above - loss(moved)) / (2 * step)
    return found


def test_cross_entropy_s_gradients_are_finite_differences() -> None:
    unit, numbers, proxies = unit_rows(1, 6, 5), np.array([0, 0, 1, 2, 2, 1]), 3 * unit_rows(2, 3, 5)
    value, for_unit, for_proxies = losses.cross_entropy(unit, numbers, proxies, 4.0)  # type: ignore[arg-type]
    assert value > 0
    by_unit = slope(lambda rows: losses.cross_entropy(rows, numbers, proxies, 4.0)[0], unit)  # type: ignore[arg-type]
    by_proxies = slope(lambda rows: losses.cross_entropy(unit, numbers, rows, 4.0)[0], proxies)  # type: ignore[arg-type]
    assert for_unit == pytest.approx(by_unit, abs=1e-6)
    assert for_proxies == pytest.approx(by_proxies, abs=1e-6)


def test_the_triplet_s_gradient_is_finite_differences() -> None:
    unit, numbers = unit_rows(3, 9, 4), np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
    value, gradient = losses.triplet(unit, numbers, 0.3)  # type: ignore[arg-type]
    assert value > 0
    by_difference = slope(lambda rows: losses.triplet(rows, numbers, 0.3)[0], unit)  # type: ignore[arg-type]
    assert gradient == pytest.approx(by_difference, abs=1e-6)


def test_the_triplet_takes_the_hardest_pair_of_each_row() -> None:
    angles = np.deg2rad([0, 20, 50, 90, 180])
    unit = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    numbers = np.array([0, 0, 1, 1, 2])
    apart = [(20, 50), (20, 30), (40, 30), (40, 70)]  # degrees to the own and to the nearest other one
    expected = [max(0.0, 0.2 + np.cos(np.deg2rad(other)) - np.cos(np.deg2rad(own))) for own, other in apart]
    value, _ = losses.triplet(unit, numbers, 0.2)
    assert value == pytest.approx(np.mean(expected), abs=1e-6)  # the last row has no other picture: left out


def test_a_step_through_the_length_is_finite_differences() -> None:
    rows, toward = 3 * unit_rows(4, 3, 4), unit_rows(5, 3, 4)
    unit, lengths = losses.normalised(rows)  # type: ignore[arg-type]
    gradient = losses.through_length(toward, unit, lengths)  # type: ignore[arg-type]
    by_difference = slope(lambda at: float((losses.normalised(at)[0] * toward).sum()), rows)  # type: ignore[arg-type]
    assert gradient == pytest.approx(by_difference, abs=1e-6)


class World:
    """Products whose features differ in a few directions, seen through others that say nothing about the product."""

    def __init__(self, products: int, views: int = 4) -> None:
        chance = np.random.default_rng(11)
        useful, useless = (chance.standard_normal((24, 1280)) for _ in range(2))
        self.numbers = np.repeat(np.arange(products), views)
        own = np.repeat(chance.standard_normal((products, 24)), views, axis=0) @ useful
        noise = 2.5 * chance.standard_normal((products * views, 24)) @ useless
        self.features = (own + noise).astype(np.float32)

    def rank_1(self, block: Visual, rows: NDArray[np.intp]) -> float:
        outputs, _ = losses.normalised(centred(self.features[rows]) @ block.weight)
        names = [str(number) for number in self.numbers[rows]]
        first = np.flatnonzero(np.r_[True, self.numbers[rows][1:] != self.numbers[rows][:-1]])
        rest = np.setdiff1d(np.arange(len(rows)), first)
        before = ranks(outputs[first], [names[f] for f in first], outputs[rest], [names[r] for r in rest])
        return float((before == 0).mean())


@pytest.fixture(scope="module")
def world() -> World:
    return World(200)


@pytest.fixture(scope="module")
def start() -> NDArray[np.float32]:
    square = np.random.default_rng(2).standard_normal((1280, 640))
    return np.linalg.qr(square)[0].astype(np.float32)


@pytest.mark.parametrize("loss", ["cross-entropy", "triplet"])
def test_training_helps_on_products_it_has_not_seen(
    world: World, start: NDArray[np.float32], loss: finetune.LossName
) -> None:
    taught, held = np.flatnonzero(world.numbers < 140), np.flatnonzero(world.numbers >= 140)
    plan = Plan(loss=loss, steps=60)
    block = fit(plan, start, world.features[taught], world.numbers[taught])
    before, after = world.rank_1(Visual(start), held), world.rank_1(block, held)
    assert after > before + 0.15, (before, after)


def test_a_stopped_training_goes_on_to_the_same_end(
    world: World, start: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "EVERY", 4)
    plan, whole = Plan(steps=10), Plan(steps=10)
    expected = fit(whole, start, world.features, world.numbers)
    step, calls = losses.Adam.step, []

    def stopped(self: losses.Adam, number: int, *rest: object) -> None:
        calls.append(number)
        if number == 7 and len(calls) < 8:
            raise KeyboardInterrupt
        step(self, number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(losses.Adam, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit(plan, start, world.features, world.numbers, tmp_path)
    again = fit(plan, start, world.features, world.numbers, tmp_path)
    assert calls == [1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10]
    assert np.abs(again.weight - expected.weight).max() < 1e-5


def test_the_first_columns_carry_most_and_no_cosine_changes(world: World, start: NDArray[np.float32]) -> None:
    inputs = centred(world.features)
    block = Visual.sorted_by_weight(start, inputs)
    before, after = losses.normalised(inputs @ start)[0], losses.normalised(inputs @ block.weight)[0]
    assert np.abs(before @ before.T - after @ after.T).max() < 1e-4
    power = (after**2).sum(0)
    assert power[:48].sum() > 0.999 * power.sum()


def test_ranks_count_products_by_their_best_picture() -> None:
    gallery = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]], np.float32)
    shown = ["a", "b", "c", "a"]
    queries = np.array([[0.6, 0.8], [1, 0], [0, 1]], np.float32)
    assert ranks(gallery, shown, queries, ["a", "b", "b"]).tolist() == [0, 1, 2]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, start: NDArray[np.float32]) -> Path:
    path = tmp_path_factory.mktemp("visual") / "visual.npz"
    path.write_bytes(Visual(start).save())
    return path


def picture(name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(ROOT / "samples" / "images" / f"{name}.jpg").convert("RGB"))


def test_with_another_block_lite_is_another_model_and_texts_find_the_same(file: Path) -> None:
    plain, tuned = LiteEncoder.load(CACHE), LiteEncoder.load(CACHE, visual=file)
    assert plain.fingerprint != tuned.fingerprint
    assert LiteEncoder.load(CACHE, visual=file).fingerprint == tuned.fingerprint
    samples = [Sample(image=picture(name)) for name in ("teapot-00", "sofa-00", "drum-00")]
    texts = [Sample(text=text) for text in ("a red teapot", "furniture", "to make music with")]
    for dimension in (512, 1024):
        before, after = plain.encode(samples, dimension), tuned.encode(samples, dimension)
        assert np.abs(before - after).max() > 0.01
        words = plain.encode(texts, dimension)
        assert np.array_equal(words, tuned.encode(texts, dimension))
        assert words @ before.T == pytest.approx(words @ after.T, abs=1e-6)
    for dimension in (256, 384):
        assert np.array_equal(plain.encode(samples, dimension), tuned.encode(samples, dimension))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "not made by lite.finetune"),
        (b"PK\x03\x04 no zip", "not made by lite.finetune"),
        ("small", r"no finite \(1280, 640\) matrix"),
        ("other", "not made by lite.finetune"),
    ],
)
def test_what_is_no_visual_block_is_refused(tmp_path: Path, content: bytes | str | None, words: str) -> None:
    file = tmp_path / "visual.npz"
    if isinstance(content, str):
        buffer = io.BytesIO()
        np.savez(buffer, **{"weight" if content == "small" else content: np.zeros((2, 2))})  # type: ignore[arg-type]
        content = buffer.getvalue()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(VisualError, match=words) as caught:
        Visual.load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert str(caught.value).endswith("lite.finetune")
    with pytest.raises(ConfigError, match=r"runtime\.visual"):
        local_endpoints(CACHE, file)


def test_the_environment_names_the_block_beside_the_configuration(tmp_path: Path) -> None:
    read = Environment.parse({"name": "local", "runtime": {"visual": "build/visual.npz"}}, "local.yaml")
    assert read.in_folder(tmp_path).runtime.visual_file == tmp_path.resolve() / "build" / "visual.npz"
    with pytest.raises(ConfigError, match="visual is of the model server that up starts"):
        Environment.parse({"name": "x", "runtime": {"url": "http://x", "visual": "v.npz"}}, "x.yaml")


@pytest.fixture
def server(file: Path) -> Iterator[str]:
    words = ["--cache", str(CACHE), "--unsigned", "--visual", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "neuralshelf.model_packages.server", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_server_answers_with_the_block(server: str, file: Path) -> None:
    content = (ROOT / "samples" / "images" / "teapot-00.jpg").read_bytes()
    body = json.dumps({"inputImage": base64.b64encode(content).decode()}).encode()
    request = urllib.request.Request(
        f"{server}/model/amazon.titan-embed-image-v1/invoke", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        vector = np.array(json.loads(answer.read())["embedding"])
    encoder = LiteEncoder.load(CACHE, visual=file)
    expected = encoder.encode([Sample(image=picture("teapot-00"))], 1024)[0]
    assert vector @ expected == pytest.approx(1.0, abs=1e-5)


def test_a_server_without_its_block_says_so_in_one_line(tmp_path: Path) -> None:
    words = ["--cache", str(CACHE), "--unsigned", "--visual", str(tmp_path / "absent.npz")]
    ended = subprocess.run(
        [sys.executable, "-m", "neuralshelf.model_packages.server", *words], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"error: {tmp_path / 'absent.npz'}: No such file or directory")


def lines(file: Path, rows: list[tuple[str, str]]) -> Path:
    folder = ROOT / "samples" / "images"
    file.write_text("".join(json.dumps({"id": i, "image": str(folder / n)}) + "\n" for i, n in rows), encoding="utf-8")
    return file


def test_the_command_trains_measures_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tiny: it learns nothing worth keeping of six pictures, and says so."""
    train = lines(tmp_path / "train.jsonl", [("t", "teapot-01.jpg"), ("t", "teapot-01-b.jpg"), ("s", "sofa-00.jpg")])
    held = lines(tmp_path / "held.jsonl", [("d", "drum-00.jpg"), ("d", "drum-02-b.jpg"), ("v", "vase-00.jpg")])
    words = ["--train", str(train), "--held-out", str(held), "--cache", str(CACHE), "--out", str(tmp_path / "v.npz")]
    assert finetune.main([*words, "--steps", "2", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["format_version"] == 1
    assert (told["products"], told["pictures"], told["held_out_pictures"], told["written"]) == (2, 3, 3, False)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "v.npz.work").glob("*.npz")}
    assert len(kept) == 2
    assert finetune.main([*words, "--steps", "2"]) == 3
    assert "nothing written" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_block_that_finds_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So few pictures decide nothing: which of the two finds more is given here."""
    found = iter([np.array([1, 0]), np.array([0, 0])])
    monkeypatch.setattr(finetune.Pictures, "ranks", lambda self, encoder: next(found))
    train = lines(tmp_path / "train.jsonl", [("t", "teapot-01.jpg"), ("t", "teapot-01-b.jpg"), ("s", "sofa-00.jpg")])
    held = lines(tmp_path / "held.jsonl", [("d", "drum-00.jpg"), ("d", "drum-02-b.jpg")])
    told = finetune.run(Plan(loss="triplet", steps=2), train, held, CACHE, tmp_path / "v.npz")
    assert (told["before"], told["after"]) == ({"rank_1": 0.5, "rank_5": 1.0}, {"rank_1": 1.0, "rank_5": 1.0})
    assert told["written"]
    assert LiteEncoder.load(CACHE, visual=tmp_path / "v.npz").fingerprint != LiteEncoder.load(CACHE).fingerprint
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("train", "held", "words"),
    [
        ([("t", "teapot-00.jpg")], [("d", "drum-00.jpg")], "needs two products"),
        ([("t", "teapot-01.jpg"), ("t", "teapot-01-b.jpg"), ("s", "sofa-00.jpg")], [("t", "drum-00.jpg")], "t is in"),
        ([("t", "teapot-01.jpg"), ("t", "teapot-01-b.jpg"), ("s", "sofa-00.jpg")], [("d", "drum-00.jpg")], "two pict"),
        ([("t", "absent.jpg"), ("t", "absent.jpg"), ("s", "a.jpg")], [("d", "a.jpg"), ("d", "b.jpg")], "absent.jpg:"),
    ],
)
def test_pictures_that_teach_nothing_are_refused_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    train: list[tuple[str, str]],
    held: list[tuple[str, str]],
    words: str,
) -> None:
    files = [str(lines(tmp_path / f"{n}.jsonl", rows)) for n, rows in (("train", train), ("held", held))]
    arguments = ["--train", files[0], "--held-out", files[1], "--cache", str(CACHE), "--out", str(tmp_path / "v.npz")]
    assert finetune.main(arguments) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error


def test_a_line_that_names_no_picture_is_told_by_number(tmp_path: Path) -> None:
    file = tmp_path / "list.jsonl"
    file.write_text('{"id": "a", "image": "a.jpg"}\n{"id": "b"}\n', encoding="utf-8")
    with pytest.raises(PicturesError, match=r"list\.jsonl, line 2: no object with id and image"):
        observations.read(file)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    encoder = LiteEncoder.load(CACHE)
    with pytest.raises(PicturesError, match=r"a\.jpg: no picture"):
        observations.observe(encoder, [tmp_path / "a.jpg"], tmp_path / "kept")
