"""The tasks of a checkout are the verbs of the command line, option by option."""

import sys
import time
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

from neuralshelf.cli import main
from neuralshelf.cli import tasks as tasks_of_verbs
from neuralshelf.cli.parser import parser
from neuralshelf.model_packages.ranker.store import Interaction, Interactions

ROOT = Path(__file__).resolve().parents[2]
CHORES = {"test", "bench", "check"}


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> Collection:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, "tasks", raising=False)
    import tasks

    made: Collection = tasks.namespace
    return made


def words_of(namespace: Collection, monkeypatch: pytest.MonkeyPatch, *given: str) -> list[str]:
    seen: list[str] = []

    def note(words: list[str]) -> int:
        seen.extend(words)
        return 0

    monkeypatch.setattr(tasks_of_verbs, "main", note)
    Program(namespace=namespace).run(["inv", *given], exit=False)
    return seen


@pytest.mark.parametrize(
    ("given", "verb", "expected"),
    [
        (["apply", "--plan", "p.json", "--json"], "apply", {"plan": Path("p.json"), "json": True}),
        (["plan", "-e", "aws", "--detailed-exitcode"], "plan", {"environment": "aws", "detailed_exitcode": True}),
        (["search", "-x", "--size", "3"], "search", {"text": "-x", "size": 3}),
        (["search", "", "--image", "a.jpg"], "search", {"text": None, "image": Path("a.jpg"), "size": 10}),
        (["check-query", "-", "--offline"], "check-query", {"file": "-", "offline": True}),
        (["backfill", "c", "--vectors", "a", "--vectors", "b"], "backfill", {"vectors": [Path("a"), Path("b")]}),
        (["personalize", "forget", "--user", "ann", "--yes"], "personalize", {"user": "ann", "environment": "aws"}),
        (["deadletters", "show", "--of", "-7"], "deadletters", {"id": "-7"}),
        (["cluster", "--apply", "--dry-run"], "cluster", {"dry_run": True}),
        (["interactions", "--import", "f", "--prune", "9"], "interactions", {"file": Path("f"), "days": 9.0}),
    ],
)
def test_a_task_hands_its_options_to_the_verb(
    namespace: Collection, monkeypatch: pytest.MonkeyPatch, given: list[str], verb: str, expected: dict[str, object]
) -> None:
    words = words_of(namespace, monkeypatch, *given)
    assert words[:3] == [verb, "--config", str(ROOT / "neuralshelf.yaml")]
    found = vars(parser().parse_args(words))
    assert {key: found[key] for key in expected} == expected


def test_every_task_has_its_verb_and_says_what_it_does(namespace: Collection) -> None:
    names = set(namespace.task_names) - CHORES
    assert len(names) > 35
    for name in names:
        assert namespace[name].__doc__


def test_interactions_does_all_that_its_options_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEURALSHELF_STATE", str(tmp_path))
    store = Interactions(tmp_path / "interactions.db")
    store.add([Interaction(user, "mug", "view", time.time() - 86_400 * days) for user in "abc" for days in (1, 50)])
    store.close()
    words = ["interactions", "--config", str(ROOT / "neuralshelf.yaml")]
    assert main([*words, "--yes", "--forget", "a", "--prune", "30", "--export", str(tmp_path / "out.csv")]) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("6 interactions in")
    assert second == "2 interactions of a deleted"
    assert third == "2 interactions deleted"
    assert main(words) == main([*words, "status"]) == 0
    whole, part = capsys.readouterr().out.splitlines()
    assert whole == part
    assert whole.startswith("2 interactions of 2 people")
