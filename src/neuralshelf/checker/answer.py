"""What is done with the hits: sorted, collapsed, counted, explained, cut off."""

from collections.abc import Iterator

from neuralshelf.checker.clauses import Json
from neuralshelf.checker.search import Search, normaliser
from neuralshelf.checker.verdict import Finding, note, refusal, rewrite

SORTED_APART = {"_score", "_doc", "_id", "_shard_doc"}
COLLAPSIBLE = {"keyword", "float", "integer", "long", "short", "double", "date", "boolean"}
KEYS = set(
    """_source aggregations aggs collapse derived docvalue_fields explain ext fields from highlight
    include_named_queries_score indices_boost min_score pit post_filter profile query rescore script_fields search_after
    search_pipeline seq_no_primary_term size slice sort stats stored_fields suggest terminate_after timeout track_scores
    track_total_hits verbose_pipeline version""".split()  # noqa: SIM905
)


def taken(search: Search) -> Iterator[Finding]:
    """Keys and URL parameters that OpenSearch refuses, or that change what is asked."""
    for key in search.body.keys() - KEYS:
        yield refusal(key, "no key of a search: 400")
    if "q" in search.params:
        yield refusal("?q", "takes the place of the query in the body")
    for name in ("routing", "preference"):
        value = search.params.get(name, "")
        if value and search.facts.shards > 1 and (name == "routing" or value.startswith("_shards")):
            yield refusal(f"?{name}", f"asks some of {search.facts.shards} shards; documents are on all of them")
    if "terminate_after" in search.body and (search.hybrid or _near(search)):
        yield refusal("terminate_after", "takes the first documents that come, not the best")
    if search.hybrid is None:
        return
    if "scroll" in search.params:
        yield refusal("?scroll", "a hybrid query can't be scrolled: 400; use from, or sort with search_after")
    for key, reason in (
        ("slice", "a hybrid query can't be sliced: 500"),
        ("indices_boost", "puts the hybrid query into another one: 400"),
        ("rescore", "changes the legs' raw scores before they are normalised: use the weights, or a rerank processor"),
    ):
        if key in search.body:
            yield refusal(key, reason)


def explained(search: Search) -> Iterator[Finding]:
    """explain and profile run a hybrid query by another path, and it answers something else (ran, 3.6.0)."""
    options = normaliser(search.pipeline)
    if search.hybrid is None or options is None:
        return
    if search.body.get("profile"):
        del search.body["profile"]
        yield rewrite("profile", "loses hits and changes scores of a hybrid query, without a word: taken out")
    if search.body.get("explain"):
        technique = (
            options.get("normalization", {}).get("technique", "min_max") if "normalization" in options else "rrf"
        )
        if technique in ("min_max", "z_score"):
            del search.body["explain"]
            least = "by up to 0.002" if technique == "min_max" else "beyond recognition"
            reason = f"changes the scores of {technique} {least}, and so the order: taken out"
            yield rewrite("explain", f"{reason}; ask with it only to read explanations")
        elif "hybrid_score_explanation" not in str((search.pipeline or {}).get("response_processors", "")):
            yield note("explain", "shows the legs' raw scores; the pipeline has no hybrid_score_explanation")


def ordered(search: Search) -> Iterator[Finding]:
    """sort and search_after."""
    keys = _sort_keys(search.body.get("sort", []))
    names = [name for name, _ in keys]
    for number, (name, options) in enumerate(keys):
        field = search.facts.fields.get(name)
        if name not in SORTED_APART and field is None and "unmapped_type" not in options and name != "_geo_distance":
            yield refusal(f"sort[{number}]", f"{search.facts.target} has no field {name}: 400")
        elif field is not None and field.type in ("text", "knn_vector"):
            yield refusal(f"sort[{number}]", f"can't be sorted by {name}, which is {field.type}: 400")
    if search.hybrid is not None and "_score" in names:
        if len(names) > 1:
            search.body["sort"] = ["_score"]
            yield rewrite("sort", "a hybrid query sorts by _score alone or by fields alone: 400; by _score now")
        if dict(keys)["_score"].get("order", "desc") == "asc":
            yield refusal(
                "sort", "lists the worst of each leg's best candidates, which is nothing that anybody asks for"
            )
    if search.hybrid is not None and names and "_score" not in names:
        if search.body.pop("track_scores", False):
            yield rewrite("track_scores", "a hybrid query that is sorted by fields has no scores: 400; taken out")
        yield note("sort", "all that the legs match, near or not, in this order")
    if "search_after" in search.body:
        yield from _next_page(search, names)


def grouped(search: Search) -> Iterator[Finding]:
    """collapse: right in 3.6.0 but for inner hits."""
    collapse = search.body.get("collapse")
    if not isinstance(collapse, dict):
        return
    field = search.facts.fields.get(str(collapse.get("field")))
    if field is None or field.type not in COLLAPSIBLE:
        reason = f"{collapse.get('field')} is no keyword or number field of {search.facts.target}: 400"
        yield refusal("collapse.field", reason)
        return
    if search.hybrid is not None and "inner_hits" in collapse:
        reason = "inner hits of a hybrid query are ranked by raw scores added up, not by the joined ones"
        yield refusal("collapse.inner_hits", f"{reason}: ask for one group with a filter", "neural-search #1379")
    yield note("collapse", "hits.total counts documents; a cardinality aggregation counts groups", "neural-search #665")


def counted(search: Search) -> Iterator[Finding]:
    """Aggregations and totals: of what a search matches, which for a vector clause is its k nearest a shard."""
    found = search.body.get("aggs", search.body.get("aggregations"))
    if isinstance(found, dict):
        yield from _aggregations(search, found, "aggs" if "aggs" in search.body else "aggregations")
        if _near(search):
            reason = "counts what the words match and the k nearest a shard: a larger k counts more"
            yield note("aggs", reason, "neural-search #422, #509, k-NN #1290")
    least = search.body.get("min_score")
    options = normaliser(search.pipeline)
    if search.hybrid is not None and options is not None and isinstance(least, int | float):
        best = 1.0
        if options.get("combination", {}).get("technique") == "rrf":
            best = 1 / (options["combination"].get("rank_constant", 60) + 1)
        if least > best and "z_score" not in str(options):
            yield refusal(
                "min_score", f"joined scores are at most {best:.4g}: nothing would be found", "neural-search #299"
            )
    if "timeout" in search.body:
        yield note("timeout", "doesn't bound the embedding of the query; look at timed_out in the answer")


def shown(search: Search) -> Iterator[Finding]:
    """Vectors in hits cost time and are of no use to a client."""
    vectors = [name for name, field in search.facts.fields.items() if field.type == "knn_vector"]
    source, size = search.body.get("_source", True), search.size
    if (
        not vectors
        or not size
        or source is False
        or search.body.get("stored_fields")
        or "_source_excludes" in search.params
    ):
        return
    if not isinstance(source, dict | bool) or (isinstance(source, dict) and source):
        return
    yield note(
        "_source",
        f'hits bring their vectors; leave them out with {{"excludes": {vectors}}}'.replace("'", '"'),
        "k-NN #3365",
    )


def _next_page(search: Search, names: list[str]) -> Iterator[Finding]:
    if not names or (search.hybrid is not None and "_score" in names):
        yield refusal("search_after", "needs a sort by fields: 400")
        return
    if search.body.get("from", 0):
        yield refusal("search_after", "with from is a 500: it says where the page begins")
    if names[-1] != "_id":
        reason = "equal values at the end of a page are passed over: let the sort end with _id"
        yield refusal("search_after", reason)
    if search.hybrid is None:
        return
    if search.facts.shards > 1:
        reason = (
            "a hybrid query over several shards ends in a 500 (no_such_element_exception) when one shard has no more"
        )
        yield refusal("search_after", f"{reason}; page with from")
    elif search.facts.replicas and "preference" not in search.params:
        reason = "replicas list in different orders, so that pages overlap: give ?preference= a word of the session"
        yield refusal("search_after", reason, "neural-search #1044")


def _aggregations(search: Search, found: dict[str, Json], at: str) -> Iterator[Finding]:
    for name, options in found.items():
        for kind, inside in options.items() if isinstance(options, dict) else ():
            if kind in ("aggs", "aggregations"):
                yield from _aggregations(search, inside, f"{at}.{name}.{kind}")
            elif isinstance(inside, dict) and isinstance(asked := inside.get("field"), str):
                field = search.facts.fields.get(asked)
                if field is None and not asked.startswith("_"):
                    yield refusal(
                        f"{at}.{name}", f"{search.facts.target} has no field {asked}: it counts nothing, silently"
                    )
                elif field is not None and field.type in ("text", "knn_vector"):
                    yield refusal(f"{at}.{name}", f"{asked} is {field.type}, which can't be counted: 400")


def _sort_keys(sort: Json) -> list[tuple[str, dict[str, Json]]]:
    found: list[tuple[str, dict[str, Json]]] = []
    for one in sort if isinstance(sort, list) else [sort]:
        if isinstance(one, str):
            found.append((one, {}))
        elif isinstance(one, dict):
            found += [
                (name, options if isinstance(options, dict) else {"order": options}) for name, options in one.items()
            ]
    return found


def _near(search: Search) -> bool:
    return any(found.name in ("knn", "neural") for found in search.clauses)
