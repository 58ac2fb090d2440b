"""Fields: a misspelt one is no error in OpenSearch, it is a search without hits."""

from collections.abc import Iterator

from neuralshelf.checker.clauses import VECTOR_CLAUSES, Clause, Json
from neuralshelf.checker.search import Search
from neuralshelf.checker.verdict import Finding, refusal

WORDS = {"match", "match_phrase", "match_phrase_prefix", "match_bool_prefix"}
VALUES = {"term", "terms", "range", "prefix", "wildcard", "regexp", "fuzzy"}
LISTS = {"multi_match", "query_string", "simple_query_string", "combined_fields"}
EXACT = {"term", "terms", "prefix", "wildcard", "regexp"}
OPTIONS = {"boost", "_name"}


def known(search: Search) -> Iterator[Finding]:
    """Every field that a clause asks exists and can be asked so."""
    for found in search.clauses:
        for name in _asked(found):
            field = search.facts.fields.get(name)
            if name.startswith("_") or "*" in name:
                continue
            if field is None:
                yield refusal(
                    found.at, f"{search.facts.target} has no field {name}: such a clause finds nothing, silently"
                )
            elif field is not None and field.type == "knn_vector" and found.name != "exists":
                yield refusal(found.at, f"{name} is a vector: ask it with knn or neural")
            elif field is not None and field.type == "text" and found.name in EXACT and not _one_token(found, name):
                reason = (
                    f"{name} is text: its words are kept in small letters, one by one, and {found.name} compares whole"
                )
                yield refusal(found.at, f"{reason}; use match")
        if found.name == "nested":
            path = str(found.options.get("path"))
            if search.facts.fields.get(path) is None or search.facts.fields[path].type != "nested":
                yield refusal(f"{found.at}.path", f"{search.facts.target} has no nested field {path}: 400")


def vectors(search: Search) -> Iterator[Finding]:
    """A vector clause asks a vector field, with a vector that fits or with something to embed."""
    for found in search.clauses:
        if found.name == "script_score":
            yield from _exact(search, found)
        if found.name not in VECTOR_CLAUSES:
            continue
        field = search.facts.fields.get(found.field)
        if field is None or field.type != "knn_vector":
            yield refusal(found.vector_at, f"{found.field} is no vector field of {search.facts.target}: 400")
            continue
        if found.vector.get("expand_nested_docs") and "nested.query" not in found.above:
            yield refusal(f"{found.vector_at}.expand_nested_docs", "is for vectors inside a nested field only: 400")
        if found.name == "knn":
            yield from _vector(found, field.dimension, field.space)
        elif not any(str(found.vector.get(key) or "").strip() for key in ("query_text", "query_image")):
            reason = "neither query_text nor query_image holds anything: 400"
            yield refusal(found.vector_at, f"{reason}; leave the leg out, with match_none in its place")


def _vector(found: Clause, dimension: int, space: str) -> Iterator[Finding]:
    vector = found.vector.get("vector")
    at = f"{found.vector_at}.vector"
    if not isinstance(vector, list) or not all(isinstance(number, int | float) for number in vector):
        yield refusal(at, "must be a list of numbers")
    elif len(vector) != dimension:
        yield refusal(at, f"has {len(vector)} numbers, {found.field} has {dimension}: 400")
    elif space == "cosinesimil" and not any(vector):
        yield refusal(at, "a vector of zeros has no direction: 400")


def _exact(search: Search, found: Clause) -> Iterator[Finding]:
    """k-NN's exact score script compares as it is told, whatever the index does."""
    script = found.options.get("script", {})
    params = script.get("params", {}) if isinstance(script, dict) and script.get("lang") == "knn" else {}
    field = search.facts.fields.get(str(params.get("field")))
    if field is not None and field.space and params.get("space_type") != field.space:
        reason = f"compares by {params.get('space_type')}, the index by {field.space}: scores of another kind"
        yield refusal(f"{found.at}.script.params.space_type", reason)


def _asked(found: Clause) -> list[str]:
    if found.name in WORDS | VALUES:
        return [name for name in found.options if name not in OPTIONS]
    if found.name == "exists":
        return [str(found.options.get("field"))]
    if found.name in LISTS:
        return [str(item).split("^")[0] for item in found.options.get("fields", [])]
    return []


def _one_token(found: Clause, name: str) -> bool:
    """Every value is what analysis would make of it: one word in small letters."""
    value: Json = found.options[name]
    if isinstance(value, dict):
        value = value.get("value", "")
    values = value if isinstance(value, list) else [value]
    return all(isinstance(one, str) and one == one.lower() and one.isalnum() for one in values)
