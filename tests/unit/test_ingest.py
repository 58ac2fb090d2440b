"""The run itself, with a cluster that is scripted: every row is accounted for, whatever the answers."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.bulk import MAX_ATTEMPTS, Failure
from neuralshelf.errors import EngineError, NeuralshelfError, ProvisionError
from neuralshelf.ingestion import ingest as module
from neuralshelf.ingestion.account import Report
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.checkpoint import Checkpoint, Progress
from neuralshelf.ingestion.ingest import Ingest
from neuralshelf.ingestion.letters.letter import Letter
from neuralshelf.ingestion.sender import Item, Sent
from neuralshelf.ingestion.sources.pictures import PictureFile
from neuralshelf.pipelines.spec import IndexSpec

INDEX = IndexSpec.parse(
    {"name": "shop", "fields": {"title": "text"}, "vectors": {"text_vector": {"connector": "text", "text": ["title"]}}},
    "",
)
THROTTLED = Failure(429, "remote_connector_throttling_exception", "slow down")
BROKEN = Failure(500, "status_exception", "Error communicating with remote model")
WRONG = Failure(400, "mapper_parsing_exception", "failed to parse field [price] of type [float]")
SAID_NO = Failure(400, "status_exception", "Error from remote service: bad input")
BLOCKED = Failure(403, "cluster_block_exception", "index [shop] blocked by: [FORBIDDEN/12/index read-only]")
UNREACHABLE = Failure(503, "unreachable", "Connection refused")

Answer = Callable[[Item, Sequence[Item]], Failure | Refused | None]


class Cluster:
    """Takes bulks; what it says of each document is up to `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.indexed: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, items: Sequence[Item]) -> Sent:
        failed: dict[str, Failure] = {}
        refused: dict[str, Refused] = {}
        with self._lock:
            for item in items:
                identity = item.document.id
                self.sent[identity] += 1
                said = self.answer(item, items)
                if isinstance(said, Failure):
                    failed[identity] = said
                elif said is not None:
                    refused[identity] = said
                else:
                    self.indexed[identity] += 1
        return Sent(items, failed, refused, 0.01)


class Letters:
    """Keeps letters in memory."""

    def __init__(self) -> None:
        self.written: dict[str, Letter] = {}

    def put(self, letters: Iterable[Letter]) -> None:
        for letter in letters:
            self.written[letter.document_id or f"row {letter.line}"] = letter

    def settled(self, ids: Iterable[str] = (), *, source: str = "", lines: Iterable[int] = ()) -> int:
        return sum(self.written.pop(identity, None) is not None for identity in ids)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pause", lambda attempt: 0.001)


def rows(count: int, bad: Iterable[int] = (), start: int = 1) -> Iterator[Product | BadLine]:
    wrong = set(bad)
    for number in range(start, count + 1):
        if number in wrong:
            yield BadLine(number, None, "not JSON")
        else:
            yield Product(number, f"p{number}", {"title": "teapot"}, ())


def run(cluster: Cluster, letters: Letters, count: int, bad: Iterable[int] = (), **parts: Any) -> Report:
    start: Progress = parts.get("start", Progress())
    made = Ingest(cluster, INDEX, "shop.jsonl", letters=letters, **parts)  # type: ignore[arg-type]
    return made.run(rows(count, bad, start.row + 1), total=count)


@pytest.fixture
def chance() -> random.Random:
    """Another one each time; pytest shows the seed when a test fails."""
    seed = random.randrange(2**32)
    print("seed", seed)
    return random.Random(seed)


@pytest.mark.parametrize("attempt", range(5))
def test_whatever_is_answered_every_row_is_indexed_once_or_has_one_letter(attempt: int, chance: random.Random) -> None:
    said: list[Failure | Refused | None] = [
        THROTTLED,
        BROKEN,
        WRONG,
        SAID_NO,
        UNREACHABLE,
        Refused("Empty", "no bytes"),
    ]
    weights = [1.0] * len(said)
    cluster = Cluster(lambda item, items: chance.choices(said, weights)[0] if chance.random() < 0.3 else None)
    letters = Letters()
    bad = set(chance.sample(range(1, 2001), 20))
    report = run(cluster, letters, 2000, bad)
    assert report.documents == report.indexed + report.dead_letters == 2000
    assert set(cluster.indexed.values()) == {1}
    wanted = {f"p{number}" for number in range(1, 2001) if number not in bad} | {f"row {number}" for number in bad}
    assert cluster.indexed.keys() | letters.written.keys() == wanted
    assert len(cluster.indexed) + len(letters.written) == 2000
    assert sum(report.codes.values()) == report.dead_letters


def test_an_item_that_may_pass_is_sent_six_times_and_others_once() -> None:
    cluster = Cluster(lambda item, items: BROKEN if item.document.id == "p7" else None)
    letters = Letters()
    run(cluster, letters, 300)
    assert cluster.sent["p7"] == MAX_ATTEMPTS
    assert {count for identity, count in cluster.sent.items() if identity != "p7"} == {1}
    assert letters.written["p7"].attempts == MAX_ATTEMPTS


def test_what_can_never_pass_is_sent_once() -> None:
    cluster = Cluster(lambda item, items: WRONG if item.document.id == "p7" else None)
    letters = Letters()
    run(cluster, letters, 300)
    assert cluster.sent["p7"] == 1
    assert letters.written["p7"].code == "mapper_parsing_exception"


def test_batch_mates_of_a_document_that_the_model_refuses_get_in() -> None:
    cluster = Cluster(lambda item, items: SAID_NO if any(other.document.id == "p7" for other in items) else None)
    letters = Letters()
    report = run(cluster, letters, 300)
    assert report.dead_letters == 1
    assert letters.written.keys() == {"p7"}


def test_a_model_that_is_away_stops_the_run_without_a_letter() -> None:
    def alive() -> None:
        raise ProvisionError("model shop-text-ingest does not answer", hint="neuralshelf doctor")

    cluster = Cluster(lambda item, items: BROKEN if int(item.document.id[1:]) > 100 else None)
    letters = Letters()
    with pytest.raises(NeuralshelfError, match=r"does not answer.*then run it again"):
        run(cluster, letters, 5000, alive=alive)
    assert letters.written == {}


def test_pictures_that_get_in_are_no_sign_that_the_model_of_texts_is_there() -> None:
    def alive() -> None:
        raise ProvisionError("model shop-text-ingest does not answer", hint="neuralshelf doctor")

    def mixed(row: int) -> Product:
        words = {"title": "teapot"} if row % 2 else {}
        return Product(row, f"p{row}", words, () if row % 2 else (PictureFile(Path(), "p.jpg"),))

    index = IndexSpec.parse(
        {
            "name": "shop",
            "fields": {"title": "text"},
            "vectors": {
                "text_vector": {"connector": "text", "text": ["title"]},
                "image_vector": {"connector": "picture", "image": "image"},
            },
        },
        "",
    )
    cluster = Cluster(lambda item, items: BROKEN if item.document.fields and item.document.line > 100 else None)
    letters = Letters()
    made = Ingest(cluster, index, "shop.jsonl", letters=letters, alive=alive)  # type: ignore[arg-type]
    with pytest.raises(NeuralshelfError, match="does not answer"):
        made.run(map(mixed, range(1, 5001)), total=5000)
    assert letters.written == {}


def test_a_model_that_answers_makes_letters_of_what_it_fails_on() -> None:
    asked = itertools.count()
    cluster = Cluster(lambda item, items: BROKEN)
    letters = Letters()
    report = run(cluster, letters, 20, alive=lambda: next(asked))
    assert report.dead_letters == 20
    assert next(asked) > 0, "nobody asked the model"


def test_a_cluster_that_is_away_is_waited_for_and_no_attempt_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    back = time.monotonic() + 0.5
    cluster = Cluster(lambda item, items: UNREACHABLE if time.monotonic() < back else None)
    assert run(cluster, Letters(), 200).indexed == 200
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    letters = Letters()
    with pytest.raises(EngineError, match="no answer from OpenSearch"):
        run(Cluster(lambda item, items: UNREACHABLE), letters, 200)
    assert letters.written == {}


def test_an_index_that_takes_no_writes_stops_the_run_at_once() -> None:
    letters = Letters()
    cluster = Cluster(lambda item, items: BLOCKED)
    with pytest.raises(EngineError, match="takes no writes"):
        run(cluster, letters, 5000)
    assert letters.written == {}
    assert max(cluster.sent.values()) == 1


def test_a_letter_that_cannot_be_written_stops_the_run_before_its_row_counts(tmp_path: Path) -> None:
    class Full(Letters):
        def put(self, letters: Iterable[Letter]) -> None:
            raise EngineError("can't write dead letters", hint="free disk space")

    (tmp_path / "shop.jsonl").write_text("{}")
    checkpoint = Checkpoint(tmp_path, tmp_path / "shop.jsonl", "uuid").open()
    cluster = Cluster(lambda item, items: WRONG if item.document.id == "p3" else None)
    with pytest.raises(EngineError, match="can't write dead letters"):
        run(cluster, Full(), 100, checkpoint=checkpoint)
    assert checkpoint.load().row < 3


@pytest.mark.parametrize("attempt", range(3))
def test_stopped_anywhere_the_next_run_ends_as_one_that_was_never_stopped(
    attempt: int, tmp_path: Path, chance: random.Random
) -> None:
    (tmp_path / "shop.jsonl").write_text("{}")
    letters = Letters()
    indexed: set[str] = set()
    bad = set(chance.sample(range(1, 1001), 30))
    poison = {f"p{number}" for number in chance.sample(range(1, 1001), 30)}

    def answer(item: Item, items: Sequence[Item]) -> Failure | None:
        if chance.random() < 0.003:
            raise EngineError("stopped", hint="go on")
        return WRONG if item.document.id in poison else None

    for _ in range(200):
        checkpoint = Checkpoint(tmp_path, tmp_path / "shop.jsonl", "uuid").open()
        cluster = Cluster(answer)
        try:
            report = run(cluster, letters, 1000, bad, checkpoint=checkpoint, start=checkpoint.load())
        except EngineError:
            indexed |= cluster.indexed.keys()
            continue
        indexed |= cluster.indexed.keys()
        break
    else:
        pytest.fail("it never comes to an end")
    assert report.documents == 1000
    assert report.dead_letters == len(letters.written)
    assert len(indexed) + len(letters.written) == 1000
    assert checkpoint.load() == Progress()


def test_while_many_wait_to_be_sent_again_no_new_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pause", lambda attempt: 0.1)
    monkeypatch.setattr(module, "MOST_WAITING", 200)
    most = 0
    made: Ingest

    def answer(item: Item, items: Sequence[Item]) -> Failure:
        nonlocal most
        most = max(most, len(made._waiting))
        return BROKEN

    made = Ingest(Cluster(answer), INDEX, "shop.jsonl", letters=Letters())  # type: ignore[arg-type]
    made.run(rows(1000), total=1000)
    assert 200 <= most < 500
