"""Hostile strings in a catalogue: each arrives at its model, or gets a letter of its own with the cause.

It arrives as `stamps.joined` says: white space around it is left out, nothing else is changed. 2,000 strings here,
100,000 with `--extended`; NEURALSHELF_SEED repeats a run. tests/engine/connectors/test_byte_exact.py has queries, and
pipelines that leave white space alone.
"""

import os
import random
import secrets
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from neuralshelf.connectors.probe import TEXT
from neuralshelf.ingestion.letters.deadletters import DeadLetters
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.pipelines.stamps import joined
from tests.engine.connectors.test_byte_exact import PIECES, hostile
from tests.engine.ingestion.catalogues import written
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import Project

SEED = int(os.environ.get("NEURALSHELF_SEED") or secrets.randbelow(10**6))
MEGABYTE = 1_048_576
LONG = 100_000
TOO_LONG = ("remote service", "the limit is 1000000")
PROBES = {TEXT, "a"}  # sent before an ingest, to see whether the models are the right ones
BLANKS = ("", " ", "\t\n", "\u2003\u2028", "\x1c\x1d", "   \r\n   ")
AROUND = ("", "", "", " ", "\n", "\u2003", "\u00a0", "\x1c", "\u200b", "\ufeff")

SHOP: Mapping[str, Any] = {
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 384},
    },
    "index": {
        "fields": {"title": "text", "caption": "text"},
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title"]},
            "caption_vector": {"connector": "picture", "text": ["caption"]},
        },
    },
    "search": {
        "keyword": ["title", "caption"],
        "weights": {"keyword": 0.2, "text_vector": 0.4, "caption_vector": 0.4},
    },
}
VECTORS = {"title": "text_vector", "caption": "caption_vector"}


def texts(count: int) -> Iterator[tuple[str, str]]:
    """(field, text): four in five for the model that takes lists; now and then blank, a lone surrogate, a megabyte."""
    chance = random.Random(SEED)
    given: list[str] = []
    for number in range(count):
        if not given:
            given = hostile(1_000, SEED + number)
        text = chance.choice(AROUND) + given.pop() + chance.choice(AROUND)
        kind = chance.random()
        if kind < 0.004:
            text = chance.choice(BLANKS)
        elif kind < 0.008:
            text += chance.choice((chr(0xD800), chr(0xDFFF)))
        elif kind < 0.009:
            text = "".join(chance.choices(PIECES[:-2], k=MEGABYTE // 4))[: chance.choice((LONG, MEGABYTE))]
        yield ("caption" if chance.random() < 0.2 else "title"), text


def as_sent(name: str, text: str) -> str:
    """What the model has to get of a text."""
    return joined({name: text}, [name])


def cause(text: str) -> str:
    """A word of the letter that a text must have; empty when it has to arrive. Long ones may do either."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        return "lone surrogate"
    return "" if as_sent("title", text) else "nothing to embed"


def ingested(project: Project, given: Sequence[tuple[str, str]]) -> dict[int, str]:
    """Number of a text -> code and cause of its letter, after one run."""
    rows = ({"id": str(number), name: text} for number, (name, text) in enumerate(given))
    file = written(project.folder / "hostile.jsonl", rows)
    process: subprocess.Popen[str] = project.start("ingest", str(file), "--json")
    try:
        out, err = process.communicate(timeout=3000)
    finally:
        process.kill()
    assert process.returncode == 3, f"{out}\n{err}"
    letters = DeadLetters.of(project.client, project.deployment()).find()
    return {(letter.line or 0) - 1: f"{letter.code}: {letter.cause}" for letter in letters}


def everything_arrives_or_has_a_letter(project: Project, server: Any, count: int) -> None:
    """The one property, for `count` texts."""
    print(f"NEURALSHELF_SEED={SEED}")
    given = list(texts(count))
    server.text.samples.clear()
    server.multimodal.samples.clear()
    letters = ingested(project, given)
    indexed = [number for number in range(count) if number not in letters]

    for number, (name, text) in enumerate(given):
        said, why = letters.get(number, ""), cause(text)
        shown = f"seed {SEED}, {number}, {name} of {len(text)}: {text[:100]!a}: {said}"
        if why:
            assert why in said, shown
        elif len(text) >= LONG:
            assert not said or any(reason in said for reason in TOO_LONG), shown
        else:
            assert not said, shown

    arrived = {"title": Counter(server.text.texts), "caption": Counter(server.multimodal.texts)}
    expected: dict[str, Counter[str]] = {"title": Counter(), "caption": Counter()}
    for number in indexed:
        name, text = given[number]
        expected[name][as_sent(name, text)] += 1
    for name, wanted in expected.items():
        lost, strange = set(wanted) - set(arrived[name]), set(arrived[name]) - set(wanted) - PROBES
        some = [ascii(text[:200]) for text in (*list(lost)[:3], *list(strange)[:3])]
        assert not lost | strange, f"seed {SEED}: {len(lost)} did not arrive, {len(strange)} others did: {some}"

    found = 0
    for start in range(0, len(indexed), 2000):
        some = [str(number) for number in indexed[start : start + 2000]]
        answer = project.client.mget(index=project.name, body={"ids": some}, params={"_source": "false"})
        found += sum(document["found"] for document in answer["docs"])
    assert found == len(indexed)
    some = [str(number) for number in random.Random(SEED).sample(indexed, 200)]
    for document in project.client.mget(index=project.name, body={"ids": some})["docs"]:
        name, text = given[int(document["_id"])]
        encoder = server.text if name == "title" else server.multimodal
        vector = encoder.encode([Sample(as_sent(name, text))], 384)[0]
        assert document["_source"][name] == text
        assert np.allclose(document["_source"][VECTORS[name]], vector, atol=1e-6), f"seed {SEED}: {text!a}"
    causes = Counter(said.partition(":")[0] for said in letters.values())
    print(f"{count} texts: {len(indexed)} arrived identical, letters: {dict(causes)}")


@pytest.fixture
def server(serve_models: Callable[..., Any]) -> Any:
    """Two toy models that keep what they are given."""
    return serve_models()


@pytest.fixture
def shop(make_project: MakeProject, server: Any, engine: Any) -> Project:
    """An applied deployment with a vector of each kind of model that takes text, reached without the logging wire."""
    project = make_project(SHOP, server)
    project.environment["cluster"]["url"] = engine.url
    project.write()
    project.apply()
    return project


def test_two_thousand_hostile_strings_arrive_or_have_a_letter(shop: Project, server: Any) -> None:
    everything_arrives_or_has_a_letter(shop, server, 2_000)


@pytest.mark.extended
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_hostile_strings_arrive_or_have_a_letter(shop: Project, server: Any) -> None:
    everything_arrives_or_has_a_letter(shop, server, 100_000)
