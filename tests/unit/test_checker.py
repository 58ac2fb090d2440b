"""The query checker without a cluster: what the configuration alone tells, bad input, and the verb."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralshelf.checker import Facts, Grade, check, facts_of
from neuralshelf.cli import main
from neuralshelf.deployment import Config
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.settings import VectorStore
from neuralshelf.yamlfile import load

Json = Any
ROOT = Path(__file__).resolve().parents[2]
WORDS: Json = {"match": {"title": "red shoes"}}


def neural(field: str, **more: Json) -> Json:
    return {"neural": {field: {"query_text": "red shoes", "k": 100, **more}}}


def hybrid(*legs: Json, **more: Json) -> Json:
    queries = list(legs) or [WORDS, neural("text_vector"), neural("image_vector")]
    return {"size": 10, "_source": False, "query": {"hybrid": {"pagination_depth": 100, "queries": queries, **more}}}


@pytest.fixture(scope="module")
def facts() -> Facts:
    """Of the sample deployment."""
    config = Config.parse(load(ROOT / "neuralshelf.yaml"), "neuralshelf.yaml")
    return facts_of(config.index, config.search, config.connectors, store=VectorStore(), prefix="sample-shop-local-v1")


def test_facts_of_a_configuration(facts: Facts) -> None:
    assert facts.legs == ("keyword", "text_vector", "image_vector")
    assert facts.fields["brand.text"].type == "text"
    assert (facts.fields["text_vector"].dimension, facts.fields["text_vector"].space) == (384, "cosinesimil")
    assert facts.shards == 1
    assert facts.pipelines is not None
    assert list(facts.pipelines) == ["sample-shop-local-v1-products-search"]


def test_a_search_as_documented_is_correct_and_stays_as_it_is(facts: Facts) -> None:
    sent = hybrid()
    before = json.dumps(sent)
    found = check(facts, sent)
    assert (found.word, found.body) == ("correct", sent)
    assert json.dumps(sent) == before


def test_a_rewritten_search_is_a_copy(facts: Facts) -> None:
    sent = hybrid(WORDS, neural("image_vector"), neural("text_vector"))
    before = json.dumps(sent)
    found = check(facts, sent)
    assert found.word == "rewritten"
    assert json.dumps(sent) == before
    assert found.body == hybrid()


def test_a_refused_search_has_no_body(facts: Facts) -> None:
    found = check(facts, hybrid(*[WORDS] * 6))
    assert (found.word, found.body) == ("refused", None)
    assert found.as_dict()["findings"][0]["path"] == "query.hybrid.queries"


def test_parameters_of_the_url_override_the_body(facts: Facts) -> None:
    found = check(facts, hybrid(), {"size": "3", "explain": "false", "preference": "me"})
    assert found.body is not None
    assert found.body["size"] == 3
    assert found.params == {"preference": "me"}
    assert check(facts, hybrid(), {"size": "many"}).word == "refused"
    assert check(facts, hybrid(), {"sort": "_score,price:asc"}).word == "rewritten"


def test_replicas_need_a_preference_for_search_after(facts: Facts) -> None:
    sent = {**hybrid(), "sort": [{"price": "asc"}, {"_id": "asc"}], "search_after": [1, "x"]}
    copies = replace(facts, replicas=1)
    assert check(facts, sent).word == "correct"
    found = check(copies, sent)
    assert found.word == "refused"
    assert found.findings[-1].issue == "neural-search #1044"
    assert check(copies, sent, {"preference": "session-7"}).word == "correct"


def test_document_level_security_is_refused_where_vectors_are_asked(facts: Facts) -> None:
    secured = replace(facts, secured=True)
    assert check(secured, hybrid()).word == "refused"
    assert "#1303" in check(secured, hybrid()).findings[0].issue
    assert check(secured, {"query": WORDS, "_source": False}).word == "correct"
    unknown = check(replace(facts, secured=None), hybrid())
    assert (unknown.word, unknown.findings[0].grade) == ("correct", Grade.NOTE)


def test_a_lost_pipeline_is_told_once(facts: Facts) -> None:
    lost = replace(facts, pipeline=None, lost="products-search")
    found = check(lost, hybrid())
    assert found.word == "refused"
    assert "products-search doesn't exist" in found.findings[0].reason
    assert check(lost, {"query": WORDS}).word == "refused"


def test_legs_that_meet_two_generations_of_an_index_are_right(facts: Facts) -> None:
    """As the stored templates ask while a migration moves the alias (`pipelines.stored.Place`)."""

    def leg(field: str) -> Json:
        one = [
            {
                "bool": {
                    "must": [neural(field, model_id=f"model-{n}")],
                    "filter": [{"term": {"_index": f"products-{n}"}}],
                }
            }
            for n in (1, 2)
        ]
        return {"bool": {"should": one}}

    assert check(facts, hybrid(WORDS, leg("text_vector"), leg("image_vector"))).word == "correct"


def test_vectors_in_hits_are_noted(facts: Facts) -> None:
    sent = {key: value for key, value in hybrid().items() if key != "_source"}
    (finding,) = check(facts, sent).findings
    assert (finding.grade, finding.path) == (Grade.NOTE, "_source")
    assert check(facts, {**sent, "_source": {"excludes": ["*_vector*"]}}).findings == ()


MALFORMED: dict[str, Json] = {
    "no object": ["query"],
    "query is a list": {"query": [WORDS]},
    "two queries": {"query": {**WORDS, "term": {"brand": "x"}}},
    "empty query": {"query": {}},
    "null": {"query": None},
    "legs are an object": {"query": {"hybrid": {"queries": WORDS}}},
    "no legs": {"query": {"hybrid": {"queries": []}}},
    "a leg is text": {"query": {"hybrid": {"queries": ["red"]}}},
    "options are text": {"query": {"hybrid": "red"}},
    "vector clause without a field": {"query": {"knn": {"k": 5}}},
    "vector clause with two": {"query": {"knn": {"text_vector": {}, "image_vector": {}}}},
    "size is text": {**hybrid(), "size": "ten"},
    "from is an object": {**hybrid(), "from": {}},
    "depth is text": hybrid(pagination_depth="deep"),
    "k is a list": hybrid(WORDS, neural("text_vector", k=[1]), neural("image_vector")),
    "filter is text": hybrid(filter="red"),
    "wrapper is not base64": {"query": {"wrapper": {"query": "%%%"}}},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_search_is_refused(facts: Facts, name: str) -> None:
    found = check(facts, MALFORMED[name])
    assert found.word == "refused", found
    assert all(finding.reason for finding in found.findings)


NODES = st.recursive(
    st.sampled_from(
        [WORDS, neural("text_vector"), neural("nope"), {"match_all": {}}, {"term": {"brand": "x"}}, {}, None, "x"]
    ),
    lambda inner: st.one_of(
        st.builds(lambda a, b: {"bool": {"must": a, "filter": b}}, st.lists(inner, max_size=2), inner),
        st.builds(lambda a, b: {"hybrid": {"queries": a, "filter": b}}, st.lists(inner, max_size=3), inner),
        st.builds(lambda a: {"nested": {"path": "p", "query": a}}, inner),
        st.builds(lambda a: {"knn": {"text_vector": {"vector": [1], "filter": a}}}, inner),
    ),
    max_leaves=6,
)
"""Queries, of which many are none."""

KEYS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from([0, 5, "5", -1, None]),
        "sort": st.sampled_from(["price", ["_score"], [{"price": "asc"}], {"title": "asc"}, [1]]),
        "collapse": st.sampled_from([{"field": "brand"}, {}, "brand"]),
        "aggs": st.sampled_from([{"a": {"terms": {"field": "brand"}}}, {"a": None}, []]),
        "search_pipeline": st.sampled_from(["_none", "x", {}, {"phase_results_processors": [{}]}, []]),
        "post_filter": st.sampled_from([{"term": {"brand": "x"}}, {}, []]),
        "min_score": st.sampled_from([0.5, "x"]),
    },
)


@settings(deadline=None)
@given(node=NODES, more=KEYS)
def test_no_body_gives_a_traceback_and_what_is_rewritten_is_then_right(facts: Facts, node: Json, more: Json) -> None:
    found = check(facts, {"query": node, "_source": False, **more})
    assert found.word in ("correct", "rewritten", "refused")
    if found.word == "rewritten":
        assert check(facts, found.body, found.params).word == "correct", found


@pytest.fixture
def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`check-query --offline` with a body."""

    def run(sent: str, *words: str) -> tuple[int, str, str]:
        file = tmp_path / "query.json"
        file.write_text(sent, encoding="utf-8")
        code = main(["check-query", str(file), "--offline", "--config", str(ROOT / "neuralshelf.yaml"), *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_the_verb_says_the_verdict_and_prints_the_right_search(asked: Callable[..., tuple[int, str, str]]) -> None:
    assert asked(json.dumps(hybrid()))[:2] == (0, "correct\n")
    code, out, _ = asked(json.dumps(hybrid(WORDS, neural("image_vector"), neural("text_vector"))))
    assert code == 3
    assert out.startswith("rewritten\nrewrite  query.hybrid.queries: ")
    assert json.loads(out[out.index("\n{") :]) == hybrid()
    code, out, _ = asked(json.dumps(hybrid(filter={"term": {"colr": "red"}})), "--json")
    answer = json.loads(out)
    assert (code, answer["format_version"], answer["verdict"], answer["body"]) == (1, 1, "refused", None)
    assert answer["findings"][0]["path"] == "query.hybrid.filter.term"


def test_the_verb_reads_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(hybrid())))
    assert main(["check-query", "-", "--offline", "--config", str(ROOT / "neuralshelf.yaml")]) == 0
    assert capsys.readouterr().out == "correct\n"


@pytest.mark.parametrize(
    ("sent", "words", "told"),
    [
        ("{", (), "is no JSON"),
        ("[" * 100_000, (), "is no JSON"),
        ("{}", ("--template", "product-search"), "takes a FILE or --template"),
        ("{}", ("--index", "others"), "--offline knows neither"),
        ("{}", ("--params", "[]"), "--params must be a JSON object"),
        ("{}", ("--params", "{"), "--params is no JSON"),
    ],
)
def test_bad_input_is_one_line(asked: Callable[..., tuple[int, str, str]], sent: str, words: Any, told: str) -> None:
    code, out, err = asked(sent, *words)
    assert (code in (1, 2), out) == (True, "")
    assert told in err
    assert err.count("\n") == 1


LIKED: Json = {
    "script_score": {
        "query": {"bool": {"must": [WORDS], "filter": [{"match_none": {}}]}},
        "script": {"source": "1", "params": {"liked": {}}},
    }
}


@pytest.fixture(scope="module")
def preferring() -> Facts:
    """Of the sample deployment with a leg of preference."""
    values = {**load(ROOT / "neuralshelf.yaml"), "ranking": {"item": "kind", "method": "leg", "items": ["mug"]}}
    config = Config.parse(values, "neuralshelf.yaml")
    ranking, prefix = Ranking.of(config.ranking, "sample-shop-local"), "sample-shop-local-v1"
    return facts_of(config.index, config.search, config.connectors, store=VectorStore(), prefix=prefix, ranking=ranking)


def test_a_leg_of_preference_is_the_last(preferring: Facts) -> None:
    legs = (WORDS, neural("text_vector"), neural("image_vector"))
    assert preferring.legs[-1] == "preference"
    assert check(preferring, hybrid(*legs, LIKED)).word == "correct"
    assert check(preferring, hybrid(*legs, {"match_none": {}})).word == "correct"
    found = check(preferring, hybrid(*legs))
    assert found.word == "rewritten"
    assert found.body == hybrid(*legs, {"match_none": {}})
    assert check(preferring, hybrid(WORDS, *legs[1:], LIKED, filter={"term": {"brand": "Amber"}})).word == "correct"
    assert check(preferring, hybrid(LIKED, *legs)).body == hybrid(*legs, LIKED)


def test_a_leg_of_preference_is_one_too_many_elsewhere(facts: Facts) -> None:
    assert check(facts, hybrid(WORDS, neural("text_vector"), neural("image_vector"), LIKED)).word == "refused"
