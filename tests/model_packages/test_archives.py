"""Every package from its weights to an archive, unpacked and served as SageMaker's container does."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from neuralshelf.deploy.package import inspect, pack, write_lock
from neuralshelf.model_packages.server.handler import Handler, create_package_app, opened
from tests.model_packages.small import VIT, save_bert, save_clip
from tests.model_packages.small_dino import save_grounding, save_vit
from tests.model_packages.ways import PACKAGES, handler

PICTURE = (PACKAGES.parent / "samples" / "images" / "chair-00.jpg").read_bytes()
IMAGE = {"inputImage": base64.b64encode(PICTURE).decode()}

CASES: dict[str, tuple[Callable[[Path], Path], Any, Any]] = {
    "clip": (lambda folder: save_clip(folder, VIT), {"inputText": "a red chair", **IMAGE}, {"inputText": ""}),
    "minilm": (save_bert, ["a red chair", "a mug"], [5]),
    "dino": (save_vit, IMAGE, {"inputText": "a red chair"}),
    "grounding_dino": (save_grounding, IMAGE | {"box": [0.5, 0.5, 0.5, 0.5]}, {"inputImage": "x"}),
}
"""Package -> how its small model is saved, a body that has an answer, one that is refused."""


def silent(*_: object) -> None: ...


@pytest.mark.parametrize("name", CASES)
def test_an_archive_is_the_same_twice_and_answers_as_its_functions_do(name: str, tmp_path: Path) -> None:
    save, good, bad = CASES[name]
    weights, lock = save(tmp_path / "weights"), tmp_path / "weights.lock.json"
    write_lock(weights, lock, silent)
    first, second = (
        pack(name, weights, tmp_path / f"{n}.tar.gz", lock=lock, dry_run=False, tell=silent) for n in range(2)
    )
    assert first.sha256 == second.sha256
    assert inspect(Path(first.archive), silent).files == first.files
    functions: Any = handler(name)
    model = functions.model_fn(str(weights))
    asked = functions.input_fn(json.dumps(good), "application/json")
    expected = json.loads(functions.output_fn(functions.predict_fn(asked, model), "application/json"))
    with (
        opened(Path(first.archive), None, tmp_path) as (code, model_dir),
        TestClient(create_package_app(Handler.load(code, model_dir))) as client,
    ):
        assert client.get("/ping").status_code == 200
        answer = client.post("/invocations", json=good)
        assert answer.status_code == 200, answer.text
        refused = client.post("/invocations", json=bad)
    assert refused.status_code == 400, refused.text
    assert refused.json()["code"] == "InputRefused"
    assert_same(answer.json(), expected)


def assert_same(found: Any, expected: Any) -> None:
    """Vectors to 1e-6, all else exactly."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list):
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-6)
        assert np.asarray(found).size >= 4
    else:
        assert found == expected
