"""Several documents a product: a search lists each product once, by its best, counts products and pages by them.

Held against oracles over all documents: numpy for what vectors say, and the same search with `all_views`, grouped here.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from opensearchpy import RequestError

from neuralshelf.pipelines.spec import IndexSpec, SearchSpec
from neuralshelf.provision.verify.check import Check
from neuralshelf.provision.verify.subject import Subject
from neuralshelf.provision.verify.views import check_views
from neuralshelf.storefront import Question, Storefront
from tests.engine.pipelines.goods import COLOURS, CONFIG, MOST, PER_LEG, SEED, Goods, encoded, goods, shot

K = 5
CANDIDATES = MOST * PER_LEG
FILTERS: Mapping[str, Any] = {"colour": ["red", "green"], "price_max": 60}
ALL = 10_000
DRAWS = 25


@pytest.fixture(scope="module")
def shelf() -> Goods:
    """What both shops sell."""
    return goods()


@pytest.fixture(scope="module", params=[1, 3], ids=["1 shard", "3 shards"])
def shop(request: pytest.FixtureRequest, open_shop: Any, shelf: Goods) -> Any:
    """A shop of products with several pictures."""
    name = f"views{request.param}"
    index, search = {**CONFIG["index"], "name": name}, {**CONFIG["search"], "template": f"{name}-search"}
    opened = open_shop({**CONFIG, "project": name, "index": index, "search": search}, shards=request.param)
    identities = list(shelf.documents)
    for start in range(0, len(identities), 100):
        failed = opened.index_all({i: shelf.documents[i] for i in identities[start : start + 100]})
        assert not failed, failed
    return opened


def questions(shelf: Goods) -> dict[str, dict[str, Any]]:
    """Every way of asking; the picture is one that the four large products crowd around."""
    crowded = encoded(shelf.pixels["p1/21"])
    text = "fine mug of kind 2"
    asked: dict[str, dict[str, Any]] = {
        "text": {"text": text},
        "picture": {"image": crowded},
        "both": {"text": text, "image": crowded},
        "listing": {},
    }
    filtered = {f"{name}, filtered": {**params, **FILTERS} for name, params in asked.items()}
    return {**asked, **filtered, "weighted": {**asked["both"], "weights": {"keyword": 0.5, "image_vector": 0.5}}}


WAYS = tuple(questions(Goods({}, {"p1/21": np.zeros((8, 8, 3), np.uint8)})))


def skus(hits: Sequence[Mapping[str, Any]]) -> list[str]:
    return [hit["_source"]["sku"] for hit in hits]


def best_of_each(hits: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Product -> the score of its best document."""
    best: dict[str, float] = {}
    for hit in hits:
        best[hit["_source"]["sku"]] = max(best.get(hit["_source"]["sku"], 0.0), hit["_score"] or 0.0)
    return best


@pytest.mark.parametrize("way", WAYS)
def test_the_first_five_are_five_products(shop: Any, shelf: Goods, way: str) -> None:
    for template in (shop.template, shop.keyword_template):
        found = skus(shop.ask(template, size=5, **questions(shelf)[way]))
        assert len(set(found)) == len(found) == 5


@pytest.mark.parametrize("way", WAYS)
def test_the_hit_of_a_product_is_its_best_document(shop: Any, shelf: Goods, way: str) -> None:
    params = questions(shelf)[way]
    once, every = shop.ask(size=ALL, **params), shop.ask(size=ALL, all_views=True, **params)
    assert {hit["_source"]["sku"]: hit["_score"] for hit in once} == pytest.approx(best_of_each(every), abs=1e-6)
    scores = {hit["_id"]: hit["_score"] for hit in every}
    assert all(scores[hit["_id"]] == pytest.approx(hit["_score"], abs=1e-6) for hit in once)
    assert len(every) > len(once) == len(set(skus(once)))


@pytest.mark.parametrize("combination", ["rrf", "geometric_mean", "harmonic_mean"])
@pytest.mark.parametrize("normalization", ["min_max", "l2"])
def test_however_legs_are_joined_the_best_document_is_the_hit(
    shop: Any, shelf: Goods, normalization: str, combination: str
) -> None:
    weights = {"weights": [0.2, 0.3, 0.5]}
    joining: dict[str, Any] = {
        "normalization-processor": {
            "normalization": {"technique": normalization},
            "combination": {"technique": combination, "parameters": weights},
        }
    }
    if combination == "rrf":
        joining = {"score-ranker-processor": {"combination": {"technique": "rrf", "parameters": weights}}}
    body = shop.rendered(size=ALL, **questions(shelf)["weighted"])
    body["search_pipeline"]["phase_results_processors"] = [joining]
    once = shop.search(body)
    every = shop.search({name: value for name, value in body.items() if name not in ("collapse", "aggs")})
    listed = skus(once)
    scores = [hit["_score"] for hit in once]
    assert dict(zip(listed, scores, strict=True)) == pytest.approx(best_of_each(every), abs=1e-6)
    assert len(set(listed)) == len(listed) < len(every)


@pytest.mark.parametrize("way", WAYS)
def test_pages_hold_each_product_once_and_leave_none_out(shop: Any, shelf: Goods, way: str) -> None:
    params = questions(shelf)[way]
    whole = [(hit["_id"], hit["_score"]) for hit in shop.ask(size=ALL, **params)]
    pages: list[tuple[str, float]] = []
    while len(pages) < len(whole):
        page = shop.ask(size=7, **{"from": len(pages)}, **params)
        assert len(page) == min(7, len(whole) - len(pages))
        pages += [(hit["_id"], hit["_score"]) for hit in page]
    assert pages == whole


def test_a_page_behind_the_last_product_is_empty_or_refused(shop: Any, shelf: Goods) -> None:
    params = questions(shelf)["both"]
    last = len(shop.ask(size=ALL, **params))
    assert shop.ask(size=5, **{"from": last}, **params) == []
    with pytest.raises(RequestError) as refused:
        shop.ask(size=5, **{"from": 9_000}, **params)
    assert "pagination_depth" in str(refused.value.info)


def test_any_part_of_the_shop_is_listed_by_products(shop: Any, shelf: Goods) -> None:
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    words = ("fine mug", "plain with a handle", "kind 7", "red", "mug")
    for _ in range(DRAWS):
        low, high = sorted(rng.uniform(0, 94, 2).round(1))
        colours = list(rng.choice(COLOURS, rng.integers(1, 4), replace=False))
        params: dict[str, Any] = {"price_min": low, "price_max": high, "colour": colours}
        if rng.random() < 0.6:
            params["text"] = str(rng.choice(words))
        if rng.random() < 0.6:
            params["image"] = encoded(shelf.pixels[str(rng.choice(list(shelf.pixels)))])
        documents = shelf.documents.values()
        fit = {str(d["sku"]) for d in documents if d["colour"] in colours and low <= d["price"] <= high}
        answer = shop.answer(size=ALL, **params)
        once, every = answer["hits"]["hits"], shop.ask(size=ALL, all_views=True, **params)
        listed = skus(once)
        assert len(set(listed)) == len(listed), params
        assert set(listed) <= fit
        assert {hit["_source"]["sku"]: hit["_score"] or 0.0 for hit in once} == pytest.approx(
            best_of_each(every), abs=1e-6
        )
        assert len(listed) >= min(K, len(fit)) or set(params) & {"text", "image"} == {"text"}
        assert counted(answer) >= len(listed)
        if not {"text", "image"} & set(params):
            assert set(listed) == fit
            assert counted(answer) == len(fit)


def passing(shelf: Goods) -> set[str]:
    """Products that the filters of the questions leave."""
    documents = shelf.documents.values()
    return {str(d["sku"]) for d in documents if d["colour"] != "blue" and d["price"] <= 60}


def counted(answer: Mapping[str, Any]) -> int:
    return int(answer["aggregations"]["products"]["value"])


def test_the_total_of_words_or_filters_is_the_number_of_products_that_fit(shop: Any, shelf: Goods) -> None:
    products = set(shelf.products.values())
    assert counted(shop.answer()) == len(products)
    assert counted(shop.answer(**FILTERS)) == len(passing(shelf))
    assert counted(shop.answer(shop.keyword_template, text="plain")) == len(products) // 2
    # every title has "mug": the words alone find all, so the vectors find none beside them
    assert counted(shop.answer(text="mug", size=1)) == len(products)
    assert counted(shop.answer(text="mug", size=1, **FILTERS)) == len(passing(shelf))


def leg(shop: Any, **query: Any) -> dict[str, float]:
    """Document -> score of one leg by itself."""
    return {hit["_id"]: hit["_score"] for hit in shop.search({"size": ALL, "_source": False, "query": query})}


def legs(shop: Any, text: str, image: str | None) -> list[dict[str, float]]:
    """The three legs of the template, each searched for by itself; of the words, all that they find."""
    pictured = {"query_text": text, "k": CANDIDATES} | ({"query_image": image} if image else {})
    return [
        leg(shop, match={"title": text}),
        leg(shop, neural={"text_vector": {"query_text": text, "k": CANDIDATES}}),
        leg(shop, neural={"image_vector": pictured}),
    ]


def joined(found: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Document -> min_max scores of the legs, joined by their weighted mean."""
    scores: dict[str, float] = {}
    for of_leg, weight in zip(found, weights, strict=True):
        low, high = min(of_leg.values()), max(of_leg.values())
        for identity, score in of_leg.items():
            share = (score - low) / (high - low) if high > low else 1.0
            share = share or 0.001  # the lowest of a leg, so that it is told from what the leg did not find
            scores[identity] = scores.get(identity, 0.0) + weight * share
    return scores


@pytest.mark.parametrize("pictured", [False, True])
def test_products_rank_as_an_exhaustive_search_over_all_documents_ranks_them(
    shop: Any, shelf: Goods, pictured: bool
) -> None:
    # Words weigh otherwise in every shard, so the words of several can't be joined from outside.
    weights = (0.2, 0.3, 0.5) if shop.index == "views1" else (0.0, 0.4, 0.6)
    rng = np.random.default_rng(SEED)
    for number in rng.choice(94, 6, replace=False):
        text = str(shelf.documents[f"p{number}"]["title"])
        image = encoded(shot(rng, shelf.pixels[f"p{rng.integers(94)}"][[0, 4], 0].astype(float))) if pictured else None
        words, *vectors = legs(shop, text, image)
        first = dict(list(words.items())[:CANDIDATES]) if shop.index == "views1" else words
        expected: dict[str, float] = {}
        for identity, score in joined((first, *vectors), weights).items():
            product = shelf.products[identity]
            expected[product] = max(expected.get(product, 0.0), score)
        given = dict(zip(("keyword", "text_vector", "image_vector"), weights, strict=True))
        answer = shop.answer(text=text, size=ALL, weights=given, **({"image": image} if image else {}))
        once = {hit["_source"]["sku"]: hit["_score"] for hit in answer["hits"]["hits"]}
        assert once == pytest.approx(expected, abs=1e-5)
        assert list(once.values()) == sorted(once.values(), reverse=True)
        assert counted(answer) == len({shelf.products[identity] for of_leg in (words, *vectors) for identity in of_leg})


def test_a_picture_finds_the_products_that_numpy_finds_by_the_picture_that_is_nearest(shop: Any, shelf: Goods) -> None:
    rng = np.random.default_rng(SEED)
    recalled, same, asked = 0, 0, 0
    for number in [*range(4), *rng.choice(np.arange(4, 94), 16, replace=False)]:
        pixels = shot(rng, shelf.pixels[f"p{number}"][[0, 4], 0].astype(float))
        hits = shop.ask(image=encoded(pixels), size=K)
        nearest = shelf.nearest(pixels)
        expected = list(nearest)[:K]
        recalled += len(set(skus(hits)) & set(expected))
        same += sum(
            hit["_score"] == pytest.approx((1 + nearest[hit["_source"]["sku"]][0]) / 2, abs=1e-5) for hit in hits
        )
        asked += K
    print(f"seed {SEED}: recall@{K} of products {recalled / asked:.3f}, best picture shown {same / asked:.3f}")
    assert recalled / asked >= 0.98  # the graph of neighbours is approximate
    assert same / asked >= 0.98


def test_a_document_without_product_is_one_of_its_own(empty_products: Any) -> None:
    shop = empty_products
    image = encoded(np.full((8, 8, 3), 90, np.uint8))
    assert not shop.index_all({name: {"title": "lone mug", "sku": sku, "image": image} for name, sku in NOBODY.items()})
    assert set(skus(shop.ask(text="lone mug", size=ALL))) == set(NOBODY)
    failed = shop.index_all({"two": {"title": "mug of two", "sku": ["a", "b"], "image": image}})
    assert failed["two"]["error"]["reason"] == "sku must be the id of one product"


def test_large_products_take_the_places_of_others_without_candidates_for_all_views(shop: Any, shelf: Goods) -> None:
    rng = np.random.default_rng(SEED)
    found: dict[str, list[tuple[int, int]]] = {}
    for number in [0, 1, 2, 3] * 2 + [*rng.choice(np.arange(4, 94), 12, replace=False)]:
        pixels = shot(rng, shelf.pixels[f"p{number}"][[0, 4], 0].astype(float))
        best = set(list(shelf.nearest(pixels))[:K])
        body = shop.rendered(image=encoded(pixels), size=K)
        short = json.loads(json.dumps(body).replace(f'"k": {CANDIDATES}', f'"k": {PER_LEG}'))
        every = {name: value for name, value in short.items() if name not in ("collapse", "aggs")}
        for way, asked in {"documents": every, "products": short, f"products, x {MOST} candidates": body}.items():
            products = set(skus(shop.search(asked)))
            found.setdefault(way, []).append((len(products), len(products & best)))
    for way, counts in found.items():
        distinct, recalled = np.mean(counts, axis=0)
        print(f"{shop.index}, k {PER_LEG}, {way}: {distinct:.2f} products of {K}, recall@{K} {recalled / K:.3f}")
    documents, collapsed, right = found.values()
    assert min(documents)[0] < min(right)[0] == K
    assert min(collapsed)[0] < K or shop.index != "views1"  # three shards give thrice as many candidates
    assert np.mean(right, axis=0)[1] >= 0.98 * K


def front(shop: Any, views: int = MOST) -> Storefront:
    """What the page asks this shop by."""
    index = IndexSpec.model_validate({**CONFIG["index"], "name": shop.index, "views": views})
    search = SearchSpec.model_validate({**CONFIG["search"], "template": shop.template})
    return Storefront(shop.client, index, search, None)


@pytest.mark.parametrize("way", ["both", "picture", "listing"])
def test_the_page_counts_products_shows_their_views_and_ends_where_they_end(shop: Any, shelf: Goods, way: str) -> None:
    asked = {name: value for name, value in questions(shelf)[way].items() if name in ("text", "image")}
    whole = skus(shop.ask(size=ALL, **asked))
    listed: list[str] = []
    views = Counter(shelf.products.values())
    while True:
        answer = front(shop).answer(Question(**asked, size=40, start=len(listed)))
        assert answer["total"] == counted(shop.answer(**asked))
        assert all(hit["views"] == views[hit["source"]["sku"]] for hit in answer["hits"])
        listed += [hit["source"]["sku"] for hit in answer["hits"]]
        assert answer["more"] == (len(listed) < len(whole))
        if not answer["more"]:
            break
    assert listed == whole


def test_filters_and_the_whole_shop_are_counted_in_products(shop: Any, shelf: Goods) -> None:
    found, products = front(shop).facets(), set(shelf.products.values())
    assert found["total"] == front(shop).status()["products"] == len(products)
    of_colour = Counter({str(d["sku"]): d["colour"] for d in shelf.documents.values()}.values())
    assert {value["value"]: value["count"] for value in found["values"]["colour"]} == of_colour


def test_verify_tells_of_a_product_with_more_documents_than_searches_reckon_with(shop: Any, shelf: Goods) -> None:
    def checked(views: int) -> Check:
        made = front(shop, views).index
        subject = SimpleNamespace(client=shop.client, index=made, index_address=f"index/{made.physical_name}")
        return next(check_views(cast(Subject, subject)))

    assert checked(MOST).ok
    failed = checked(MOST - 1)
    assert not failed.ok
    assert "has 30 documents, index.views is 29" in failed.found
    assert failed.remedy == "raise index.views to 30, then neuralshelf apply"


NOBODY = {"lone-1": None, "lone-2": "", "lone-3": None}


@pytest.fixture(scope="module")
def empty_products(open_shop: Any) -> Any:
    """A shop of products with nothing in it."""
    index = {**CONFIG["index"], "name": "lonely", "views": 3}
    search = {**CONFIG["search"], "template": "lonely-search"}
    return open_shop({**CONFIG, "project": "lonely", "index": index, "search": search})
