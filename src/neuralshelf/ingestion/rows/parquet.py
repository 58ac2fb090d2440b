"""Catalogues in Parquet. pyarrow is needed only here, and imported only when it is used."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuralshelf.errors import InputError, MissingDependencyError
from neuralshelf.ingestion.rows.lines import Row, require_id

BATCH_ROWS = 1000
READ_BYTES = 1 << 20  # of a column at a time, however large the file's row groups are


class Parquet:
    """Rows are counted from 1. Columns that nobody wants are not read from disk."""

    text = False

    def __init__(self, path: Path, fields: Mapping[str, str]) -> None:
        """
        Args:
            fields: column -> type of the index, `images` for a list of texts, `id` for text or whole numbers.

        Raises:
            InputError: no Parquet, no column `id`, or a column whose type can't be that of its field.
            MissingDependencyError: pyarrow is not installed.
        """
        self._path = path
        with self._opened() as file:
            schema = file.schema_arrow
            require_id(path, schema.names)
            self._columns = [name for name in schema.names if name in fields]
            self.unread: Sequence[str] = tuple(name for name in schema.names if name not in fields)
            self._count: int = file.metadata.num_rows
            for name in self._columns:
                if self._columns.count(name) > 1:
                    raise InputError(f"catalogue {path} has two columns {name}", hint="rename or remove one of them")
                kind, found = fields[name], schema.field(name).type
                if not _fits(found, kind):
                    raise InputError(
                        f"catalogue {path}: column {name} is {found}, which can't become {kind}",
                        hint="write that column with another type",
                    )

    def count(self) -> int:
        """As the file itself says."""
        return self._count

    def rows(self) -> Iterator[Row]:
        """See `Format`."""
        number = 0
        with self._opened() as file:
            batches = file.iter_batches(batch_size=BATCH_ROWS, columns=self._columns, use_threads=False)
            for batch in self._explained(batches):
                names = batch.schema.names
                for cells in zip(*(_values(column) for column in batch.columns), strict=True):
                    number += 1
                    yield number, dict(zip(names, cells, strict=True))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingDependencyError(
                f"catalogue {self._path} needs pyarrow", hint="pip install 'neuralshelf[parquet]'"
            ) from None
        try:
            file = pq.ParquetFile(self._path, buffer_size=READ_BYTES)
        except (pa.ArrowException, OSError) as fault:
            raise self._broken(fault) from None
        with file:
            yield file

    def _explained(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        try:
            yield from batches
        except (pa.ArrowException, OSError) as fault:
            raise self._broken(fault) from None

    def _broken(self, fault: Exception) -> InputError:
        return InputError(f"catalogue {self._path} can't be read as Parquet: {fault}", hint="make the file again")


def _fits(found: Any, kind: str) -> bool:
    """Whether a column's Arrow type can hold values of a field."""
    from pyarrow import types

    if types.is_dictionary(found):
        return _fits(found.value_type, kind)
    if types.is_null(found):
        return True
    text = types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    if kind in ("text", "keyword"):
        return bool(text)
    whole = types.is_integer(found) or types.is_decimal(found)
    if kind == "id":
        return bool(text or whole)
    if kind == "images":
        listed = types.is_list(found) or types.is_large_list(found) or types.is_list_view(found)
        return bool(text or (listed and _fits(found.value_type, "text")))
    if kind == "boolean":
        return bool(types.is_boolean(found))
    return bool(whole or types.is_floating(found))


def _values(column: Any) -> list[Any]:
    """A column's values; text that is not UTF-8 becomes a lone surrogate, which no field takes."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_value(cell) for cell in column]


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return "\udcff"
