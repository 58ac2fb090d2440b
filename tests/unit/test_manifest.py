"""package.json: read whole, or refused by file and key."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralshelf.model_packages.packaging.manifest import Manifest, PackageError, WeightFile, Weights, safe_name

SHA256 = "ab" * 32
GOOD: dict[str, Any] = {
    "name": "clip",
    "framework": {"pytorch": "2.6", "python": "3.12"},
    "sources": ["encoder.py", "server/contracts.py"],
    "weights": [
        {
            "name": "RN50",
            "files": [{"file": "model.safetensors", "sha256": SHA256, "bytes": 12}],
            "from": "https://example.org",
            "licence": "MIT",
        },
        {"name": "own", "files": [], "from": "yourself", "licence": "yours"},
    ],
}


def read(folder: Path, text: str | bytes) -> Manifest:
    (folder / "package.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return Manifest.read(folder)


def test_a_manifest_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps(GOOD))
    assert found == Manifest(
        "clip",
        {"pytorch": "2.6", "python": "3.12"},
        ("encoder.py", "server/contracts.py"),
        (
            Weights("RN50", (WeightFile("model.safetensors", SHA256, 12),), "https://example.org", "MIT"),
            Weights("own", (), "yourself", "yours"),
        ),
    )


CHANGES: list[tuple[str, object, str]] = [
    ("name", "Clip 2", "name: 'Clip 2' is not a name"),
    ("name", None, "name: expected a text"),
    ("names", [], "'names' is no key here; known are name, framework, sources, weights"),
    ("framework", [], "framework: expected an object"),
    ("framework.pytorch", 2.6, "framework.pytorch: expected a text"),
    ("sources", "encoder.py", "sources: expected a list"),
    ("sources.0", "../errors.py", r"sources\[0\]: '../errors.py' is not a plain relative path"),
    ("sources.1", "/etc/passwd", r"sources\[1\]: '/etc/passwd' is not a plain"),
    ("sources.1", "a\nb", r"sources\[1\]: 'a\\nb' is not a plain"),
    ("weights", {}, "weights: expected a list"),
    ("weights.0", 1, r"weights\[0\]: expected an object"),
    ("weights.1.name", "rn50", "weights: a name comes twice"),
    ("weights.0.url", "x", r"weights\[0\]: 'url' is no key here"),
    ("weights.0.licence", " ", r"weights\[0\].licence: expected a text"),
    ("weights.0.files.0.sha256", "AB" * 32, r"files\[0\].sha256: expected 64 hex digits"),
    ("weights.0.files.0.sha256", "ab", r"files\[0\].sha256: expected 64 hex digits"),
    ("weights.0.files.0.bytes", "12", r"files\[0\].bytes: expected a number"),
    ("weights.0.files.0.bytes", True, r"files\[0\].bytes: expected a number"),
    ("weights.0.files.0.file", "../m.safetensors", r"files\[0\].file: .* is not a plain"),
]


@pytest.mark.parametrize(("path", "value", "said"), CHANGES)
def test_a_wrong_value_is_named(tmp_path: Path, path: str, value: object, said: str) -> None:
    changed = copy.deepcopy(GOOD)
    target: Any = changed
    *above, last = path.split(".")
    for key in above:
        target = target[int(key) if key.isdigit() else key]
    target[int(last) if last.isdigit() else last] = value
    with pytest.raises(PackageError, match=rf"package\.json: .*{said}"):
        read(tmp_path, json.dumps(changed))


@pytest.mark.parametrize("key", ["name", "framework", "sources", "weights"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(PackageError, match=f"{key} is missing"):
        read(tmp_path, json.dumps({name: value for name, value in GOOD.items() if name != key}))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, b"\xff", '{"name": "a", "name": "b"}', " " * 1_000_001, "1" * 5_000]
)
def test_what_is_no_manifest_is_named_in_one_line(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(PackageError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/package.json: ")
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"package\.json: can't be read"):
        Manifest.read(tmp_path)


@given(st.text(max_size=20))
def test_a_safe_name_stays_below_its_folder(name: str) -> None:
    if safe_name(name):
        assert Path("/root", name).resolve().is_relative_to("/root")
        assert Path("/root", name).as_posix() == f"/root/{name}"
        assert name.isascii()
        assert name.isprintable()
