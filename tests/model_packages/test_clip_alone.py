"""What goes into an archive is enough: handlers run with nothing else of this project, without a hub or a network."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tests.model_packages import small
from tests.model_packages.inputs import PICTURES, body
from tests.model_packages.ways import PACKAGES, Functions, handler

ALONE = """
import json, pathlib, socket, sys

def refuse(*_, **__):
    raise AssertionError("the network was asked for")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
for name in ("starlette", "uvicorn", "boto3", "pydantic", "opensearchpy", "onnxruntime"):
    sys.modules[name] = None  # the container lacks them

import inference
model = inference.model_fn(sys.argv[1])
found = []
for path in sys.argv[2:]:
    asked = inference.input_fn(pathlib.Path(path).read_bytes(), "application/json")
    found.append(json.loads(inference.output_fn(inference.predict_fn(asked, model), "application/json")))
ours = [module for name, module in sys.modules.items() if name.split(".")[0] == "neuralshelf"]
outside = [module for module in ours if module.__file__ and not module.__file__.startswith(sys.path[0])]
print(json.dumps({"found": found, "outside": [str(module) for module in outside]}))
"""


@pytest.mark.parametrize("package", ["clip", "minilm"])
def test_the_sources_of_the_manifest_are_enough(package: str, tmp_path: Path) -> None:
    code = tmp_path / "code"
    shutil.copytree(PACKAGES / package / "code", code, ignore=shutil.ignore_patterns("__pycache__"))
    inside = code / "neuralshelf" / "model_packages"
    for source in json.loads((PACKAGES / package / "package.json").read_bytes())["sources"]:
        (inside / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGES / source, inside / source)
    for folder in {path.parent for path in inside.rglob("*.py")} | {inside.parent}:
        (folder / "__init__.py").touch()
    (code / "alone.py").write_text(ALONE)
    if package == "clip":
        model = small.save_clip(tmp_path / "model", small.RESNET)
        bodies = [body("a mug"), body(picture=PICTURES["GIF"].make()), body("a mug", PICTURES["1 bit"].make())]
    else:
        model, bodies = small.save_bert(tmp_path / "model"), [b'["a mug", "two"]', b'"a mug"']
    for number, sent in enumerate(bodies):
        (tmp_path / f"{number}.json").write_bytes(sent)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HF_"))}
    paths = (code / "alone.py", model, *(tmp_path / f"{n}.json" for n in range(len(bodies))))
    command = [sys.executable, *map(str, paths)]
    alone = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=environment | {"HF_HUB_OFFLINE": "1"}
    )
    assert alone.returncode == 0, alone.stderr[-2000:]
    told = json.loads(alone.stdout.splitlines()[-1])
    assert told["outside"] == []
    module = handler(package)
    here = Functions(module, module.model_fn(str(model)))
    for sent, answer in zip(bodies, told["found"], strict=True):
        expected = here.answer(sent)
        vectors = (answer["embedding"], expected["embedding"]) if package == "clip" else (answer, expected)
        assert np.abs(np.subtract(*vectors)).max() <= 1e-6


@pytest.mark.parametrize("package", ["clip", "minilm"])
def test_the_containers_requirements_are_pinned_to_what_is_tested(package: str) -> None:
    for line in (PACKAGES / package / "code" / "requirements.txt").read_text().splitlines():
        pinned = re.fullmatch(r"([A-Za-z0-9_.-]+)==([A-Za-z0-9.]+)", line)
        assert pinned, f"{line}: neither a name of an index nor an exact version"
        assert pinned[1] not in ("torch", "torchvision", "numpy"), "the container has its own"
        assert version(pinned[1]) == pinned[2]
