"""What members hold: no pickles under any name, whole safetensors, and texts that are texts."""

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import pytest

from neuralshelf.model_packages.packaging.archive import check
from tests.unit import tars
from tests.unit.tars import refused

GOOD = tars.member("code/inference.py", b"pass\n")
WEIGHTS = tars.safetensors()


def pickles() -> dict[str, bytes]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as made:
        made.writestr("archive/data.pkl", pickle.dumps({"w": [1.0]}, 2))
    found = {f"protocol {number}": pickle.dumps({"w": [1.0, "a"]}, number) for number in range(6)}
    legacy = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    return found | {"what torch.save writes": zipped.getvalue(), "what torch.save wrote": legacy}


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".PT"])
def test_pickles_are_refused_by_their_suffix(tmp_path: Path, suffix: str) -> None:
    fault = refused(tars.archive(tmp_path, GOOD, tars.member(f"model{suffix}", WEIGHTS)))
    assert (fault.member, "pickle" in str(fault)) == (f"model{suffix}", True)


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json", "code/inference.py", "merges.txt", "bpe.txt.gz"])
@pytest.mark.parametrize("form", pickles())
def test_pickles_are_refused_by_their_content(tmp_path: Path, form: str, name: str) -> None:
    if form in ("protocol 0", "protocol 1") and name.endswith((".py", ".txt")):
        pytest.skip("a pickle that is a text, under a name that nobody unpickles")
    fault = refused(tars.archive(tmp_path, GOOD, tars.member(f"x/{name}".removeprefix("x/"), pickles()[form])))
    assert fault.member == name
    if form != "protocol 1":
        assert "pickle" in str(fault)


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BROKEN = {
    "empty": b"",
    "seven bytes": b"\x02\0\0\0\0\0\0",
    "a length of zero": bytes(16),
    "a length past the end": b"\xff" * 8 + b"{}",
    "a header of 50 MB": (50_000_000).to_bytes(8, "little") + b"{}",
    "no JSON": tars.safetensors(b"{w}"),
    "a list": tars.safetensors([]),
    "deep JSON": tars.safetensors(b"[" * 100_000),
    "spaces in front": tars.safetensors(b"  {}"),
    "a key twice": tars.safetensors(b'{"w":{},"w":{}}'),
    "no offsets": tars.safetensors({"w": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "a text as tensor": tars.safetensors({"w": "x"}),
    "a gap": tars.safetensors({"w": TENSOR | {"data_offsets": [4, 12]}}, bytes(12)),
    "an overlap": tars.safetensors({"v": TENSOR, "w": TENSOR | {"data_offsets": [4, 12]}}, bytes(12)),
    "data left over": tars.safetensors({"w": TENSOR}, bytes(9)),
    "data missing": tars.safetensors({"w": TENSOR}, bytes(7)),
    "a shape of another size": tars.safetensors({"w": TENSOR | {"shape": [3]}}, bytes(8)),
    "a negative shape": tars.safetensors({"w": TENSOR | {"shape": [-1, -2]}}, bytes(8)),
    "an endless shape": tars.safetensors({"w": TENSOR | {"shape": [2**62] * 200_000}}, bytes(8)),
    "huge numbers": tars.safetensors(b'{"w":{"dtype":"F32","shape":[' + b"9" * 9_000 + b'],"data_offsets":[0,8]}}'),
    "not a number": tars.safetensors({"w": TENSOR | {"data_offsets": [0, 8.0]}}, bytes(8)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_safetensors_with_a_wrong_header_is_refused(tmp_path: Path, name: str) -> None:
    fault = refused(tars.archive(tmp_path, tars.member("model.safetensors", BROKEN[name])))
    assert (fault.member, "not safetensors" in str(fault)) == ("model.safetensors", True)


@pytest.mark.parametrize("length", [128, 640, 0x380, 0x480, 0x580])
def test_a_safetensors_whose_first_bytes_look_like_a_pickle_is_taken(tmp_path: Path, length: int) -> None:
    whole = tars.safetensors({"w": TENSOR, "__metadata__": {"format": "pt"}}, bytes(8), pad_to=length)
    assert check(tars.archive(tmp_path, tars.member("model.safetensors", whole)))


@pytest.mark.parametrize("name", ["run.sh", "code/lib.so", "code/a.pyc", "README", "a.model", "code/w.safetensors"])
def test_other_kinds_of_files_are_refused(tmp_path: Path, name: str) -> None:
    fault = refused(tars.archive(tmp_path, tars.member(name, b"")))
    assert (fault.member, "not of a kind" in str(fault)) == (name, True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.txt", "ä".encode()[:1], "cut off"),
        ("a.txt", b"a\0b", "NUL"),
        ("a.json", b"", "empty"),
        ("a.json", b"<html>", "not JSON"),
        ("a.txt.gz", b"text", "not gzip"),
        ("a.txt.gz", gzip.compress(b"text")[:-9], "cut off"),
        ("a.txt.gz", gzip.compress(b"text") + b"more", "goes on"),
        ("a.txt.gz", gzip.compress(b"\x80\x04"), "not UTF-8"),
        ("a.txt.gz", gzip.compress(b" " * (65 * 2**20)), "inflates to more"),
    ],
)
def test_a_text_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    assert said in str(refused(tars.archive(tmp_path, tars.member(name, content))))


def test_a_gzipped_vocabulary_is_taken(tmp_path: Path) -> None:
    vocabulary = gzip.compress("i n\nt h\nä\n".encode() * 1000)
    assert check(tars.archive(tmp_path, tars.member("bpe_simple_vocab_16e6.txt.gz", vocabulary)))
