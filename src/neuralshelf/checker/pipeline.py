"""The search pipeline: it joins the legs' scores and names the models."""

import copy
from collections.abc import Iterator

from neuralshelf.checker.clauses import Clause, clause, walk
from neuralshelf.checker.search import Search, models_of, normaliser
from neuralshelf.checker.verdict import Finding, refusal, rewrite

TECHNIQUES = ("min_max", "l2", "z_score")
COMBINATIONS = ("arithmetic_mean", "geometric_mean", "harmonic_mean", "rrf")
GARBAGE = "legs would be listed one after the other, with scores such as -9.5e9 and documents twice"
AT = "search_pipeline"
ISSUE = "neural-search #1011"


def applies(search: Search) -> Iterator[Finding]:
    """A pipeline that is not there, or is switched off."""
    facts, named = search.facts, search.body.get(AT)
    if facts.lost and not search.given_pipeline:
        yield refusal(
            "", f"default search pipeline {facts.lost} doesn't exist: every search is a 400; neuralshelf apply"
        )
    if named == "_none" and facts.pipeline and not facts.scattered and _needs_one(search):
        del search.body[AT]
        yield rewrite(AT, f"without the pipeline {GARBAGE}, and no model is named; the default applies", ISSUE)
    elif isinstance(named, str) and named != "_none" and search.pipeline is None:
        yield refusal(AT, f"{named} is not a pipeline of this cluster, or not one that is known without asking it")


def joins(search: Search) -> Iterator[Finding]:
    """A hybrid query needs a processor that joins scores."""
    if search.hybrid is None:
        return
    if search.params.get("search_type") == "dfs_query_then_fetch":
        del search.params["search_type"]
        yield rewrite(
            "?search_type", f"with dfs_query_then_fetch no pipeline joins the scores of several shards: {GARBAGE}"
        )
    default, pipeline = normaliser(search.facts.pipeline), search.pipeline
    if normaliser(pipeline) is None:
        if isinstance(search.body.get(AT), dict) and default is not None:
            parts = (search.facts.pipeline or {})["phase_results_processors"]
            search.body[AT]["phase_results_processors"] = copy.deepcopy(parts)
            yield rewrite(
                AT, f"replaces the default one whole: {GARBAGE}; it normalises as the default does now", ISSUE
            )
        elif search.facts.scattered and not search.given_pipeline:
            reason = (
                f"the indexes of {search.facts.target} have different default pipelines, so none applies: {GARBAGE}"
            )
            yield refusal("", f"{reason}; name one with ?search_pipeline=", ISSUE)
        elif not (search.facts.lost or isinstance(search.body.get(AT), str)):
            reason = f"no search pipeline of {search.facts.target} joins scores: {GARBAGE}"
            yield refusal("", f"{reason}; name one with ?search_pipeline=", ISSUE)
    for processor in (pipeline or {}).get("request_processors", []):
        if "filter_query" in processor:
            reason = "the filter_query processor puts the hybrid query into a bool, where raw scores are added up"
            yield refusal(AT, f"{reason}; use hybrid.filter", "neural-search #282")


def techniques(search: Search) -> Iterator[Finding]:
    """Normalisation and weights of a pipeline that the search brings."""
    named = search.body.get(AT)
    options = normaliser(search.pipeline)
    if search.hybrid is None or not isinstance(named, dict) or options is None:
        return
    at = f"{AT}.phase_results_processors"
    normalization = options.get("normalization", {}).get("technique", "min_max")
    combination = options.get("combination", {}).get("technique", "arithmetic_mean")
    if normalization not in TECHNIQUES or combination not in COMBINATIONS:
        yield refusal(at, f"{normalization} with {combination}: OpenSearch knows no such technique")
    elif normalization == "z_score" and combination not in ("arithmetic_mean", "rrf"):
        yield refusal(at, f"z_score goes with arithmetic_mean only, not with {combination}: 400")
    yield from _weights(search, at)


def models(search: Search) -> Iterator[Finding]:
    """Every neural clause needs a model: its own, or the one that the enricher writes into it."""
    named = models_of(search.pipeline)
    usual = models_of(search.facts.pipeline)
    for found in _neural(search):
        if found.name != "neural":
            continue
        own, default = found.vector.get("model_id"), usual.get(found.field, usual.get("*"))
        if own is not None:
            if default and not default.startswith("ref:") and own != default:
                reason = (
                    f"{own} is not the model of {found.field}: vectors of two models have nothing to do with each other"
                )
                yield refusal(f"{found.vector_at}.model_id", f"{reason}; leave model_id out", "neural-search #1963")
        elif not found.path.startswith("query") or {"knn.filter", "neural.filter"} & set(found.above):
            yield refusal(
                found.at, "the neural_query_enricher reaches the query only, no filter in a vector clause: 400"
            )
        elif not (found.field in named or "*" in named) and found.field in search.facts.fields:
            brought = search.body.get(AT)
            if isinstance(brought, dict) and default and not default.startswith("ref:"):
                parts = (search.facts.pipeline or {})["request_processors"]
                brought["request_processors"] = [*copy.deepcopy(parts), *brought.get("request_processors", [])]
                named = models_of(brought)
                yield rewrite(AT, "replaces the default one, the model of neural queries too; it names the models now")
            else:
                yield refusal(
                    found.at, "no search pipeline names its model: 400; give model_id, or use the default pipeline"
                )


def _needs_one(search: Search) -> bool:
    return search.hybrid is not None or any(c.name == "neural" and "model_id" not in c.vector for c in search.clauses)


def _neural(search: Search) -> Iterator[Clause]:
    """Vector clauses of the query and of what else takes queries."""
    yield from (found for found in search.clauses if found.name == "neural")
    if isinstance(search.body.get("post_filter"), dict):
        yield from (
            found for found in walk(clause(search.body["post_filter"], "post_filter")) if found.name == "neural"
        )


def _weights(search: Search, at: str) -> Iterator[Finding]:
    given = search.weights
    if given is None:
        return
    try:
        numbers = [float(weight) for weight in given]
    except (TypeError, ValueError):
        yield refusal(at, "weights must be numbers")
        return
    if len(numbers) != len(search.legs):
        reason = f"{len(numbers)} weights for {len(search.legs)} legs: 400"
        yield refusal(at, f"{reason}; give one a leg, in their order")
    elif any(not 0 <= number <= 1 for number in numbers) or abs(sum(numbers) - 1) > 0.01:
        yield refusal(at, f"weights {given} must be from 0 to 1 and sum to 1: 400")
    elif any(type(weight) is not float for weight in given):
        given[:] = numbers
        yield rewrite(at, "weights must be decimals: a whole number or a text is a 500 (class_cast_exception)")
