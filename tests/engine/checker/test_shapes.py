"""No search that the checker lets through differs from what it means, none that it stops is right: docs/queries.md."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.checker import Grade, Verdict, check

from .building import Shape
from .conftest import WRITE, Shelf
from .shapes import GROUPS

DOCS = Path(__file__).resolve().parents[3] / "docs" / "queries.md"
HEADERS = ("search", "verdict", "as it is", "why")
# a sort by _id is what the checker asks for with search_after; the engine calls it deprecated, once a day
pytestmark = pytest.mark.filterwarnings("ignore:Loading the fielddata on the _id field")
SHARDS = (1, 3)
NAMES = (
    (r"shelf[13]", "products"),
    (r"empty[13]", "others"),
    (r"bare[13]", "products"),
    (r"[\w-]{20} is not", "MODEL is not"),
)


def on(shelf: Shelf, shards: int, value: Any) -> Any:
    """A shape's text with the names of this shelf in it."""
    model = (shelf.facts().pipeline or {})["request_processors"][0]["neural_query_enricher"]["neural_field_default_id"]
    text = json.dumps(value).replace("{n}", str(shards)).replace("{text}", model["text_vector"])
    return json.loads(text)


def judged(shape: Shape, shelf: Shelf, number: int) -> tuple[Verdict, str, list[str]]:
    """The verdict, how the answer to the search as it is differs, and what contradicts the verdict."""
    shards = SHARDS[number]
    sent, params, target = on(shelf, shards, [shape.body, dict(shape.params), shape.target])
    facts = shelf.facts(target)
    found = check(facts, sent, params)
    wanted = shelf.oracle.answer(shape.meaning)
    differs = shelf.oracle.ask(sent, target, params).differs(wanted)
    against = []
    if found.word != shape.word(number):
        against.append(f"is {found.word}: {found.findings}")
    elif found.word == "correct" and differs:
        against.append(differs)
    elif found.word == "rewritten":
        if again := shelf.oracle.ask(found.body, target, found.params).differs(wanted):
            against.append(f"rewritten, {again}: {json.dumps(found.body)[:1500]}")
        if (second := check(facts, found.body, found.params)).word != "correct":
            against.append(f"rewritten, and then {second.word}: {second.findings}")
    return found, differs, [f"{shape.name}, {shards} shards: {line}" for line in against]


@pytest.mark.parametrize("group", GROUPS)
def test_every_shape(group: str, shelves: Sequence[Shelf]) -> None:
    rows, against = [], []
    for shape in GROUPS[group]:
        both = [judged(shape, shelf, number) for number, shelf in enumerate(shelves)]
        against += [line for *_, lines in both for line in lines]
        stopped = [differs for found, differs, _ in both if found.word != "correct"]
        if stopped and not any(stopped) and not shape.proof:
            against.append(f"{shape.name}: stopped, and right as it is")
        rows.append(row(shape, [(found, differs) for found, differs, _ in both]))
    assert not against, "\n".join(against)
    compare(group, rows)


def row(shape: Shape, both: Sequence[tuple[Verdict, str]]) -> list[str]:
    """Of the table; where one shard and three differ, both are told."""
    words = [found.word for found, _ in both]
    verdict = words[0] if words[0] == words[1] else f"{words[0]}; {words[1]} on 3 shards"
    raw = [shown(differs) for _, differs in both]
    asked = raw[0] if raw[0] == raw[1] else f"{raw[0]}; on 3 shards {raw[1]}"
    findings = [f for found, _ in both for f in found.findings]
    weight = Grade.NOTE if set(words) == {"correct"} else Grade.REFUSAL if "refused" in words else Grade.REWRITE
    told = next((f for f in findings if f.grade == weight), None)
    why = "" if told is None else told.reason + (f" ({told.issue})" if told.issue else "")
    for pattern, word in NAMES:
        why = re.sub(pattern, word, why)
    return [shape.name, verdict, asked, why]


def shown(differs: str) -> str:
    """In words that don't change from run to run."""
    if not differs:
        return "right"
    if re.match(r"\d{3}:", differs):
        return f"error {differs[:3]}"
    if differs.startswith("counts"):
        return "other counts"
    return re.sub(r"^score .*", "other scores", re.sub(r"^(total).*", "other total", differs))


def compare(name: str, rows: Sequence[Sequence[str]]) -> None:
    """Hold a table against docs/queries.md."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in line) for line in (HEADERS, ["---"] * len(HEADERS), *rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    text = DOCS.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    parts = re.fullmatch(f"(.*{re.escape(begin)})(.*)({re.escape(end)}.*)", text, re.DOTALL)
    assert parts is not None, f"docs/queries.md has no table {name}"
    if WRITE:
        DOCS.write_text(parts[1] + table + parts[3], encoding="utf-8")
    else:
        assert parts[2] == table, f"docs/queries.md, {name}: NEURALSHELF_GOLDEN=write writes it anew"
