"""Every shape of search: the rows of docs/queries.md, each with what is meant by it."""

from collections.abc import Mapping
from dataclasses import replace

from .building import (
    CATEGORIES,
    DEEPER,
    LOOKALIKES,
    NEAR,
    NEAREST,
    TENANT,
    TENANT_VECTOR,
    TENANTS,
    TEXT,
    USUAL,
    VECTOR,
    WORDS,
    WORDS_ONLY,
    Json,
    Shape,
    body,
    both,
    hybrid,
    in_categories,
    inline,
    knn,
    mended,
    neural,
    of,
    right,
    vector_legs,
    wrapped,
    wrong,
)
from .conftest import K
from .oracle import Leg

AGGS: dict[str, Json] = {"aggs": {"categories": {"terms": {"field": "category", "size": 20}}}}
COUNTED = replace(USUAL, counts="category")
BY_PRICE = replace(USUAL, sort="price")
ONE_EACH = replace(USUAL, group="product")
HEIRLOOM = {"match": {"title": "heirloom"}}
POPULAR = {"function_score": {"query": WORDS, "field_value_factor": {"field": "price", "modifier": "log1p"}}}

HYBRID = (
    right("hybrid query as documented", body()),
    right("with `knn` instead of `neural`", body(hybrid(*vector_legs()))),
    right("second page", body(**{"from": 10}), replace(USUAL, start=10)),
    right("last page within pagination_depth", body(**{"from": K - 10}), replace(USUAL, start=K - 10)),
    right(
        "keyword leg without a hit",
        body(hybrid({"match": {"title": "zebra"}}, *hybrid()["hybrid"]["queries"][1:])),
        replace(USUAL, legs=(Leg({"match": {"title": "zebra"}}), NEAREST, LOOKALIKES)),
    ),
    right(
        "keyword leg with one hit (it gets 1.0)",
        body(hybrid(HEIRLOOM, *hybrid()["hybrid"]["queries"][1:])),
        replace(USUAL, legs=(Leg(HEIRLOOM), NEAREST, LOOKALIKES)),
    ),
    right(
        "`match_none` in a leg's place",
        body(hybrid({"match_none": {}}, neural(), neural("image_vector"))),
        replace(USUAL, legs=(Leg({"match_none": {}}), NEAREST, LOOKALIKES)),
    ),
    right(
        "function_score inside a leg",
        body(hybrid(POPULAR, neural(), neural("image_vector"))),
        replace(USUAL, legs=(Leg(POPULAR), NEAREST, LOOKALIKES)),
    ),
    right("boost of a vector leg", body(hybrid(WORDS, neural(boost=3.0), neural("image_vector")))),
    right(
        "radial vector leg (min_score)",
        body(hybrid(WORDS, neural(k=0, min_score=0.52), neural("image_vector"))),
        replace(USUAL, legs=(Leg(WORDS), Leg(knn(k=10_000), least=0.52), LOOKALIKES)),
    ),
    right("bool with nothing but the hybrid query", body({"bool": {"must": [hybrid()]}})),
    mended("without pagination_depth", body(hybrid(depth=None))),
    mended("without pagination_depth, size 3", body(hybrid(depth=None), 3), replace(USUAL, size=3)),
    mended("without pagination_depth, from 10", body(hybrid(depth=None), **{"from": 10}), replace(USUAL, start=10)),
    mended("size beyond pagination_depth", body(hybrid(depth=10), 40), replace(USUAL, depth=40, size=40)),
    wrong("page beyond pagination_depth", body(**{"from": K}), DEEPER),
    mended("`neural` without k", body(hybrid(WORDS, neural(k=0), neural("image_vector", k=0)))),
    mended("`knn` without k", body(hybrid(WORDS, knn(k=0), knn(k=0, field="image_vector")))),
    mended("k less than the page", body(hybrid(WORDS, neural(k=5), neural("image_vector", k=5)))),
    mended("legs in another order", body(hybrid(neural("image_vector"), WORDS, neural()))),
    mended(
        "a leg left out",
        body(hybrid(WORDS, neural("image_vector"))),
        replace(USUAL, legs=(Leg(WORDS), Leg({"match_none": {}}), LOOKALIKES)),
    ),
    wrong("two keyword legs, one of vectors", body(hybrid(WORDS, {"match": {"title": "oak"}}, neural("image_vector")))),
    wrong("six legs", body(hybrid(*[WORDS] * 6))),
    wrong(
        "match_all as a leg",
        body(hybrid({"match_all": {}}, neural(), neural("image_vector"))),
        replace(USUAL, legs=(Leg({"match_all": {}}, depth=10_000), NEAREST, LOOKALIKES)),
    ),
    wrong(
        "a condition as a leg (range)",
        body(hybrid({"range": {"price": {"gte": 100}}}, neural(), neural("image_vector"))),
        replace(USUAL, legs=(Leg({"range": {"price": {"gte": 100}}}, depth=10_000), NEAREST, LOOKALIKES)),
    ),
    wrong(
        "bool of conditions alone as a leg",
        body(hybrid({"bool": {"filter": [TENANT]}}, neural(), neural("image_vector"))),
        replace(USUAL, legs=(Leg({"constant_score": {"filter": TENANT}}), NEAREST, LOOKALIKES)),
    ),
    wrong("k and min_score", body(hybrid(WORDS, neural(min_score=0.5), neural("image_vector")))),
    wrong("empty query_text", body(hybrid(WORDS, neural(text=" "), neural("image_vector")))),
    right("`wrapper` around it", body(wrapped(hybrid(*vector_legs())))),
    mended("`wrapper` around it, with `neural`", body(wrapped(hybrid()))),
    mended("bool with a filter around it", body({"bool": {"must": [hybrid()], "filter": [TENANT]}}), TENANTS),
    mended(
        "bool with must_not around it",
        body({"bool": {"must": [hybrid()], "must_not": [TENANT]}}),
        replace(USUAL, keep=lambda document: document["tenant"] != "t3"),
    ),
    wrong(
        "beside another query in a bool",
        body({"bool": {"should": [hybrid(*vector_legs()), {"match": {"title": "oak"}}]}}),
    ),
    wrong("inside function_score", body({"function_score": {"query": hybrid(*vector_legs()), "weight": 2}})),
    wrong("inside constant_score", body({"constant_score": {"filter": hybrid(*vector_legs())}})),
    wrong(
        "inside boosting",
        body({"boosting": {"positive": hybrid(*vector_legs()), "negative": TENANT, "negative_boost": 0.5}}),
    ),
    wrong("inside a hybrid query", body(hybrid(WORDS, hybrid(), neural()))),
)

FILTERS = (
    right("hybrid.filter", body(hybrid(filter=TENANT)), TENANTS),
    right("the same condition in every leg", body(hybrid(*vector_legs(TENANT))), TENANTS),
    right(
        "hybrid.filter and conditions in every leg",
        body(hybrid(*vector_legs(CATEGORIES), filter=TENANT)),
        replace(USUAL, keep=lambda document: of("t3")(document) and in_categories(document)),
    ),
    right(
        "filter that leaves nothing",
        body(hybrid(filter={"term": {"tenant": "nobody"}})),
        replace(USUAL, keep=lambda _: False),
    ),
    mended(
        "condition in the keyword leg only",
        body(hybrid(both(WORDS, TENANT), neural(), neural("image_vector"))),
        TENANTS,
    ),
    mended(
        "condition in the vector legs only",
        body(hybrid(WORDS, neural(condition=TENANT), neural("image_vector", condition=TENANT))),
        TENANTS,
    ),
    wrong(
        "another condition in each leg",
        body(hybrid(both(WORDS, TENANT), neural(condition=CATEGORIES), neural("image_vector", condition=CATEGORIES))),
        replace(USUAL, keep=lambda document: of("t3")(document) and in_categories(document)),
    ),
    mended(
        "vector leg in a bool with the condition",
        body(hybrid(both(WORDS, TENANT), both(neural(), TENANT), both(neural("image_vector"), TENANT))),
        TENANTS,
    ),
    mended(
        "hybrid.filter as a list",
        body(hybrid(filter=[TENANT, CATEGORIES])),
        replace(USUAL, keep=lambda document: of("t3")(document) and in_categories(document)),
    ),
    mended("post_filter", body(post_filter=TENANT), TENANTS),
    wrong("post_filter with aggregations", body(post_filter=TENANT, **AGGS), replace(TENANTS, counts="category")),
    mended("alias with a filter", body(), TENANTS, target="tenant{n}"),
    right("alias with a filter, hybrid.filter the same", body(hybrid(filter=TENANT)), TENANTS, target="tenant{n}"),
    mended("alias with a filter, vectors alone", body(knn(10)), TENANT_VECTOR, target="tenant{n}"),
    right("alias with a filter, words alone", body(WORDS), replace(WORDS_ONLY, keep=of("t3")), target="tenant{n}"),
    right("vectors alone", body(knn(10)), VECTOR),
    right("`neural` alone, with a filter", body(neural(k=10, condition=TENANT)), TENANT_VECTOR),
    mended("vectors in a bool with a filter", body(both(knn(10), TENANT)), TENANT_VECTOR),
    mended(
        "vectors in a bool with must_not",
        body({"bool": {"must": [knn(10)], "must_not": [CATEGORIES]}}),
        replace(VECTOR, keep=lambda document: not in_categories(document)),
    ),
    mended("vectors with post_filter", body(knn(10), post_filter=TENANT), TENANT_VECTOR),
    mended("vectors, k less than the page", body(knn(4), 20), replace(VECTOR, legs=(replace(NEAREST, k=20),), size=20)),
    wrong("words and vectors in a bool (should)", body({"bool": {"should": [WORDS, knn()]}})),
    wrong("words and vectors in a bool (must)", body({"bool": {"must": [WORDS, knn()]}})),
    right(
        "words alone, with a filter and aggregations",
        body(both(WORDS, TENANT), **AGGS),
        replace(WORDS_ONLY, keep=of("t3"), counts="category"),
    ),
    right("words alone, with post_filter", body(WORDS, post_filter=TENANT), replace(WORDS_ONLY, keep=of("t3"))),
)

PIPELINES = (
    right("the pipeline by its name", body(), params={"search_pipeline": "shelf{n}-test-shelf{n}-search"}),
    right(
        "pipeline of its own: l2",
        body(hybrid(*vector_legs()), search_pipeline=inline(normalization="l2")),
        replace(USUAL, normalization="l2"),
    ),
    right(
        "pipeline of its own: z_score",
        body(hybrid(*vector_legs()), search_pipeline=inline(normalization="z_score")),
        replace(USUAL, normalization="z_score"),
    ),
    right(
        "pipeline of its own: geometric_mean",
        body(hybrid(*vector_legs()), search_pipeline=inline(combination="geometric_mean")),
        replace(USUAL, combination="geometric_mean"),
    ),
    right(
        "pipeline of its own: harmonic_mean",
        body(hybrid(*vector_legs()), search_pipeline=inline(combination="harmonic_mean")),
        replace(USUAL, combination="harmonic_mean"),
    ),
    right(
        "pipeline of its own: rrf",
        body(hybrid(*vector_legs()), search_pipeline=inline(combination="rrf")),
        replace(USUAL, combination="rrf"),
    ),
    right(
        "pipeline of its own, other weights",
        body(hybrid(*vector_legs()), search_pipeline=inline((0.8, 0.1, 0.1))),
        replace(USUAL, weights=(0.8, 0.1, 0.1)),
    ),
    mended(
        "whole numbers as weights",
        body(hybrid(*vector_legs()), search_pipeline=inline((0, 0, 1))),
        replace(USUAL, weights=(0.0, 0.0, 1.0)),
    ),
    wrong("weights that don't sum to 1", body(hybrid(*vector_legs()), search_pipeline=inline((0.5, 0.5, 0.5)))),
    wrong("two weights for three legs", body(hybrid(*vector_legs()), search_pipeline=inline((0.5, 0.5)))),
    wrong(
        "z_score with geometric_mean",
        body(hybrid(*vector_legs()), search_pipeline=inline(normalization="z_score", combination="geometric_mean")),
    ),
    mended(
        "pipeline of its own that joins no scores",
        body(hybrid(*vector_legs()), search_pipeline={"response_processors": [{"truncate_hits": {"target_size": 10}}]}),
    ),
    mended("pipeline of its own that names no model", body(search_pipeline=inline())),
    mended("search_pipeline=_none", body(), params={"search_pipeline": "_none"}),
    wrong("a pipeline that isn't there", body(search_pipeline="nobody-search")),
    wrong("index without a search pipeline", body(hybrid(*vector_legs())), target="bare{n}"),
    wrong("two indexes with different pipelines", body(hybrid(*vector_legs())), target="shelf{n},empty{n}"),
    wrong(
        "filter_query processor",
        body(
            hybrid(*vector_legs()),
            search_pipeline={**inline(), "request_processors": [{"filter_query": {"query": TENANT}}]},
        ),
        TENANTS,
    ),
    wrong(
        "model of another field",
        body(hybrid(WORDS, neural(model_id="{text}"), neural("image_vector", model_id="{text}"))),
    ),
    wrong("`neural` in post_filter", body(WORDS, post_filter=neural()), WORDS_ONLY),
    wrong("`neural` in a template query", body({"template": neural()}), VECTOR),
    mended("search_type=dfs_query_then_fetch", body(), params={"search_type": "dfs_query_then_fetch"}),
)

ANSWERS = (
    right("collapse by product", body(collapse={"field": "product"}), ONE_EACH),
    right(
        "collapse by product, second page",
        body(size=5, collapse={"field": "product"}, **{"from": 5}),
        replace(ONE_EACH, start=5, size=5),
    ),
    right(
        "collapse with a filter",
        body(hybrid(filter=CATEGORIES), collapse={"field": "product"}),
        replace(ONE_EACH, keep=in_categories),
    ),
    mended(
        "collapse, page deeper than the products that are sure",
        body(size=30, collapse={"field": "product"}),
        replace(ONE_EACH, depth=90, size=30, legs=(Leg(WORDS), replace(NEAREST, k=90), replace(LOOKALIKES, k=90))),
    ),
    wrong(
        "collapse with inner_hits",
        body(collapse={"field": "product", "inner_hits": {"name": "views"}}),
        ONE_EACH,
        proof="inner hits are ranked by raw scores, which its own test shows",
    ),
    wrong("collapse by a text field", body(collapse={"field": "title"})),
    right("aggregations", body(**AGGS), COUNTED),
    right("aggregations, size 0", body(size=0, **AGGS), replace(COUNTED, size=0)),
    right("aggregations with a filter", body(hybrid(filter=TENANT), **AGGS), replace(COUNTED, keep=of("t3"))),
    right(
        "aggregations over vectors alone (k nearest a shard)", body(knn(10), **AGGS), replace(VECTOR, counts="category")
    ),
    right("sort by a field", body(sort=[{"price": "asc"}]), BY_PRICE),
    right("sort by a field, second page", body(sort=[{"price": "asc"}], **{"from": 10}), replace(BY_PRICE, start=10)),
    right("sort by _score", body(sort=["_score"])),
    mended("sort by _score, then a field", body(sort=["_score", {"price": "asc"}])),
    mended("sort by a field with track_scores", body(sort=[{"price": "asc"}], track_scores=True), BY_PRICE),
    wrong("sort by _score ascending", body(sort=[{"_score": "asc"}])),
    wrong("sort by a text field", body(sort=["title"])),
    Shape(
        "search_after, sort ending with _id",
        body(sort=[{"price": "asc"}, {"_id": "asc"}], search_after=[-1, "x"]),
        ("correct", "refused"),
        BY_PRICE,
        proof="the answer is right until a shard has no more hits, which its own test shows",
    ),
    wrong(
        "search_after without _id",
        body(sort=[{"category": "asc"}], search_after=["c1"]),
        proof="hits with the same value at a page's end are passed over, which its own test shows",
    ),
    wrong("search_after with _score", body(sort=["_score"], search_after=[0.5])),
    right("min_score", body(min_score=0.4), replace(USUAL, least=0.4)),
    wrong("min_score that no joined score reaches", body(min_score=5)),
    right("highlight", body(highlight={"fields": {"title": {}}})),
    right("track_total_hits: false", body(track_total_hits=False), replace(USUAL, total=False)),
    right(
        "explain with rrf",
        body(hybrid(*vector_legs()), search_pipeline=inline(combination="rrf"), explain=True),
        replace(USUAL, combination="rrf"),
    ),
    mended("explain with min_max", body(explain=True)),
    mended("profile", body(profile=True)),
    wrong(
        "rescore",
        body(rescore={"window_size": 50, "query": {"rescore_query": CATEGORIES, "rescore_query_weight": 5.0}}),
    ),
    wrong("terminate_after", body(terminate_after=5)),
    wrong("indices_boost", body(indices_boost=[{"shelf{n}-1": 2.0}])),
    wrong("slice", body(slice={"id": 0, "max": 2})),
    wrong("scroll", body(), params={"scroll": "1m"}),
    wrong("q= in the URL", body(), params={"q": "oak"}),
    Shape("routing", body(), ("correct", "refused"), params={"routing": "x"}),
    wrong("a key that no search has", body(querry={})),
    wrong("size beyond max_result_window", body(size=20_000)),
    wrong("negative from", body(**{"from": -1})),
    wrong("misspelt field in a query", body(hybrid({"match": {"titel": TEXT}}, neural(), neural("image_vector")))),
    wrong("misspelt field in a filter", body(hybrid(filter={"term": {"tenent": "t3"}})), TENANTS),
    wrong("misspelt field in an aggregation", body(aggs={"categories": {"terms": {"field": "categry"}}}), COUNTED),
    wrong("term with words on a text field", body({"term": {"title": "Red Teapot"}}), WORDS_ONLY),
    wrong("words on a vector field", body({"match": {"text_vector": TEXT}}), WORDS_ONLY),
    wrong("vector on a text field", body({"knn": {"title": {"vector": [1.0], "k": 10}}}), VECTOR),
    wrong(
        "vector of the wrong length",
        body(hybrid(WORDS, {"knn": {"text_vector": {"vector": [1.0], "k": 10}}}, neural("image_vector"))),
    ),
    wrong(
        "vector of zeros",
        body(hybrid(WORDS, {"knn": {"text_vector": {"vector": [0.0] * 384, "k": 10}}}, neural("image_vector"))),
    ),
    wrong(
        "exact score by another space type",
        body(
            {
                "script_score": {
                    "query": {"match_all": {}},
                    "script": {
                        "source": "knn_score",
                        "lang": "knn",
                        "params": {"field": "text_vector", "query_value": NEAR, "space_type": "l2"},
                    },
                }
            }
        ),
        VECTOR,
    ),
)

GROUPS: Mapping[str, tuple[Shape, ...]] = {
    "hybrid": HYBRID,
    "filters": FILTERS,
    "pipelines": PIPELINES,
    "answers": ANSWERS,
}
