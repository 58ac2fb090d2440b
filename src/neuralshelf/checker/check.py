"""Hold one search against every rule: right as it is, made right, or refused."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from neuralshelf.checker import answer, candidates, fields, filters, legs, pipeline, structure
from neuralshelf.checker.clauses import Malformed
from neuralshelf.checker.facts import Facts
from neuralshelf.checker.search import Search
from neuralshelf.checker.verdict import Finding, Verdict, refusal

Json = Any
Rule = Callable[[Search], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    # in this order: each may rely on what those before it have put right
    answer.taken,
    structure.opened,
    structure.top_level,
    legs.counted,
    pipeline.applies,
    pipeline.joins,
    pipeline.techniques,
    pipeline.models,
    fields.known,
    fields.vectors,
    legs.scored,
    filters.mixed,
    filters.after,
    filters.alike,
    candidates.paged,
    candidates.deep,
    candidates.near,
    answer.explained,
    answer.ordered,
    answer.grouped,
    answer.counted,
    answer.shown,
)


def check(facts: Facts, body: Json, params: Mapping[str, str] | None = None) -> Verdict:
    """What would become of a `_search` with this body and these URL parameters.

    Nothing is sent. `body` stays as it is; the verdict holds a copy, put right where its meaning is plain. Paths are
    those of the body as given, unless a rule before has moved what they name.
    """
    found: list[Finding] = []
    try:
        search = Search.of(facts, body, params or {})
        for rule in RULES:
            found += rule(search)
    except (Malformed, RecursionError) as fault:
        at, told = (fault.path, str(fault)) if isinstance(fault, Malformed) else ("query", "nested too deeply")
        found.append(refusal(at, f"{told}: 400"))
        return Verdict(tuple(found), None, dict(params or {}))
    made = Verdict(tuple(found), search.body, search.params)
    return made if made.word != "refused" else Verdict(made.findings, None, dict(params or {}))
