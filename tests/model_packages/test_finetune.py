"""Fine-tuning: a small transformer learns products of the sample catalogue, and a stopped run ends as a whole one."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from neuralshelf.model_packages.dino.encoder import DinoEncoder
from neuralshelf.model_packages.dino.finetune import main
from neuralshelf.model_packages.dino.training import checkpoints, views
from neuralshelf.model_packages.dino.training.checkpoints import Progress
from neuralshelf.model_packages.dino.training.fit import Pace
from neuralshelf.model_packages.dino.training.views import TrainingError, View
from neuralshelf.model_packages.encoder import Sample
from tests import awkward
from tests.model_packages import small_dino
from tests.model_packages.ways import PACKAGES

SAMPLES = PACKAGES.parent / "samples"
PRODUCTS, EPOCHS, SIZE = 20, 40, 32


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path: Path, lines: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps({**line, "image": str(SAMPLES / line["image"])}) + "\n" for line in lines))
    return path


def shop(folder: Path, products: int = PRODUCTS) -> list[str]:
    """Words of the command for products of the catalogue: two views of each to learn from, a third held out; and the
    small transformer to begin from."""
    others = rows(SAMPLES / "views.jsonl")
    chosen = sorted({row["id"] for row in others})[::7][:products]
    learnt = [row for row in rows(SAMPLES / "catalogue.jsonl") if row["id"] in chosen]
    learnt += [row for row in others if row["id"] in chosen and row["image"].endswith("-b.jpg")]
    held_out = [row for row in others if row["id"] in chosen and row["image"].endswith("-c.jpg")]
    assert (len(learnt), len(held_out)) == (2 * products, products)
    small_dino.save_vit(folder / "public", "pretrained.safetensors", None, hidden_size=64, intermediate_size=128)
    files = write(folder / "train.jsonl", learnt), write(folder / "held_out.jsonl", held_out)
    settings = {"weights": folder / "public", "train": files[0], "held-out": files[1], "size": SIZE}
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def history(out: Path) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((out / "training.json").read_text())["history"]
    return found


def digest(out: Path) -> str:
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def test_it_learns_and_writes_what_the_package_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    pace = ["--epochs", str(EPOCHS), "--batch", "20", "--rate", "1e-3", "--head-rate", "1e-2"]
    assert main([*shop(tmp_path), "--out", str(out), *pace]) == 0
    said = json.loads(capsys.readouterr().out)
    measured = history(out)
    assert [line["epoch"] for line in measured] == list(range(EPOCHS + 1))
    assert (said["before"], said["after"]) == (measured[0], measured[-1])
    assert measured[1]["loss"] == pytest.approx(np.log(PRODUCTS), abs=0.7)
    assert measured[-1]["loss"] < 0.5 * measured[1]["loss"]
    assert measured[-1]["recall_at_1"] > measured[0]["recall_at_1"]
    before, after = DinoEncoder.load(tmp_path / "public"), DinoEncoder.load(out)
    picture = [Sample(image=np.asarray(awkward.scene()))]
    assert before.fingerprint != after.fingerprint
    assert after.encode(picture).shape == (1, 64)
    assert json.loads((out / "recipe.json").read_text()) == {"size": SIZE}


def test_a_killed_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    words = [*shop(tmp_path, 4), "--epochs", "8", "--batch", "3", "--checkpoint-every", "1", "--rate", "1e-3"]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "neuralshelf.model_packages.dino.finetune", *words, "--out", str(killed)]
    # sums are in another order with another number of threads (conftest.py)
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        deadline = time.monotonic() + 400
        while not list(killed.glob("checkpoints/step-??????003")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    assert not (killed / "training.json").exists(), "it had ended before it was killed"
    assert main([*words, "--out", str(killed)]) == 0
    assert digest(killed) == digest(tmp_path / "whole")
    assert history(killed) == history(tmp_path / "whole")
    assert main([*words, "--out", str(killed)]) == 0  # nothing is left to do
    assert digest(killed) == digest(tmp_path / "whole")


def test_other_settings_do_not_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*shop(tmp_path, 2), "--epochs", "1", "--batch", "4", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert main([*words, "--rate", "0.1", "--seed", "9"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "made with another seed, rate; name another --out, or delete" in error


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "train.jsonl:3: no JSON object with texts `id` and `image`"),
        ('{"id": 5, "image": "a.jpg"}', "train.jsonl:3: no JSON object"),
        ('["id", "image"]', "train.jsonl:3: no JSON object"),
        ('{"id": "a", "image": "gone.jpg"}', "gone.jpg: No such file or directory; correct its line or leave it out"),
        ('{"id": "a", "image": "train.jsonl"}', "train.jsonl: UnsupportedFormat: "),
    ],
)
def test_bad_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, said: str) -> None:
    words = shop(tmp_path, 1)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(line + "\n")
    assert main([*words, "--epochs", "1", "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert said in error


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("--weights", "nowhere"), "neither model.safetensors nor pretrained.safetensors"),
        (("--held-out", "train.jsonl"), ""),
        (("--train", "held_out.jsonl", "--held-out", "other.jsonl"), "other has no training picture"),
        (("--held-out", "empty.jsonl"), "empty.jsonl: no views"),
        (("--train", "gone.jsonl"), "gone.jsonl: can't be read (FileNotFoundError)"),
        (("--train", "one.jsonl", "--held-out", "one.jsonl"), "fewer than two products"),
    ],
)
def test_what_can_not_be_trained_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, ...],
    said: str,
) -> None:
    words = shop(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    image = {"image": "images/chair-00.jpg"}
    write(Path("other.jsonl"), [{"id": "other", **image}])
    write(Path("one.jsonl"), [{"id": "one", **image}])
    Path("empty.jsonl").touch()
    status = main([*words, *change, "--epochs", "1", "--out", "out"])
    error = capsys.readouterr().err.splitlines()[-1]
    assert (status, error.startswith("error: ")) == ((1, True) if said else (0, False))
    assert said in error


def test_a_checkpoint_keeps_everything_and_a_torn_one_is_passed_over(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"seed": 1, "rate": 0.1}
    for step in range(1, 5):
        tensors = {"model.a": torch.full((2, 2), float(step))}
        checkpoints.save(tmp_path, Progress(step, 0.1 + 0.2, [{"epoch": 0, "recall_at_1": 1 / 3}]), settings, tensors)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-000000003", "step-000000004"]
    (tmp_path / "step-000000005.part").mkdir()
    found = checkpoints.last(tmp_path, settings)
    assert found is not None
    assert found[0] == Progress(4, 0.1 + 0.2, [{"epoch": 0, "recall_at_1": 1 / 3}])
    assert torch.equal(found[1]["model.a"], torch.full((2, 2), 4.0))
    assert set(load_file(tmp_path / "step-000000004" / "state.safetensors")) == {"model.a"}
    assert checkpoints.last(tmp_path / "none", settings) is None
    with pytest.raises(TrainingError, match="made with another rate"):
        checkpoints.last(tmp_path, settings | {"rate": 0.2})


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 3))
def test_an_epoch_shows_every_picture_once(count: int, batch: int, epoch: int) -> None:
    steps = -(-count // batch)
    taken = [views.order(count, batch, 1, epoch * steps + step) for step in range(steps)]
    assert sorted(place for places in taken for place in places) == list(range(count))
    assert all(len(places) == batch for places in taken[:-1])


def test_rates_rise_and_fall() -> None:
    pace = Pace(warm_up=0.1)
    factors = [pace.factor(step, 100) for step in range(100)]
    assert factors[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert factors[10] == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.01
    assert [Pace(warm_up=0).factor(0, 1), Pace(warm_up=1).factor(4, 5)] == [1, 1]


def test_chance_alone_decides_what_is_seen() -> None:
    image = np.asarray(awkward.scene(90, 60))
    seen = [views.augmented(image, 16, np.random.default_rng((1, step, 0))) for step in (0, 0, 1)]
    assert seen[0].shape == (3, 16, 16)
    assert seen[0].dtype == np.float32
    assert np.array_equal(seen[0], seen[1])
    assert np.abs(seen[0] - seen[2]).max() > 0.1
    for shape in ((1, 1, 3), (1, 300, 3), (300, 2, 3)):
        assert views.augmented(np.full(shape, 99, np.uint8), 16, np.random.default_rng(1)).shape == (3, 16, 16)


def test_batches_come_in_order_and_an_error_comes_through(tmp_path: Path) -> None:
    assert list(views.ahead(abs, iter([[-1, -2], [3]]), 2)) == [[1, 2], [3]]
    assert list(views.ahead(abs, iter([]), 2)) == []
    with pytest.raises(TrainingError, match="No such file"):
        list(views.ahead(View.image, iter([[View("a", tmp_path / "gone.jpg")]]), 2))
