"""Filters: a vector clause takes its k nearest first, so that a filter beside it leaves fewer."""

from collections.abc import Iterator, Mapping

from neuralshelf.checker.clauses import (
    Json,
    beside,
    children,
    conditions,
    filters_of,
    joined,
    narrowed,
    vectors_in,
)
from neuralshelf.checker.search import Search
from neuralshelf.checker.verdict import Finding, note, refusal, rewrite

DLS = "neural-search #1303, ml-commons #3815"
AFTER = "is looked at after the k nearest were taken, so that fewer are left"


def mixed(search: Search) -> Iterator[Finding]:
    """Words and vectors in one bool add up scores of different kinds."""
    for found in search.clauses:
        if found.name not in ("bool", "dis_max") or found.silent:
            continue
        inside = [one for one in children(found) if not one.silent]
        fields = {one.field for child in inside for one in vectors_in(child)}
        if len(inside) > 1 and (len(fields) > 1 or (fields and not all(vectors_in(child) for child in inside))):
            reason = "BM25 (0 to about 30) and vector scores (0 to 1) are added up or compared as they are"
            yield refusal(found.at, f"{reason}: make them legs of a hybrid query")


def after(search: Search) -> Iterator[Finding]:
    """post_filter, a bool's filter, an alias's filter: all conditions of the search get into its vector clauses."""
    query = search.query
    if query is None or not any(vectors_in(query)):
        return
    if search.facts.secured is None:
        yield note(
            "query", "this login may not read its roles: if one lets it see some documents only, answers differ", DLS
        )
    elif search.facts.secured:
        reason = f"a role lets this login see some documents only; that {AFTER}, and a hybrid query is a 400"
        yield refusal(
            "query",
            f"{reason}: use an index or a filtered alias a group of users",
            DLS,
        )
    for found in list(search.clauses):
        if "nested.query" in found.above:
            continue  # its conditions are about the parts, a vector clause's about the whole document
        more = beside(found)
        inside = [one for child in children(found) if not child.silent for one in vectors_in(child)]
        if lacking := [one for one in inside if not more.keys() <= conditions(one.vector.get("filter", [])).keys()]:
            if any('"neural"' in text or '"knn"' in text for text in more):
                yield refusal(f"{found.at}.filter", "the k nearest are no condition: make a leg of them")
                continue
            for one in lacking:
                narrowed(one.node, more)
            yield rewrite(f"{found.at}.filter", f"{AFTER}: it stands in the vector clause, too", "k-NN #1291")
    post = search.body.get("post_filter")
    if post is not None and conditions(post):
        if "aggs" in search.body or "aggregations" in search.body:
            reason = f"{AFTER}; with aggregations it can't be moved into the query without changing their counts"
            yield refusal("post_filter", f"{reason}: send two searches", "neural-search #508, k-NN #1291")
        else:
            _narrow(search, conditions(search.body.pop("post_filter")))
            yield rewrite("post_filter", f"{AFTER}: it is a filter of the query now", "neural-search #508, k-NN #1291")
    alias = conditions(search.facts.narrowed)
    if alias and not all(alias.keys() <= filters.keys() for filters in _all_filters(search)):
        _narrow(search, alias)
        reason = f"the filter of alias {search.facts.target} {AFTER}: it is a filter of the query, too"
        yield rewrite("query", reason, "neural-search #627")


def alike(search: Search) -> Iterator[Finding]:
    """Conditions that one leg has and others lack let other documents in."""
    if search.hybrid is None:
        return
    common = conditions(search.hybrid.options.get("filter", []))
    found = [common | filters_of(leg) for leg in search.legs if leg.name != "match_none"]
    for filters in found:
        filters.pop('{"match_none": {}}', None)  # lets nothing in, until the pipeline opens a leg of preference
    every = {text: node for filters in found for text, node in filters.items()}
    if any(filters.keys() != every.keys() for filters in found):
        if any(filters.keys() == every.keys() for filters in found):
            _narrow(search, every)
            reason = (
                "conditions that only some legs have let other documents in through the rest: all legs have them now"
            )
            yield rewrite(f"{search.hybrid.at}.queries", reason, "neural-search #282")
        else:
            reason = "legs have different conditions, so that each lets in what the others leave out"
            yield refusal(f"{search.hybrid.at}.queries", f"{reason}: put those meant for all into hybrid.filter")
    common = conditions(search.hybrid.options.get("filter", []))
    if isinstance(search.hybrid.options.get("filter"), list):
        search.hybrid.options["filter"] = joined(common)
        yield rewrite(f"{search.hybrid.at}.filter", "a list is a 400: one bool of them all now")
    for leg in search.legs:
        if leg.name == "nested" and common and not common.keys() <= filters_of(leg).keys():
            narrowed(leg.node, common)
            reason = "hybrid.filter doesn't get into the vector clause of a nested query: it stands there, too"
            yield rewrite(leg.at, reason, "neural-search #1759")


def _all_filters(search: Search) -> list[Mapping[str, Json]]:
    """Conditions of each vector clause."""
    common = conditions(search.hybrid.options.get("filter", [])) if search.hybrid else {}
    query = search.query
    return [common | conditions(one.vector.get("filter", [])) for one in (vectors_in(query) if query else [])]


def _narrow(search: Search, more: dict[str, Json]) -> None:
    hybrid = search.hybrid
    if hybrid is not None:
        hybrid.options["filter"] = joined(conditions(hybrid.options.get("filter", [])) | more)
    else:
        for one in vectors_in(search.query) if search.query else []:
            narrowed(one.node, more)
