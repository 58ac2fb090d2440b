"""The converter of published weights: digest first, tensors only, and the model is the same afterwards."""

import hashlib
import json
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from neuralshelf.model_packages.clip.convert import PUBLISHED, ConvertError, convert, main
from neuralshelf.model_packages.clip.encoder import ClipEncoder
from neuralshelf.model_packages.encoder import Sample
from tests.model_packages import small

NUMBERS = {"input_resolution": 64, "context_length": 77, "vocab_size": 49408}


class Traced(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    """A model in half precision with three numbers beside its tensors, as the published archives are."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        for name, child in model.half().named_children():
            self.add_module(name, child)
        for name, tensor in model.named_parameters(recurse=False):
            self.register_parameter(name, tensor)
        for name, number in NUMBERS.items():
            self.register_buffer(name, torch.tensor(number))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(params=["TorchScript", "state dict"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    model, path = small.clip_model(small.RESNET), tmp_path / "small.pt"
    if request.param == "TorchScript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # as published, though deprecated
            torch.jit.trace(Traced(model), torch.zeros(1)).save(str(path))
    else:
        torch.save(model.half().state_dict() | {name: torch.tensor(n) for name, n in NUMBERS.items()}, path)
    return path


def test_the_model_is_the_same_afterwards(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(published, out, small.RESNET, digest(published).upper(), prompt="this is {}")
    names = ["neuralshelf.json", "open_clip_config.json", "open_clip_model.safetensors"]
    assert json.loads((out / "weights-lock.json").read_text()) == {name: digest(out / name) for name in names}
    tensors = load_file(out / "open_clip_model.safetensors")
    assert tensors["visual.conv1.weight"].dtype == torch.float16
    assert not tensors.keys() & NUMBERS.keys()

    expected: Any = open_clip.CLIP(**small.RESNET)
    expected.load_state_dict(small.clip_model(small.RESNET).half().state_dict())
    tokens = open_clip.get_tokenizer("RN50")(["this is a mug"])
    with torch.no_grad():
        row = expected.eval().encode_text(tokens, normalize=True).numpy()
    assert np.abs(ClipEncoder.load(out, "cpu").encode([Sample("a mug")], 1024) - row).max() <= 1e-6


def test_the_same_file_gives_the_same_bytes(published: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        convert(published, tmp_path / out, small.RESNET, digest(published))
    locks = [(tmp_path / out / "weights-lock.json").read_bytes() for out in ("one", "two")]
    assert locks[0] == locks[1]


def test_another_digest_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "was run",))

    path = tmp_path / "RN50.pt"
    path.write_bytes(pickle.dumps(Evil()))
    assert main([str(path), str(tmp_path / "out")]) == 1
    with pytest.raises(ConvertError, match="not tensors alone"):  # and with the right digest it is not run either
        convert(path, tmp_path / "out", small.RESNET, digest(path))
    assert not (tmp_path / "was run").exists()
    assert not (tmp_path / "out").exists()


def test_weights_of_another_architecture_are_refused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="not of this architecture"):
        convert(published, tmp_path / "out", small.VIT, digest(published))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["other.pt", "out"], "is no file of openai/CLIP by its name; next: give --architecture and --sha256"),
        (
            ["other.pt", "out", "--architecture", "no-such", "--sha256", "0" * 64],
            "open_clip knows no such architecture",
        ),
        (["RN50.pt", "out", "--prompt", "no place"], "--prompt must have one {} in it"),
        (["RN50.pt", "out"], "RN50.pt: No such file or directory; next: "),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_the_command_converts_with_a_digest_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.pt"
    torch.save(small.clip_model(small.VIT).state_dict(), path)
    monkeypatch.setattr(open_clip, "get_model_config", {"small": small.VIT}.get)
    words = [str(path), str(tmp_path / "out"), "--architecture", "small", "--sha256", digest(path)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'weights-lock.json'}\n"
    assert ClipEncoder.load(tmp_path / "out").default_dimension == 48


def test_published_files_have_digests_and_architectures() -> None:
    assert {"RN50.pt", "ViT-B-32.pt", "ViT-L-14.pt"} <= PUBLISHED.keys()
    for published in PUBLISHED.values():
        assert re.fullmatch("[0-9a-f]{64}", published.sha256)
        assert open_clip.get_model_config(published.architecture)["quick_gelu"] is True
