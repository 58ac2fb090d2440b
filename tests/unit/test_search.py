"""What an answer of a stored template is about."""

import pytest

from neuralshelf.search import total_of


@pytest.mark.parametrize(
    ("total", "relation", "aggregations", "expected"),
    [
        (12, "eq", None, (12, False)),
        (10_000, "gte", None, (10_000, True)),
        (10_000, "gte", {"products": {"value": 731}}, (731, False)),
        (0, "eq", {"products": {"value": 0}}, (0, False)),
    ],
)
def test_products_are_counted_where_the_template_counts_them(
    total: int, relation: str, aggregations: dict[str, dict[str, int]] | None, expected: tuple[int, bool]
) -> None:
    answer = {"hits": {"total": {"value": total, "relation": relation}}}
    assert total_of(answer | ({"aggregations": aggregations} if aggregations else {})) == expected
