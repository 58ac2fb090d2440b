"""Both handlers in SageMaker's own inference toolkit, which calls their functions in the PyTorch container."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.model_packages import small
from tests.model_packages.conftest import TOOLKIT
from tests.model_packages.inputs import PICTURES, body
from tests.model_packages.ways import Functions, handler


class Context:
    """What TorchServe hands to the toolkit, of one request or several."""

    def __init__(self, folder: Path, media: str) -> None:
        self.system_properties = {"model_dir": str(folder)}
        self.model_name = "model"
        self.request_processor = [self]
        self.status: tuple[int, str] | None = None
        self._media = media

    def get_request_properties(self) -> dict[str, str]:
        return {"Content-Type": self._media, "Accept": "application/json"}

    def set_response_status(self, code: int, phrase: str) -> None:
        self.status = code, phrase

    def set_response_content_type(self, _place: int, _media: str) -> None:
        pass


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in TOOLKIT:
        monkeypatch.delitem(sys.modules, name)
    return pytest.importorskip("sagemaker_inference.transformer")


@pytest.fixture(params=["clip", "minilm"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return handler(request.param)


@pytest.fixture
def folder(module: ModuleType, tmp_path: Path) -> Path:
    if module.__name__ == "inference_of_clip":
        return small.save_clip(tmp_path, small.VIT)
    return small.save_bert(tmp_path)


def run(toolkit: Any, module: ModuleType, context: Context, *bodies: bytes) -> Any:
    """What the toolkit answers; `module` is in the place of the script that the container names."""
    sys.modules["inference"] = module
    try:
        transformer = toolkit.Transformer()
        return transformer.transform([{"body": bytearray(sent)} for sent in bodies], context)
    finally:
        del sys.modules["inference"]


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "inference.py")


def test_requests_of_a_batch_are_answered_in_order(toolkit: Any, module: ModuleType, folder: Path) -> None:
    clip = module.__name__ == "inference_of_clip"
    bodies = [body("a mug"), body(picture=PICTURES["GIF"].make())] if clip else [b'["a mug"]', b'["a", "b"]']
    context = Context(folder, "application/json")
    answers = run(toolkit, module, context, *bodies)
    direct = Functions(module, module.model_fn(str(folder)))
    assert context.status is None
    for sent, answer in zip(bodies, answers, strict=True):
        found, expected = (value["embedding"] if clip else value for value in (json.loads(answer), direct.answer(sent)))
        assert np.abs(np.subtract(found, expected)).max() <= 1e-6


@pytest.mark.parametrize(
    ("media", "sent", "status", "phrase"),
    [
        ("application/json", b"{}", 400, "InputRefused"),
        ("application/json", b"[" * 100_000, 400, "InputRefused"),
        ("text/plain", b"{}", 415, "MediaTypeRefused"),
        ("application/json", b"x" * 6_291_457, 413, "BodyTooLarge"),
    ],
)
def test_a_refusal_is_the_clients_fault_there_too(
    toolkit: Any,
    module: ModuleType,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    media: str,
    sent: bytes,
    status: int,
    phrase: str,
) -> None:
    context = Context(folder, media)
    (answer,) = run(toolkit, module, context, sent)
    assert context.status == (status, phrase)
    monkeypatch.setitem(sys.modules, TOOLKIT[-1], None)
    refusal = Functions(module, module.model_fn(str(folder))).refusal(sent, media)
    assert refusal == (status, phrase, answer.split("\n")[0])


def test_one_refusal_fails_a_whole_batch_so_batches_are_of_one(toolkit: Any, tmp_path: Path) -> None:
    folder, module = small.save_clip(tmp_path, small.VIT), handler("clip")
    context = Context(folder, "application/json")
    assert len(run(toolkit, module, context, body("a mug"), b"{}", body("a cup"))) == 1  # TorchServe expects three
    assert context.status == (400, "InputRefused")


def test_a_bare_picture_is_taken(toolkit: Any, tmp_path: Path) -> None:
    context = Context(small.save_clip(tmp_path, small.VIT), "application/x-image")
    (answer,) = run(toolkit, handler("clip"), context, PICTURES["GIF"].make())
    assert context.status is None
    assert len(json.loads(answer)["embedding"]) == 48
