"""Candidates: how many hits of each leg are joined, and whether a page lies among them."""

from collections.abc import Iterator

from neuralshelf.checker.clauses import VECTOR_CLAUSES, Clause
from neuralshelf.checker.search import Search, whole
from neuralshelf.checker.verdict import Finding, refusal, rewrite

MAX_K = 10_000
LIMITS = ("k", "min_score", "max_distance")
DEPTH = "pagination_depth"
UNSTABLE = "scores and order depend on size"


def paged(search: Search) -> Iterator[Finding]:
    """OpenSearch's own limits of a page."""
    for name in ("from", "size"):
        if int(search.body.get(name, 0)) < 0:
            yield refusal(name, "must not be negative: 400")
    if search.page_end > search.facts.window:
        reason = f"from + size is {search.page_end}, more than index.max_result_window ({search.facts.window}): 400"
        yield refusal("size", f"{reason}; narrow the search instead")


def deep(search: Search) -> Iterator[Finding]:
    """A hybrid query joins the first pagination_depth hits of each leg and shard; by default that is the page's end."""
    hybrid, needed = search.hybrid, _needed(search)
    if hybrid is None or search.page_end > search.facts.window:
        return
    at, depth = f"{hybrid.at}.{DEPTH}", search.depth
    if depth is not None and not 1 <= depth <= search.facts.window:
        yield refusal(at, f"must be from 1 to index.max_result_window ({search.facts.window}): 400")
    elif depth is None and needed <= search.facts.k:
        hybrid.options[DEPTH] = search.facts.k
        yield rewrite(at, f"without it {UNSTABLE}: it is {search.facts.k} now, as configured", "neural-search #325")
    elif needed <= (depth or 0):
        return
    elif search.body.get("from", 0) == 0 and needed <= search.facts.window:
        hybrid.options[DEPTH] = needed
        reason = f"the page needs {needed} candidates a leg; with {depth or 'no ' + DEPTH} it would be short"
        yield rewrite(at, f"{reason} or {UNSTABLE}: keep {needed} for the pages that follow", "neural-search #1174")
    else:
        reason = f"the page needs {needed} candidates a leg, there are {depth or search.facts.k}: hits are missing"
        yield refusal(
            at, f"{reason}; give all pages of this search the same {DEPTH} of {needed}", "neural-search #1174"
        )


def near(search: Search) -> Iterator[Finding]:
    """How many nearest a vector clause gives, a shard."""
    needed = _needed(search)
    for found in search.clauses:
        if found.name in VECTOR_CLAUSES and found.field in search.facts.fields:
            yield from _nearest(search, found, needed)


def _nearest(search: Search, found: Clause, needed: int) -> Iterator[Finding]:
    at, given = found.vector_at, [name for name in LIMITS if name in found.vector]
    least = min(max(needed, search.depth or (10 if found.name == "neural" else 1)), MAX_K)
    if len(given) > 1:
        yield refusal(at, f"{' and '.join(given)} together are a 400: give one")
    elif not given:
        found.vector["k"] = least
        usual = "means 10" if found.name == "neural" else "is a 400"
        yield rewrite(f"{at}.k", f"no k {usual}: it is {least} now")
    elif given == ["k"]:
        k = whole(found.vector["k"], f"{at}.k")
        if not 1 <= k <= MAX_K:
            yield refusal(f"{at}.k", f"must be from 1 to {MAX_K}: 400")
        elif k < needed and not found.silent:
            found.vector["k"] = least
            yield rewrite(f"{at}.k", f"{k} nearest a shard don't fill a page that ends at {needed}: it is {least} now")


def _needed(search: Search) -> int:
    """Candidates a leg so that the page is full: with collapse, every product may bring all its documents."""
    views = search.facts.views if search.body.get("collapse", {}).get("field") == search.facts.product else 0
    return search.page_end * max(views, 1) if search.size else 0
