"""A small model package written into a folder: numpy only, no torch."""

import hashlib
import json
from pathlib import Path

from tests.unit import tars

INFERENCE = """
import json
from pathlib import Path

import numpy as np
from neuralshelf.model_packages.encoder import Sample
from helper import scale

def model_fn(model_dir):
    raw = (Path(model_dir) / "model.safetensors").read_bytes()
    return np.frombuffer(raw[-8:], np.float32)

def input_fn(body, content_type):
    return Sample(text=json.loads(body)["inputText"])

def predict_fn(data, model):
    return (model * scale(len(data.text))).tolist()

def output_fn(prediction, accept):
    return json.dumps({"embedding": prediction})
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(name: str, **files: bytes) -> dict[str, object]:
    """An alternative of the manifest; `model__safetensors` is the file model.safetensors."""
    listed = [
        {"file": file.replace("__", "."), "sha256": digest(content), "bytes": len(content)}
        for file, content in files.items()
    ]
    return {"name": name, "files": listed, "from": "https://example.org/toy", "licence": "MIT"}


def write(folder: Path, *weights: dict[str, object], sources: tuple[str, ...] = ("encoder.py",)) -> Path:
    """The package `toy`; by default its weights are those of `tars.safetensors`."""
    package = folder / "toy"
    (package / "code").mkdir(parents=True)
    (package / "code" / "inference.py").write_text(INFERENCE)
    (package / "code" / "helper.py").write_text("def scale(length):\n    return float(length)\n")
    (package / "code" / "requirements.txt").write_text("# what the container lacks\nnumpy==2.4.6\n")
    manifest = {
        "name": "toy",
        "framework": {"pytorch": "2.6", "python": "3.12"},
        "sources": list(sources),
        "weights": list(weights or (entry("small", model__safetensors=tars.safetensors()),)),
    }
    (package / "package.json").write_text(json.dumps(manifest))
    return package


def write_weights(folder: Path, **files: bytes) -> Path:
    """A folder with weights; by default the one file that `write` knows."""
    weights = folder / "weights"
    weights.mkdir()
    for name, content in (files or {"model__safetensors": tars.safetensors()}).items():
        (weights / name.replace("__", ".")).write_bytes(content)
    return weights
