"""What an answer of a stored template is about."""

import pytest

from neuralshelf.search import Hit, total_of
from neuralshelf.tables import hits_table


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


def test_views_have_a_column_where_a_product_has_several() -> None:
    one, three = Hit("a", 0.5, {"title": "mug", "price": 3.0}), Hit("b", 0.4, {"title": "jug"}, views=3)
    assert "views" not in hits_table([one])
    first, second = hits_table([one, three]).splitlines()[2:]
    assert (first.split()[-1], second.split()[-1]) == ("1", "3")
