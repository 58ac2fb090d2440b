"""The account of a run: what became of every row, and a letter for each document that did not get in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from neuralshelf.ingestion.checkpoint import Frontier, Progress
from neuralshelf.ingestion.documents import Document
from neuralshelf.ingestion.letters.deadletters import DeadLetters, Letter
from neuralshelf.ingestion.letters.letter import clean

_LETTERS = 200
_EXAMPLES = 3


@dataclass(frozen=True)
class Report:
    """What an ingest did. Counts are of the whole catalogue, an interrupted run before this one included.

    Attributes:
        rows: of the catalogue.
        documents: `indexed` + `dead_letters`, always; more than rows when products have several pictures.
        codes: cause class -> letters of this run.
        examples: some causes, a line each.
        notes: what was done to documents that were sent, or left out -> how many, in this run.
        resumed_after: row after which this run began; 0 for the beginning.
    """

    rows: int
    documents: int
    indexed: int
    dead_letters: int
    codes: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    resumed_after: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


class Account:
    """Rows come in by `open`, documents are settled by `indexed` and `letter`; `post` writes letters that wait.

    A row counts as settled only when its letters are written.
    """

    def __init__(self, source: str, letters: DeadLetters | None, start: Progress) -> None:
        """
        Args:
            source: the catalogue's name, for letters.
            letters: None writes none (a dry run).
            start: what an earlier run has settled.
        """
        self._source = source
        self._letters = letters
        self._start = start
        self._frontier = Frontier(start)
        self._waiting: list[Letter] = []
        self._codes: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    @property
    def settled(self) -> Progress:
        """Up to which row, and what came of it."""
        return self._frontier.progress

    def open(self, line: int, documents: int = 1) -> None:
        """A row was read that makes so many documents, or none but a letter."""
        self._frontier.add(line, documents)

    def indexed(self, documents: Iterable[Document]) -> None:
        """They are in, with their vectors: letters about them go."""
        done = list(documents)
        if self._letters is not None:
            lines = {document.line for document in done}
            self._letters.settled([document.id for document in done], source=self._source, lines=lines)
        for document in done:
            self._frontier.done(document.line, dead=False)

    def refused_row(self, line: int, identity: str | None, cause: str) -> None:
        """A row that is no product."""
        self._write(Letter(identity, "BadLine", cause, attempts=0, source=self._source, line=line))

    def letter(self, document: Document, code: str, cause: str, attempts: int) -> None:
        """A document that does not get in."""
        self._write(
            Letter(
                document.id,
                code,
                cause,
                attempts=attempts,
                source=self._source,
                line=document.line,
                document=dict(document.fields),
                pictures=(document.picture.name,) if document.picture else (),
            )
        )

    def post(self) -> None:
        """Write the letters that wait; raises EngineError when that can't be done."""
        if self._waiting and self._letters is not None:
            self._letters.put(self._waiting)
        for letter in self._waiting:
            assert letter.line is not None
            self._frontier.done(letter.line, dead=True)
        self._waiting.clear()

    def report(self, rows: int, seconds: float) -> Report:
        """What has become of all rows."""
        return Report(
            rows=rows,
            documents=self.settled.indexed + self.settled.dead_letters,
            indexed=self.settled.indexed,
            dead_letters=self.settled.dead_letters,
            codes=dict(self._codes.most_common()),
            examples=[line for lines in self._examples.values() for line in lines],
            resumed_after=self._start.row,
            seconds=round(seconds, 3),
        )

    def _write(self, letter: Letter) -> None:
        self._codes[letter.code] += 1
        examples = self._examples.setdefault(letter.code, [])
        if len(examples) < _EXAMPLES:
            name = f" ({letter.document_id})" if letter.document_id else ""
            examples.append(f"row {letter.line}{name}: {letter.code}: {clean(letter.cause, 200)}")
        self._waiting.append(letter)
        if len(self._waiting) >= _LETTERS:
            self.post()
