"""What a configuration may say, against the oldest OpenSearch that is supported."""

from collections.abc import Mapping
from typing import Any

import pytest
from opensearchpy import OpenSearch

from neuralshelf.deployment import Config
from neuralshelf.errors import ConfigError, ProvisionError
from neuralshelf.provision.versions import check
from tests.engine.pipelines.conftest import SHOP

LEGS = ("text_vector", "second_vector", "third_vector", "image_vector")


def shop(name: str, index: Mapping[str, Any] | None = None, **search: Any) -> dict[str, Any]:
    """A shop of its own."""
    return {
        **SHOP,
        "project": name,
        "index": {**SHOP["index"], **(index or {}), "name": name},
        "search": {**SHOP["search"], "template": f"{name}-search", **search},
    }


MADE_OF = {"connector": "text", "text": ["title"]}
VECTORS = {name: SHOP["index"]["vectors"].get(name, MADE_OF) for name in LEGS}
CASES = {
    "l2": shop("norm", normalization="l2", combination="harmonic_mean"),
    "most candidates": shop("deep", k=10_000),
    "five legs": shop("legs", {"vectors": VECTORS}, weights={"keyword": 0.2, **dict.fromkeys(LEGS, 0.2)}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_needs_no_newer_version_is_taken_and_found(open_shop: Any, client: OpenSearch, case: str) -> None:
    check(client.info()["version"]["number"], Config.parse(CASES[case], "neuralshelf.yaml"))
    opened = open_shop(CASES[case])
    assert not opened.index_all({"a": {"title": "red mug", "price": 5.0}, "b": {"title": "green chair"}})
    assert [hit["_id"] for hit in opened.ask(text="red mug", price_max=9)] == ["a"]
    assert opened.ask(text="red mug")[0]["_id"] == "a"


def test_ranks_with_weights_are_refused_before_the_cluster_refuses_them(open_shop: Any, client: OpenSearch) -> None:
    ranks = shop("ranks", combination="rrf")
    with pytest.raises(ConfigError, match=r"rrf with weights needs OpenSearch ≥ 3\.1, the cluster is 2\.19\.1"):
        check(client.info()["version"]["number"], Config.parse(ranks, "neuralshelf.yaml"))
    with pytest.raises(ProvisionError, match="not supported"):
        open_shop(ranks)
