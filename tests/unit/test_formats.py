"""JSON lines, CSV and Parquet give the same products; what is wrong in a file costs one row, or says what to do."""

import csv
import gzip
import io
import json
import resource
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuralshelf.errors import InputError
from neuralshelf.ingestion.catalogue import BadLine, Catalogue, Product
from neuralshelf.ingestion.rows.formats import FormatName
from neuralshelf.ingestion.rows.lines import MAX_LINE_BYTES
from tests.unit.rows import INDEX, products, read

ROWS: list[dict[str, Any]] = [
    {"id": "a", "title": 'Cup; "blue", big', "price": 3.5, "stock": 7, "new": True, "images": ["a.jpg", "b/c.jpg"]},
    {"id": "b", "title": "two\nlines", "price": -1e-7, "stock": -2147483648, "new": False, "images": ["b.jpg"]},
    {"id": "ü 3", "title": "ß 漢 🫖", "price": None, "stock": None, "new": None, "images": []},
]
EXPECTED = [
    (
        row["id"],
        {name: value for name, value in row.items() if name not in ("id", "images") and value is not None},
        row["images"],
    )
    for row in ROWS
]


def as_jsonl() -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS)


def as_csv(delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(ROWS[0])
    for row in ROWS:
        writer.writerow(["|".join(value) if isinstance(value, list) else value for value in row.values()])
    return text.getvalue().encode()


def as_parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink, row_group_size=2)
    return sink.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "c.jsonl": as_jsonl,
    "c.NDJSON": as_jsonl,
    "c.jsonl.gz": lambda: gzip.compress(as_jsonl()),
    "c.csv": as_csv,
    "c.csv.gz": lambda: gzip.compress(as_csv()),
    "semicolons.csv": lambda: as_csv(";"),
    "tabs.csv": lambda: as_csv("\t"),
    "pipes.csv": lambda: as_csv("|"),
    "c.tsv": lambda: as_csv("\t"),
    "mark.csv": lambda: b"\xef\xbb\xbf" + as_csv(),
    "mark.jsonl": lambda: b"\xef\xbb\xbf" + as_jsonl(),
    "c.parquet": as_parquet,
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_products(tmp_path: Path, name: str) -> None:
    assert products(read(tmp_path / name, FILES[name]())) == EXPECTED
    assert Catalogue(tmp_path / name, INDEX).count() == 3


@pytest.mark.parametrize(("name", "format"), [("x.jsonl", "csv"), ("x.csv", "parquet"), ("x", "jsonl"), ("x", "tsv")])
def test_a_format_that_is_named_counts_more_than_the_suffix(tmp_path: Path, name: str, format: FormatName) -> None:
    data = FILES[f"c.{format}"]()
    assert products(read(tmp_path / name, data, format=format)) == EXPECTED


def test_rows_have_the_numbers_that_an_editor_or_a_spreadsheet_shows(tmp_path: Path) -> None:
    table = read(tmp_path / "c.csv", b'id,title\na,"two\nlines"\n\nb,one\n,\nc,one\n')
    assert [row.line for row in table] == [2, 4, 6]
    assert [row.line for row in read(tmp_path / "c.jsonl", b'\n{"id":"a"}\n\n{"id":"b"}')] == [2, 4]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,Cup,3.5", "row of 3 cells, the header has 5"),
        ("a,Cup,3.5,1,true,more", "row of 6 cells, the header has 5"),
        ("a,Cup,3,5,1,true", "row of 6 cells, the header has 5"),
        ('a,Cup,"3,5",1,true', "price must be a number such as 3 or 3.5, is '3,5'"),
        ("a,Cup,nan,1,true", "price must be a number"),
        ("a,Cup,1e999,1,true", "which is no number"),
        ("a,Cup,1e39,1,true", "too large for a float"),
        ("a,Cup,0x10,1,true", "price must be a number"),
        ("a,Cup,1_000,1,true", "price must be a number"),
        ("a,Cup,٣,1,true", "price must be a number"),
        ("a,Cup,3,1.5,true", "stock must be integer, is 1.5"),
        ("a,Cup,3,2147483648,true", "too large for an integer"),
        ("a,Cup,3,1,maybe", "new must be true or false, is 'maybe'"),
        (",Cup,3,1,true", "id must be a string"),
        ('a,"Cup"s,3,1,true', "expected after"),
        ("a," + "x" * 131_073 + ",3,1,true", "field larger than field limit"),
        ("a," + "x" * 1_000_001 + ",3,1,true", "the limit is 1000000"),
        (b"a,K\xf6rbchen,3,1,true", "title holds bytes that are not UTF-8"),
    ],
)
def test_a_bad_row_of_a_csv_says_why_and_stops_no_other(tmp_path: Path, row: str | bytes, words: str) -> None:
    line = row if isinstance(row, bytes) else row.encode()
    bad, good = read(tmp_path / "c.csv", b"id,title,price,stock,new\n" + line + b"\ngood,Cup,3,1,true\n")
    assert isinstance(bad, BadLine)
    assert words in bad.cause
    assert isinstance(good, Product)
    assert good.line == 3


@pytest.mark.parametrize(
    ("cells", "value"),
    [("3", 3.0), (" .5 ", 0.5), ("-0", 0.0), ("1e3", 1000.0), ("0.1", 0.1), ("16777217", 16777217.0), ("+7.", 7.0)],
)
def test_a_number_in_a_cell_is_that_number(tmp_path: Path, cells: str, value: float) -> None:
    (row,) = read(tmp_path / "c.csv", f"id,price\na,{cells}\n".encode())
    assert isinstance(row, Product)
    assert row.fields["price"] == value


@pytest.mark.parametrize(("cell", "value"), [("7", 7), ("7.0", 7), ("-2147483648", -(2**31)), ("1e2", 100)])
def test_a_whole_number_in_a_cell_is_an_integer(tmp_path: Path, cell: str, value: int) -> None:
    (row,) = read(tmp_path / "c.csv", f"id,stock\na,{cell}\n".encode())
    assert isinstance(row, Product)
    assert (row.fields["stock"], type(row.fields["stock"])) == (value, int)


def test_a_quote_that_is_never_closed_costs_one_row_that_names_its_lines(tmp_path: Path) -> None:
    rows = read(tmp_path / "c.csv", b'id,title\na,"open\nb,two\nc,three"\nd,four\ne,"end\nf,six\n')
    assert [(row.line, row.id) for row in rows] == [(2, "a"), (3, "d"), (4, None)]
    assert isinstance(rows[2], BadLine)
    assert "from line 6 to 7: is a closing quote missing?" in rows[2].cause


def test_a_row_without_end_is_given_up_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuralshelf.ingestion.rows.table.MAX_LINE_BYTES", 5000)
    rows = read(tmp_path / "c.csv", b"id,title\n" + b'"a\n",' * 2000 + b'"\nz,last\n')
    causes = [row.cause for row in rows if isinstance(row, BadLine)]
    assert "row of more than 5000 bytes" in causes[0]
    assert products(rows[-1:]) == [("z", {"title": "last"}, [])]


def test_a_line_far_over_the_limit_is_never_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with path.open("wb") as file:
        for _ in range(50):
            file.write(b" " * 1_000_000)
        file.write(b'\n{"id": "a"}\n')
    tracemalloc.start()
    rows = list(Catalogue(path, INDEX).rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(row.line, row.id) for row in rows] == [(1, None), (2, "a")]
    assert peak < 8_000_000


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl"])
def test_a_key_or_a_column_twice_is_refused(tmp_path: Path, name: str) -> None:
    if name == "c.csv":
        with pytest.raises(InputError, match="two columns 'title'; next:"):
            read(tmp_path / name, b"id,title,title\na,b,c\n")
    else:
        bad, nested = read(tmp_path / name, b'{"id":"a","id":"b"}\n{"id":"c","x":{"y":1,"y":2}}')
        assert isinstance(bad, BadLine)
        assert "the key 'id' is there twice" in bad.cause
        assert isinstance(nested, BadLine)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("c.csv", b"", "has no header"),
        ("c.csv", b"\n\na,b\n", "has no header"),
        ("c.csv", b'"open\nid\n', "no header"),
        ("c.csv", "id,title\n".encode("utf-16"), "is UTF-16"),
        ("c.csv", b"ID,title\na,b\n", "has no column id, but ID, title"),
        ("c.parquet", b"PAR1 and no more", "can't be read as Parquet"),
        ("c.parquet", b"", "can't be read as Parquet"),
        ("c.xlsx", b"PK", "no suffix that says what it is"),
        ("c.jsonl.gz", gzip.compress(b'{"id":"a"}\n' * 99)[:-12], "can't be read after line"),
        ("c.csv.gz", b"\x1f\x8bno gzip at all", "can't be read after line 0"),
    ],
)
def test_a_file_that_can_t_be_read_is_one_line_with_a_next_step(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path / name, data)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.parquet"])
def test_columns_that_the_index_has_no_field_for_are_counted(tmp_path: Path, name: str) -> None:
    rows = [{"id": "a", "colour": "red", "size": 3}, {"id": "b", "colour": "blue", "size": 4}]
    path = tmp_path / name
    if name == "c.parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif name == "c.csv":
        path.write_text("id,colour,size\na,red,3\nb,blue,4\n")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    catalogue = Catalogue(path, INDEX)
    assert products(list(catalogue.rows())) == [("a", {}, []), ("b", {}, [])]
    assert catalogue.ignored == {"colour": 2, "size": 2}


def test_ignored_names_are_few_and_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b"".join(b'{"id":"%d","n\\ud800%d":1}\n' % (number, number) for number in range(500)))
    catalogue = Catalogue(path, INDEX)
    assert len(list(catalogue.rows())) == 500
    assert len(catalogue.ignored) <= 101
    assert "".join(catalogue.ignored).encode()


def check_any(path: Path) -> list[int]:
    """Row numbers of a file that may hold anything; each row must be sound."""
    catalogue = Catalogue(path, INDEX)
    numbers = []
    for row in catalogue.rows():
        numbers.append(row.line)
        if isinstance(row, BadLine):
            assert row.cause
            row.cause.encode()
        else:
            assert 0 < len(row.id.encode()) <= 512
            json.dumps(dict(row.fields), allow_nan=False, ensure_ascii=False).encode()
    assert numbers == sorted(set(numbers))
    assert catalogue.count() == len(numbers)
    return numbers


JSON_LINES = st.lists(
    st.one_of(
        st.binary(max_size=40).filter(lambda line: b"\n" not in line),
        st.dictionaries(
            st.sampled_from(["id", "title", "price", "stock", "new", "image", "images", "other"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
                max_leaves=4,
            ),
        ).map(lambda row: json.dumps(row).encode()),
    ),
    max_size=6,
)


@settings(deadline=None)  # files on a busy machine
@given(rows=JSON_LINES)
@example(rows=[b"\xef\xbb\xbf"])
def test_any_json_lines_are_products_or_bad_lines(tmp_path_factory: pytest.TempPathFactory, rows: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(b"\n".join(rows))
    if path.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b"):
        return
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert check_any(path) == [number for number, line in enumerate(lines, 1) if line.strip()]


@settings(deadline=None)  # files on a busy machine
@given(data=st.binary(max_size=200), header=st.sampled_from([b"", b"id,title,price,image\n", b"id;stock;new\n"]))
def test_any_bytes_as_csv_are_products_or_bad_lines(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, header: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(header + data)
    with suppress(InputError):  # no header in it, or UTF-16
        check_any(path)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@settings(deadline=None)  # files on a busy machine
@given(
    titles=st.lists(CELLS, min_size=1, max_size=5),
    prices=st.lists(st.floats(-3e38, 3e38), min_size=5, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
)
def test_what_a_csv_writer_wrote_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], prices: list[float], delimiter: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["id", "title", "price"])
        writer.writerows(
            [number, title, price] for number, (title, price) in enumerate(zip(titles, prices, strict=False))
        )
    expected: list[tuple[str, dict[str, Any], list[str]]] = [
        (str(number), {"title": title, "price": price}, [])
        for number, (title, price) in enumerate(zip(titles, prices, strict=False))
    ]
    assert products(list(Catalogue(path, INDEX).rows())) == expected


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("id,title,price,stock\n")
        for number in range(200_000):
            file.write(f"product-{number:08},A cup with the number {number},{number}.5,{number % 100}\n")
    kept: list[int] = []
    resident: list[int] = []
    for number, row in enumerate(Catalogue(path, INDEX).rows(), start=1):
        assert isinstance(row, Product)
        if number in (40_000, 200_000):
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
        if number == 170_000:
            tracemalloc.start()
        elif number in (180_000, 200_000):  # 20,000 ids or rows would be megabytes
            kept.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert number == 200_000
    assert kept[1] < kept[0] + 100_000
    assert resident[1] < resident[0] + 24_000_000  # the cache of ids, full at last, is 16 MiB of it


def test_the_limit_of_a_line_is_the_limit(tmp_path: Path) -> None:
    start, end = b'{"id":"a","title":"', b'"}'
    fits = start + b"x" * (MAX_LINE_BYTES - len(start + end)) + end
    first, second = read(tmp_path / "c.jsonl", fits + b"\n" + fits.replace(b'"a"', b'"b"') + b"\n")
    assert isinstance(first, Product)
    assert isinstance(second, Product)
    (bad,) = read(tmp_path / "c.jsonl", fits + b" ")
    assert isinstance(bad, BadLine)
