"""Where the hybrid query stands, and queries that hide what they hold."""

import base64
import binascii
import json
from collections.abc import Iterator

from neuralshelf.checker.clauses import Clause, Malformed, children, clause, conditions, joined
from neuralshelf.checker.search import Search
from neuralshelf.checker.verdict import Finding, note, refusal, rewrite


def opened(search: Search) -> Iterator[Finding]:
    """`wrapper` holds a query in base64, `template` one that no enricher reaches."""
    for found in list(search.clauses):
        if found.name == "wrapper":
            node = _decoded(found)
            found.node.clear()
            found.node.update(node)
            if '"neural"' in json.dumps(node):
                yield rewrite(
                    found.at, "the neural_query_enricher doesn't reach into it: the query that it holds stands here now"
                )
            else:
                yield note(found.at, "looked into: the query that it holds stands here now")
        elif found.name == "template" and "model_id" not in json.dumps(found.options):
            reason = (
                "the neural_query_enricher doesn't reach into a template query: 400, unless neural has its model_id"
            )
            yield refusal(found.at, f"{reason}; use a stored template (_search/template) instead")


def top_level(search: Search) -> Iterator[Finding]:
    """A hybrid query joins its legs only at the top; elsewhere OpenSearch adds up raw scores, or refuses."""
    for found in list(search.clauses):
        if found.name != "hybrid" or not found.above:
            continue
        outer = search.query
        assert outer is not None
        if "hybrid.queries" in found.above:
            yield refusal(found.at, "a hybrid query in another one is a 400: give its sub-queries as legs")
        elif _only(outer, found):
            search.body["query"] = found.node
            if search.facts.narrowed:
                reason = "beside the alias's filter it would add up raw scores; it is the whole query now"
                yield rewrite(outer.at, reason, "neural-search #627")
            else:
                yield note(outer.at, "holds nothing but the hybrid query, which OpenSearch takes for the whole")
        elif (more := _conditions_beside(outer, found)) is not None:
            options = found.options
            options["filter"] = joined(conditions(options.get("filter", [])) | more)
            search.body["query"] = found.node
            reason = "beside other clauses a hybrid query adds up raw scores; the conditions are hybrid.filter now"
            yield rewrite(outer.at, reason, "neural-search #282")
        else:
            reason = f"inside {outer.name} a hybrid query is a 400 or adds up raw scores: it has to be the whole query"
            yield refusal(found.at, f"{reason}; put {outer.name} into its legs")


def _decoded(wrapper: Clause) -> dict[str, object]:
    try:
        node = json.loads(base64.b64decode(str(wrapper.options.get("query")), validate=True))
    except (binascii.Error, ValueError):
        raise Malformed(wrapper.at, "holds no query in base64") from None
    return dict(clause(node, wrapper.at).node)


def _only(outer: Clause, inner: Clause) -> bool:
    """Nothing but `inner`, in a clause that changes no score."""
    places = {key: value for key, value in outer.options.items() if value not in ([], {})}
    return outer.name in ("bool", "dis_max") and len(places) == 1 and [c.node for c in children(outer)] == [inner.node]


def _conditions_beside(outer: Clause, inner: Clause) -> dict[str, object] | None:
    """What a bool with the hybrid query as its only `must` asks for besides; None when it is more than conditions."""
    musts = [found.node for found in children(outer) if found.above == ("bool.must",)]
    if outer.name != "bool" or musts != [inner.node] or not outer.options.keys() <= {"must", "filter", "must_not"}:
        return None
    more = conditions(outer.options.get("filter", []))
    if outer.options.get("must_not"):
        more |= conditions({"bool": {"must_not": outer.options["must_not"]}})
    return more
