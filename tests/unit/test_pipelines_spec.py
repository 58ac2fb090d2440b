"""Index and search of neuralshelf.yaml: what is right, and one line for each thing that is wrong."""

from copy import deepcopy
from typing import Any

import pytest

from neuralshelf.deployment import Config
from neuralshelf.errors import ConfigError
from neuralshelf.pipelines import pipeline_resources
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.pipelines.search import search_pipeline
from neuralshelf.pipelines.spec import SearchSpec, VectorSpec
from neuralshelf.resource import Kind, Resource
from neuralshelf.settings import VectorStore

SHOP: dict[str, Any] = {
    "project": "shop",
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "clip", "dimension": 512},
    },
    "index": {
        "name": "products",
        "fields": {"title": "text", "brand": "keyword", "price": "float"},
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title", "brand"]},
            "image_vector": {"connector": "picture", "image": "image"},
        },
    },
    "search": {
        "keyword": ["title^3", "brand"],
        "weights": {"keyword": 0.2, "text_vector": 0.3, "image_vector": 0.5},
        "filters": ["brand", "price"],
    },
}


def shop(path: str = "", value: Any = None) -> dict[str, Any]:
    """The shop with the key at the dotted `path` set."""
    config = deepcopy(SHOP)
    if path:
        *parents, last = path.split(".")
        node = config
        for key in parents:
            node = node[key]
        node[last] = value
    return config


def resources(config: dict[str, Any]) -> list[Resource]:
    parsed = Config.parse(config, "shop.yaml")
    return pipeline_resources(parsed.index, parsed.search, parsed.connectors, store=VectorStore(), prefix="shop-test")


def body(config: dict[str, Any], kind: Kind) -> Any:
    return next(resource.body for resource in resources(config) if resource.kind is kind)


def test_a_shop_is_an_index_two_pipelines_and_two_templates() -> None:
    assert [resource.address for resource in resources(shop())] == [
        "ingest-pipeline/shop-test-products-ingest",
        "search-pipeline/shop-test-products-search",
        "index/products-1",
        "search-template/product-search",
        "search-template/product-keyword-search",
    ]


def test_documents_and_queries_are_embedded_by_models_of_their_own() -> None:
    ingest, search = resources(shop())[:2]
    assert ingest.depends_on == ("model/shop-test-picture-ingest", "model/shop-test-text-ingest")
    assert search.depends_on == ("model/shop-test-picture-search", "model/shop-test-text-search")


def test_vectors_are_as_long_as_their_connectors_say() -> None:
    properties = body(shop("connectors.picture.dimension", 1024), Kind.INDEX)["mappings"]["properties"]
    assert properties["image_vector"]["dimension"] == 1024
    assert properties["text_vector"]["dimension"] == 384


def test_nothing_is_excluded_from_the_stored_source_since_updates_would_lose_it() -> None:
    assert "_source" not in body(shop(), Kind.INDEX)["mappings"]


def test_weights_of_zero_and_one_are_written_as_decimals() -> None:
    config = shop("search.weights", {"keyword": 0, "text_vector": 0, "image_vector": 1})
    processor = body(config, Kind.SEARCH_PIPELINE)["phase_results_processors"][0]["normalization-processor"]
    weights = processor["combination"]["parameters"]["weights"]
    assert weights == [0.0, 0.0, 1.0]
    assert all(isinstance(weight, float) for weight in weights)


def test_another_version_is_another_index_behind_the_same_alias() -> None:
    index = next(r for r in resources(shop("index.version", 2)) if r.kind is Kind.INDEX)
    assert index.name == "products-2"
    assert list(index.body["aliases"]) == ["products"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("index.nme", "x", "shop.yaml: unknown key 'index.nme'; next: did you mean 'name'?"),
        ("index.name", "Products", "index.name: String should match pattern"),
        ("index.version", 0, "index.version: Input should be greater than or equal to 1"),
        ("index.fields.price", "double", "index.fields.price: Input should be 'text'"),
        ("index.fields.Price", "float", "field name 'Price' must be small letters"),
        ("index.fields.text_vector", "text", "vectors.text_vector: the name is taken"),
        ("index.fields.image", "keyword", "vectors.image_vector.image: 'image' is a field that is kept"),
        ("index.vectors", {}, "index.vectors: Dictionary should have at least 1 item"),
        ("index.vectors.text", {"connector": "text", "text": ["title"]}, "vectors.text: the name is taken"),
        ("index.vectors.text_vector.text", ["price"], "vectors.text_vector.text: 'price' is no text or keyword"),
        ("index.vectors.text_vector.text", "title", "index.vectors.text_vector.text: Input should be a valid tuple"),
        ("index.vectors.text_vector.text", [], "a vector needs text: [FIELD, …], image: FIELD, or both"),
        ("index.vectors.text_vector.connector", "txt", "index.vectors.text_vector.connector: no connector 'txt'"),
        ("index.vectors.text_vector.image", "photo", "connector 'text' (sagemaker-text) takes text only"),
        ("search.weights.keyword", 0.3, "weights sum to 1.1, must be 1"),
        ("search.weights.keyword", -0.2, "weight of keyword is -0.2, must be from 0 to 1"),
        ("search.weights.keyword", "0.2", "search.weights.keyword: Input should be a valid number"),
        ("search.weights", {"keyword": 0.5, "text_vector": 0.5}, "search.weights: give one for each of keyword, text_"),
        (
            "search.picture_weights",
            {"keyword": 1, "text_vector": 0.1, "image_vector": 0},
            "weights sum to 1.1, must be 1",
        ),
        ("search.picture_weights", {"keyword": 2, "text_vector": -1}, "weight of keyword is 2.0, must be from 0 to 1"),
        (
            "search.picture_weights",
            {"keyword": 0.5, "image_vector": 0.5},
            "search.picture_weights: give one for each of",
        ),
        ("search.keyword", ["title^x"], "'title^x' is no field with an optional boost"),
        ("search.keyword", ["headline"], "search.keyword: 'headline' is no text or keyword field"),
        ("search.filters", ["title"], "search.filters: 'title' is no keyword or number field"),
        ("search.normalization", "zscore", "search.normalization: Input should be 'min_max', 'l2' or 'z_score'"),
        ("search.combination", "min_max", "search.combination: Input should be 'arithmetic_mean', 'geometric_mean'"),
        ("search.template", "products", "search.template: String should match pattern"),
        ("search.k", 0, "search.k: Input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resources(shop(path, value))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hybrid_query_never_gets_more_legs_than_the_engine_takes() -> None:
    vectors = {f"vector_{n}": {"connector": "text", "text": ["title"]} for n in range(5)}
    with pytest.raises(ConfigError, match="at most 4 items"):
        resources(shop("index.vectors", vectors))


def test_a_filter_may_not_shadow_a_parameter_of_the_template() -> None:
    config = shop("index.fields.size", "keyword")
    config["search"]["filters"] = ["size"]
    with pytest.raises(ConfigError, match="'size' is a parameter of the search template already"):
        resources(config)


def test_a_slider_splits_words_against_vectors_in_the_vectors_own_proportions() -> None:
    search = SearchSpec.parse(SHOP["search"], "shop.yaml")
    assert search.weights_at(0.8) == {"keyword": 0.2, "text_vector": 0.3, "image_vector": 0.5}
    assert search.weights_at(0) == {"keyword": 1, "text_vector": 0, "image_vector": 0}
    with pytest.raises(ValueError, match="must be from 0 to 1"):
        search.weights_at(1.5)


def test_a_slider_shares_evenly_where_the_vectors_have_no_weight() -> None:
    search = SearchSpec.parse(
        SHOP["search"] | {"weights": {"keyword": 1, "text_vector": 0, "image_vector": 0}}, "shop.yaml"
    )
    assert search.weights_at(0.5) == {"keyword": 0.5, "text_vector": 0.25, "image_vector": 0.25}


def test_a_slider_keeps_the_proportions_of_the_picture_weights_where_a_picture_comes_along() -> None:
    own = {"keyword": 0.2, "text_vector": 0.2, "image_vector": 0.6}
    search = SearchSpec.parse({**SHOP["search"], "picture_weights": own}, "shop.yaml")
    assert search.weights_at(0.4, pictured=True) == {"keyword": 0.6, "text_vector": 0.1, "image_vector": 0.3}
    assert search.weights_at(0.8) == {"keyword": 0.2, "text_vector": 0.3, "image_vector": 0.5}


def test_picture_weights_need_a_vector_of_pictures() -> None:
    config = shop("search.picture_weights", {"keyword": 0.5, "text_vector": 0.5})
    del config["index"]["vectors"]["image_vector"]
    config["search"]["weights"] = config["search"]["picture_weights"]
    with pytest.raises(ConfigError, match="no vector with an image, so nobody searches by picture"):
        resources(config)


def test_the_keyword_template_is_named_after_the_other() -> None:
    assert SearchSpec.parse(SHOP["search"] | {"template": "wine-search"}, "f").keyword_template == "wine-keyword-search"


def test_a_vector_is_compared_by_cosine_unless_it_says_otherwise() -> None:
    found = body(shop("index.vectors.text_vector.space", "l2"), Kind.INDEX)["mappings"]["properties"]
    assert (found["text_vector"]["space_type"], found["image_vector"]["space_type"]) == ("l2", "cosinesimil")
    with pytest.raises(ConfigError, match="space"):
        Config.parse(shop("index.vectors.text_vector.space", "hamming"), "shop.yaml")


@pytest.mark.parametrize("cosine", [1.0, 0.5, 0.0, -1.0])
def test_a_cosine_comes_back_out_of_the_score_of_either_space(cosine: float) -> None:
    by_angle, by_distance = VectorSpec(connector="c", image="i"), VectorSpec(connector="c", image="i", space="l2")
    assert by_angle.cosine((1 + cosine) / 2) == pytest.approx(cosine)
    assert by_distance.cosine(1 / (1 + (2 - 2 * cosine))) == pytest.approx(cosine)  # distance² = 2 - 2 cosine


def test_an_index_of_products_lists_and_counts_them_unless_all_views_are_asked_for() -> None:
    config = shop("index.product", "brand")
    sources = [r.body["script"]["source"] for r in resources(config) if r.kind is Kind.SEARCH_TEMPLATE]
    assert len(sources) == 2
    assert all('<%^all_views%>"collapse": {"field": "brand"},' in source for source in sources)
    assert all('"cardinality": {' in source for source in sources)
    assert not any(
        "collapse" in r.body["script"]["source"] for r in resources(shop()) if r.kind is Kind.SEARCH_TEMPLATE
    )
    config = shop("index.fields.all_views", "keyword")
    config["search"]["filters"] = ["all_views"]
    with pytest.raises(ConfigError, match="'all_views' is a parameter of the search template"):
        Config.parse(config, "shop.yaml")


def test_a_leg_gives_candidates_for_all_views_of_its_products() -> None:
    config = shop("index.product", "brand")
    config["index"]["views"] = 7
    source = next(r.body["script"]["source"] for r in resources(config) if r.kind is Kind.SEARCH_TEMPLATE)
    assert '"pagination_depth": 700' in source
    assert source.count('"k": 700') == source.count('"k":') > 0
    config["index"]["views"] = 100
    config["search"]["k"] = 101
    with pytest.raises(ConfigError, match=r"index.views: 100 × search.k 101 is 10100, over the 10000 candidates"):
        Config.parse(config, "shop.yaml")
    with pytest.raises(ConfigError, match="views: goes with product"):
        Config.parse(shop("index.views", 3), "shop.yaml")


LEG = {"item": "brand", "method": "leg", "items": ["Amber", "Birch"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ranking": {**LEG, "items": []}}, "ranking.items: list all values of brand"),
        ({"ranking": {**LEG, "items": [""]}}, "'' must have 1 to 256 characters and not begin with ~~"),
        ({"ranking": {**LEG, "items": ["~~ 0.5"]}}, "'~~ 0.5' must have 1 to 256 characters and not begin with ~~"),
        ({"ranking": {**LEG, "items": [str(n) for n in range(500)]}}, "ranking.items: Tuple should have at most 499"),
        ({"ranking": {**LEG, "oversample": 2}}, "oversample: goes with method: rerank"),
        ({"ranking": {"item": "brand", "items": ["Amber"]}}, "items: goes with method: leg"),
        ({"ranking": {"item": "brand", "method": "feature"}}, "ranking.method: Input should be 'rerank' or 'leg'"),
        (
            {"ranking": LEG, "clusters": {"vector": "text_vector", "field": "brand"}},
            "ranking.items: leave it out, the clusters are known",
        ),
    ],
)
def test_a_leg_of_preference_knows_what_to_ask_about(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.parse(shop() | changes, "shop.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("normalization", "l2"), ("combination", "rrf")])
def test_a_leg_of_preference_goes_with_bounded_scores_alone(key: str, value: str) -> None:
    assert Config.parse(shop() | {"ranking": LEG}, "shop.yaml").ranking
    with pytest.raises(ConfigError, match="leg goes with min_max and arithmetic_mean, not with"):
        Config.parse(shop(f"search.{key}", value) | {"ranking": LEG}, "shop.yaml")


def test_a_leg_of_preference_is_a_leg_too_many_beside_four_vectors() -> None:
    config = shop("index.vectors", {f"vector_{n}": {"connector": "text", "text": ["title"]} for n in range(4)})
    config["search"]["weights"] = {"keyword": 0.2} | {f"vector_{n}": 0.2 for n in range(4)}
    assert Config.parse(config, "shop.yaml")
    with pytest.raises(ConfigError, match="leg goes with 3 vectors at most: legs can be 5"):
        Config.parse(config | {"ranking": LEG}, "shop.yaml")


def test_a_leg_of_preference_asks_nothing_before_there_are_clusters() -> None:
    config = shop() | {"ranking": {"item": "brand", "method": "leg"}, "clusters": {"vector": "text_vector"}}
    config["clusters"]["field"] = "brand"
    parsed = Config.parse(config, "shop.yaml")

    def pipeline(clusters: tuple[str, ...]) -> Any:
        ranking = Ranking.of(parsed.ranking, "shop-test", clusters)
        return search_pipeline(parsed.index, parsed.search, prefix="shop-test", ranking=ranking).body

    assert [[*each] for each in pipeline(())["request_processors"]] == [["neural_query_enricher"]]
    asking = pipeline(("7", "8"))["request_processors"][0]["ml_inference"]
    assert asking["model_config"] == {"items": ["7", "8"]}
    assert all(path.startswith("query.hybrid.queries[3].script_score.") for path in asking["output_map"][0])
    parts = pipeline(())["phase_results_processors"][0]["normalization-processor"]
    assert parts["combination"]["parameters"]["weights"] == [0.02, 0.03, 0.05, 0.9]
