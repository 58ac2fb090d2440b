"""Files of vectors: what is taken, what is refused with which code, and that only ids join."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuralshelf.errors import InputError
from neuralshelf.ingestion.vectors.files import MAX_LINE_BYTES, Faulty, Given, VectorFiles, encoded

SIZES = {"text_vector": 3, "image_vector": 2}


def write(path: Path, lines: Sequence[Any], *, zipped: bool = False) -> Path:
    """Lines as they are given: bytes as they stand, all else as JSON."""
    data = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


def read(
    path: Path, sizes: Mapping[str, int] = SIZES, field: str | None = None
) -> tuple[dict[tuple[str, str], list[float]], list[Faulty]]:
    """(id, field) -> vector, and the faults."""
    found = list(VectorFiles([path], sizes, field))
    given = {(line.id, line.field): line.vector.tolist() for line in found if isinstance(line, Given)}
    return given, [line for line in found if isinstance(line, Faulty)]


def codes(faults: Sequence[Faulty]) -> list[tuple[str | None, str]]:
    return [(fault.id, fault.code) for fault in faults]


@pytest.mark.parametrize("zipped", [False, True])
def test_our_own_lines_are_read_plain_and_zipped_as_digits_and_as_base64(tmp_path: Path, zipped: bool) -> None:
    lines = [
        {"id": "a", "text_vector": [1, 2.5, -3], "image_vector": [0.5, 0.25]},
        {
            "id": "b",
            "image_vector": encoded(np.array([0.1, 0.2], np.float32)),
            "image_vector_from": "v1 abc",
            "more": 1,
        },
        {"id": 7, "image_vector": [1, 1]},
    ]
    path = write(tmp_path / "vectors.jsonl", lines, zipped=zipped)
    given, faults = read(path)
    assert faults == []
    assert given["a", "text_vector"] == [1.0, 2.5, -3.0]
    assert given["a", "image_vector"] == [0.5, 0.25]
    assert given["7", "image_vector"] == [1.0, 1.0]
    assert given["b", "image_vector"] == np.array([0.1, 0.2], np.float32).tolist()
    stamps = {(line.id, line.field): line.made_from for line in VectorFiles([path], SIZES) if isinstance(line, Given)}
    assert {key: stamp for key, stamp in stamps.items() if stamp} == {("b", "image_vector"): "v1 abc"}


def test_lines_of_batch_transform_are_read_in_each_shape_of_an_answer(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "vector": "image_vector", "from": "f00", "SageMakerOutput": {"embedding": [1, 2]}},
        {"id": "a", "vector": "text_vector", "SageMakerOutput": [[1, 2, 3]]},
        {"id": "b", "vector": "text_vector", "input": ["words"], "SageMakerOutput": [4, 5, 6]},
    ]
    given, faults = read(write(tmp_path / "part.jsonl.out", lines))
    assert faults == []
    assert given == {("a", "image_vector"): [1, 2], ("a", "text_vector"): [1, 2, 3], ("b", "text_vector"): [4, 5, 6]}


def test_a_line_without_a_field_belongs_to_the_named_or_to_the_only_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x.out", [{"id": "a", "inputText": "words", "SageMakerOutput": {"embedding": [1, 2]}}])
    assert read(path, {"image_vector": 2})[0] == {("a", "image_vector"): [1, 2]}
    assert read(path, SIZES, "image_vector")[0] == {("a", "image_vector"): [1, 2]}
    given, faults = read(path)
    assert (given, codes(faults)) == ({}, [("a", "BadVectorLine")])
    assert "--vector" in faults[0].cause
    with pytest.raises(InputError, match="no vector 'wrong'"):
        VectorFiles([path], SIZES, "wrong")


def test_a_folder_is_read_with_all_its_parts_whatever_their_names_order(tmp_path: Path) -> None:
    write(tmp_path / "text" / "00002.jsonl.out", [{"id": "b", "text_vector": [1, 1, 1]}])
    write(tmp_path / "text" / "00001.jsonl.out", [{"id": "a", "text_vector": [1, 1, 1]}])
    write(tmp_path / "more.out.gz", [{"id": "c", "text_vector": [1, 1, 1]}], zipped=True)
    write(tmp_path / "README.md", [b"not vectors"])
    assert {identity for identity, _ in read(tmp_path)[0]} == {"a", "b", "c"}
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "away"):
        with pytest.raises(InputError):
            VectorFiles([nothing], SIZES)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([1, 2, 3], "WrongDimension"),
        ([], "WrongDimension"),
        (encoded(np.ones(3, np.float32)), "WrongDimension"),
        ([1, float("nan")], "NotFinite"),
        ([1, float("inf")], "NotFinite"),
        ([1, 1e39], "NotFinite"),
        ([1e25, 1], "NotFinite"),
        ([10**400, 1], "NotFinite"),
        (encoded(np.array([np.nan, 1], np.float32)), "NotFinite"),
        ([0, 0.0], "ZeroVector"),
        ([1e-30, 1e-30], "ZeroVector"),
        ([1, None], "BadVectorLine"),
        ([1, True], "BadVectorLine"),
        ([1, "2"], "BadVectorLine"),
        ([[1, 2]], "BadVectorLine"),
        ({"embedding": [1, 2]}, "BadVectorLine"),
        (None, "BadVectorLine"),
        ("not base64", "BadVectorLine"),
        (base64.b64encode(b"12345").decode(), "BadVectorLine"),
    ],
)
def test_what_is_no_vector_is_a_fault_with_its_code_and_stops_nothing(tmp_path: Path, value: Any, code: str) -> None:
    good = {"id": "good", "image_vector": [1, 2]}
    given, faults = read(write(tmp_path / "v.jsonl", [good, {"id": "bad", "image_vector": value}, good]))
    assert given == {("good", "image_vector"): [1, 2]}
    assert codes(faults) == [("bad", code)]
    assert faults[0].line == 2
    assert faults[0].field == "image_vector"


@pytest.mark.parametrize("answer", [{"error": "out of memory"}, {"message": "no"}, {"code": 400}, None, "text", 5])
def test_an_error_in_the_place_of_an_answer_is_the_models(tmp_path: Path, answer: Any) -> None:
    good = {"id": "good", "vector": "image_vector", "SageMakerOutput": {"embedding": [1, 2]}}
    given, faults = read(write(tmp_path / "v.out", [{**good, "id": "bad", "SageMakerOutput": answer}, good]))
    assert set(given) == {("good", "image_vector")}
    assert codes(faults) == [("bad", "ModelError")]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (b"{broken\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"7\n", "no object"),
        (b"[1, 2]\n", "no object"),
        (b"{}\n", "no id"),
        (b'{"id": 7.5}\n', "id must be"),
        (b'{"id": true}\n', "id must be"),
        (b'{"id": ""}\n', "id must be"),
        (b'{"id": "\\ud800"}\n', "id must be"),
        (b'{"id": "' + b"x" * 513 + b'"}\n', "id must be"),
        (b'{"id": "a"}{"id": "b"}\n', "AssembleWith Line"),
        (b"x" * (MAX_LINE_BYTES + 10) + b"\n", "longer than"),
    ],
)
def test_what_is_no_line_is_a_fault_of_nobody_and_stops_nothing(tmp_path: Path, line: bytes, cause: str) -> None:
    good = {"id": "good", "image_vector": [1, 2]}
    given, faults = read(write(tmp_path / "v.jsonl", [b"\xef\xbb\xbf", good, b"\n", line, {**good, "id": "last"}]))
    assert set(given) == {("good", "image_vector"), ("last", "image_vector")}
    assert codes(faults) == [(None, "BadVectorLine")]
    assert cause in faults[0].cause
    assert faults[0].line == 3


def test_lines_with_an_id_that_fit_no_vector_are_faults_of_that_document(tmp_path: Path) -> None:
    lines: list[Any] = [
        {"id": "typo", "imagevector": [1, 2]},
        {"id": "other", "vector": "another", "SageMakerOutput": [1, 2]},
        {"id": "list", "vector": ["x"], "SageMakerOutput": [1, 2]},
        {"id": "stamp", "image_vector": [1, 2], "image_vector_from": 7},
    ]
    given, faults = read(write(tmp_path / "v.jsonl", lines))
    assert given == {}
    assert codes(faults) == [(line["id"], "BadVectorLine") for line in lines]


def test_a_torn_file_and_a_torn_archive_give_what_is_whole(tmp_path: Path) -> None:
    whole = b"".join(json.dumps({"id": f"i{n}", "image_vector": [n + 1, 2]}).encode() + b"\n" for n in range(5000))
    (tmp_path / "torn.jsonl").write_bytes(whole[:-20])
    given, faults = read(tmp_path / "torn.jsonl")
    assert (len(given), codes(faults)) == (4999, [(None, "BadVectorLine")])
    archive = gzip.compress(whole)
    (tmp_path / "torn.jsonl.gz").write_bytes(archive[: len(archive) // 2])
    given, faults = read(tmp_path / "torn.jsonl.gz")
    assert 0 < len(given) < 5000
    assert set(codes(faults)) == {(None, "BadVectorLine")}


@pytest.mark.parametrize("lines", [[{"embedding": [1, 2]}] * 3, [[1, 2]] * 200, [{"SageMakerOutput": [1, 2]}]])
def test_a_file_without_keys_is_refused_and_the_way_to_get_them_told(tmp_path: Path, lines: list[Any]) -> None:
    with pytest.raises(InputError, match="don't say whose their vectors are") as fault:
        read(write(tmp_path / "v.out", lines))
    assert "JoinSource Input" in fault.value.hint
    assert "--requests" in fault.value.hint


def test_a_file_of_something_else_is_refused_without_a_letter_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no vectors: not JSON"):
        read(write(tmp_path / "v.out", [b"0.1,0.2,0.3\n"] * 1000))
    given, faults = read(write(tmp_path / "torn.out", [b"torn\n"] * 99 + [{"id": "a", "image_vector": [1, 2]}]))
    assert (len(given), len(faults)) == (1, 99)
