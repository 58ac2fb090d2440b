"""Anything in lists of a size, as `itertools.batched` of Python 3.12 does it."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one of what is left; nothing is read ahead."""
    each = iter(items)
    while some := list(islice(each, size)):
        yield some
