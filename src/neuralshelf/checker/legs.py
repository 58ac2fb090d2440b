"""The legs of a hybrid query: how many, in which order, and with scores that mean something."""

from collections.abc import Iterator

from neuralshelf.checker.clauses import VECTOR_CLAUSES, Clause, children, walk
from neuralshelf.checker.search import Search
from neuralshelf.checker.verdict import Finding, note, refusal, rewrite
from neuralshelf.pipelines.ranking import PREFERENCE_LEG
from neuralshelf.pipelines.spec import KEYWORD_LEG, MAX_LEGS

CONSTANT = {"match_all", "constant_score", "exists", "term", "terms", "range", "prefix", "wildcard", "regexp"}
"""Clauses that give all their hits the same score."""

SCORING = {"must", "should"}


def counted(search: Search) -> Iterator[Finding]:
    """The default pipeline weighs legs by their places: they have to be the configured ones."""
    legs, wanted = search.legs, search.facts.legs
    if search.hybrid is None:
        return
    at = f"{search.hybrid.at}.queries"
    if len(legs) > MAX_LEGS:
        yield refusal(at, f"{len(legs)} legs: OpenSearch takes {MAX_LEGS}, 400")
        return
    if search.given_pipeline or not wanted:
        return
    names = [leg_name(leg) for leg in legs]
    # match_none stands for a leg that is left out, as in the stored templates
    blank = [leg.name == "match_none" for leg in legs]
    if len(legs) == len(wanted) and all(
        hole or name == want for hole, name, want in zip(blank, names, wanted, strict=True)
    ):
        return
    present = {name: leg.node for name, leg, hole in zip(names, legs, blank, strict=True) if not hole}
    if len(present) == len(legs) - sum(blank) and present.keys() <= set(wanted):
        search.hybrid.options["queries"] = [present.get(name, {"match_none": {}}) for name in wanted]
        reason = f"the pipeline's weights are for {', '.join(wanted)}, not for {', '.join(names)}"
        yield rewrite(at, f"{reason}: legs in that order now, match_none for one that is left out")
    else:
        reason = f"the pipeline's weights are for {', '.join(wanted)}; these legs are {', '.join(names)}"
        yield refusal(at, f"{reason}: bring a search_pipeline with weights of your own")


def scored(search: Search) -> Iterator[Finding]:
    """A leg whose hits all score the same has no best ones."""
    for leg in search.legs:
        if leg.name in CONSTANT:
            reason = f"all hits of {leg.name} score the same: which of them become candidates is chance, each gets 1.0"
            yield refusal(
                leg.at, f"{reason}; as a condition it belongs into hybrid.filter", "neural-search #299, #1189"
            )
        elif leg.name == "bool" and not SCORING & leg.options.keys():
            reason = "a bool of conditions alone scores 0, and a hybrid query leaves out what scores 0"
            yield refusal(leg.at, f"{reason}; conditions belong into hybrid.filter")
        elif _boosted(leg):
            reason = "a boost of a whole leg changes nothing, since its scores are normalised or ranked"
            yield note(f"{leg.at}.boost", f"{reason}; weights of the search pipeline do")


def leg_name(leg: Clause) -> str:
    """The vector field that a leg asks; `keyword` when it asks none, `preference` when it is of what somebody likes."""
    if leg.name == "script_score" and "liked" in leg.options.get("script", {}).get("params", {}):
        return PREFERENCE_LEG
    fields = {found.field for found in walk(leg) if found.name in VECTOR_CLAUSES and not found.silent}
    return "+".join(sorted(fields)) or KEYWORD_LEG


def _boosted(leg: Clause) -> bool:
    """The whole leg has a boost."""
    compound = leg.name not in VECTOR_CLAUSES and list(children(leg))
    places = [leg.options] if compound else [leg.options, *leg.options.values()]
    return any(isinstance(place, dict) and place.get("boost", 1) != 1 for place in places)
