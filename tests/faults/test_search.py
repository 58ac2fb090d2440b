"""A search whose model fails is an error that says so: never an empty page, never wrong hits, never a traceback."""

import pytest

from neuralshelf.client import connect
from neuralshelf.errors import SearchError
from neuralshelf.search import search
from neuralshelf.settings import ClusterConfig
from tests.faults.conftest import Shop
from tests.faults.faults import BREAKING, FAILING, GARBAGE, THROTTLING

NAMES = sorted({*THROTTLING, *FAILING, *BREAKING, *GARBAGE} - {"trickle", "50 MB"})


@pytest.mark.parametrize("name", NAMES)
def test_a_search_says_that_its_model_failed(shop: Shop, name: str) -> None:
    client = connect(ClusterConfig(provider="url", url=shop.project.environment["cluster"]["url"]))
    try:
        shop.models.share(1.0, [name])
        with pytest.raises(SearchError, match="refused by the cluster") as caught:
            search(client, shop.index, f"{shop.index}-search", text="a red cup")
        assert len(str(caught.value)) < 700
        shop.models.heal()
        assert search(client, shop.index, f"{shop.index}-search", text="a red cup").hits == []
        assert search(client, shop.index, f"{shop.index}-keyword-search", text="a red cup").hits == []
    finally:
        client.close()
