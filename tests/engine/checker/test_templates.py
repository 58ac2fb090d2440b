"""The stored templates make nothing but correct searches, whatever they are asked for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from neuralshelf.checker import check
from neuralshelf.checker.examples import examples
from neuralshelf.checker.live import rendered
from neuralshelf.deployment import Config

from .conftest import Shelf, shelf


def test_every_kind_of_search_is_correct(shelves: Sequence[Shelf]) -> None:
    found = shelves[0]
    config = Config.parse(shelf(1), "shelf.yaml")
    every = list(examples(config.index, config.search))
    assert len(every) == 64
    facts: Any = found.facts()
    for template in (found.shop.template, found.shop.keyword_template):
        for params in every:
            verdict = check(facts, rendered(found.client, template, params))
            assert verdict.word == "correct", (template, params, verdict.findings)


def test_a_page_that_the_candidates_can_not_fill_is_not_correct(shelves: Sequence[Shelf]) -> None:
    found = shelves[0]
    for params in ({"text": "red", "size": 100}, {"text": "red", "collapse": True, "size": 30}):
        assert check(found.facts(), rendered(found.client, found.shop.template, params)).word == "rewritten"
    deep = {"text": "red", "from": 60, "size": 10}
    assert check(found.facts(), rendered(found.client, found.shop.template, deep)).word == "refused"
    many = replace(found.facts(), views=10)
    assert (
        check(many, rendered(found.client, found.shop.template, {"text": "red", "collapse": True})).word == "rewritten"
    )
