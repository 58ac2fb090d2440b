"""Parquet: types of columns become those of the index, or the file is refused before any row."""

import decimal
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neuralshelf.errors import InputError, MissingDependencyError
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from tests.unit.rows import INDEX, products


def parquet(path: Path, **columns: Any) -> list[Product | BadLine]:
    pq.write_table(pa.table(columns), path)
    return list(Catalogue(path, INDEX).rows())


def test_parquet_types_become_those_of_the_index(tmp_path: Path) -> None:
    rows = parquet(
        tmp_path / "c.parquet",
        id=pa.array([1, 2, 9007199254740993], pa.int64()),
        title=pa.array(["Cup", None, "Cup"]).dictionary_encode(),
        price=pa.array([decimal.Decimal("3.50"), None, decimal.Decimal("0.01")], pa.decimal128(9, 2)),
        stock=pa.array([3.0, None, 4.0]),
        image=pa.array(["a.jpg", None, ""]),
    )
    assert products(rows) == [
        ("1", {"title": "Cup", "price": 3.5, "stock": 3}, ["a.jpg"]),
        ("2", {}, []),
        ("9007199254740993", {"title": "Cup", "price": 0.01, "stock": 4}, []),
    ]


def test_a_number_that_is_none_in_parquet_is_a_bad_row(tmp_path: Path) -> None:
    bad, good = parquet(tmp_path / "c.parquet", id=["a", "b"], price=[float("nan"), 1.0])
    assert isinstance(bad, BadLine)
    assert "price is nan, which is no number" in bad.cause
    assert isinstance(good, Product)


def test_text_that_is_not_utf8_costs_its_row_alone(tmp_path: Path) -> None:
    damaged = pa.Array.from_buffers(pa.string(), 2, pa.array([b"Cup", b"K\xf6rb"], pa.binary()).buffers())
    good, bad = parquet(tmp_path / "c.parquet", id=["a", "b"], title=damaged)
    assert isinstance(good, Product)
    assert isinstance(bad, BadLine)
    assert "title holds bytes that are not UTF-8" in bad.cause


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("price", ["3.5"], "column price is string, which can't become float"),
        ("title", [3], "column title is int64, which can't become text"),
        ("id", [1.5], "column id is double, which can't become id"),
        ("images", [[1]], "can't become images"),
        ("image", [b"\xff\xd8"], "column image is binary"),
    ],
)
def test_a_column_of_another_type_is_told_before_any_row(
    tmp_path: Path, column: str, values: list[Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        parquet(tmp_path / "c.parquet", **{"id": ["a"], column: values})


def test_a_parquet_without_ids_is_told_before_any_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no column id, but sku, title"):
        parquet(tmp_path / "c.parquet", sku=["a"], title=["Cup"])


def test_a_broken_page_of_parquet_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"id": [f"p{number}" for number in range(20_000)]}), path)
    data = bytearray(path.read_bytes())
    data[1000:9000] = b"\xff" * 8000
    path.write_bytes(data)
    with pytest.raises(InputError, match="can't be read as Parquet"):
        list(Catalogue(path, INDEX).rows())


def test_without_pyarrow_parquet_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingDependencyError, match=r"neuralshelf\[parquet\]"):
        Catalogue(tmp_path / "c.parquet", INDEX)
