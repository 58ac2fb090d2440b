"""Is the new generation as good as the old one? Both are asked the same questions before anything is swapped."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from neuralshelf.errors import InputError, ProvisionError

Json = Any
DEPTH = 10
SAMPLE = 100
TOLERANCE = 0.02


@dataclass(frozen=True)
class Question:
    """A search with the ids of the documents that answer it; `image` is base64."""

    text: str | None
    image: str | None
    relevant: frozenset[str]


@dataclass(frozen=True)
class Quality:
    """Means over all questions.

    Attributes:
        recall: share of the relevant documents (of 10 at most) among the first 10 hits.
        reciprocal_rank: 1 ÷ rank of the first relevant hit, 0 without one.
        top_score: of the first hit.
    """

    recall: float
    reciprocal_rank: float
    top_score: float


@dataclass(frozen=True)
class Verdict:
    """Both generations on the same questions; `kind` is sampled or judged."""

    kind: str
    questions: int
    old: Quality
    new: Quality
    tolerance: float

    @property
    def worse(self) -> bool:
        """Whether the new one finds less than it may."""
        return self.new.recall < self.old.recall - self.tolerance

    def as_dict(self) -> Json:
        """For `--json`."""
        return asdict(self) | {"worse": self.worse}

    def table(self) -> str:
        """For people."""
        rows = [("recall@10", "recall"), ("reciprocal rank", "reciprocal_rank"), ("mean top score", "top_score")]
        lines = [f"{f'{self.questions} {self.kind} queries':<22} {'old':>7} {'new':>7}"]
        for title, name in rows:
            lines.append(f"{title:<22} {getattr(self.old, name):>7.3f} {getattr(self.new, name):>7.3f}")
        return "\n".join(lines)


def judge(
    client: OpenSearch,
    questions: Sequence[Question],
    *,
    kind: str,
    old: tuple[str, Json],
    new: tuple[str, Json],
    tolerance: float = TOLERANCE,
) -> Verdict:
    """Ask both.

    Args:
        old, new: index and the script of the stored template that searches it.
    """
    for index in (old[0], new[0]):
        client.indices.refresh(index=index)
    measured = [_measure(client, index, script, questions) for index, script in (old, new)]
    return Verdict(kind, len(questions), measured[0], measured[1], tolerance)


def sampled(client: OpenSearch, index: str, field: str, *, number: int = SAMPLE, seed: int = 0) -> list[Question]:
    """Documents picked at random: each has to be found by the text of one of its fields.

    Raises:
        ProvisionError: no document has that field.
    """
    body = {
        "size": number,
        "_source": [field],
        "query": {
            "function_score": {
                "query": {"exists": {"field": field}},
                "random_score": {"seed": seed or random.randrange(1 << 30), "field": "_seq_no"},  # noqa: S311
            }
        },
    }
    hits = client.search(index=index, body=body, params={"search_pipeline": "_none"})["hits"]["hits"]
    questions = [
        Question(text.strip(), None, frozenset([hit["_id"]]))
        for hit in hits
        if isinstance(text := hit["_source"].get(field), str) and text.strip()
    ]
    if not questions:
        raise ProvisionError(f"no document of {index} has a {field} to search by", hint="give --queries FILE.jsonl")
    return questions


def judged(path: Path, picture: Any) -> list[Question]:
    """Lines {"text": …, "image": path, "relevant": [ids]}; text or image may be missing.

    Args:
        picture: path of a picture beside the file -> base64.

    Raises:
        InputError: the file can't be read, or a line is no such question.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"queries {path} can't be read ({fault})", hint="give the path of a .jsonl file") from None
    questions = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                questions.append(_question(json.loads(line), path, picture))
            except (ValueError, TypeError, AttributeError) as fault:
                raise InputError(
                    f"{path} line {number}: {fault}", hint='{"text": "…", "relevant": ["id", …]}'
                ) from None
    if not questions:
        raise InputError(f"queries {path} holds none", hint='{"text": "…", "relevant": ["id", …]} a line')
    return questions


def _question(row: Mapping[str, Any], path: Path, picture: Any) -> Question:
    relevant = row.get("relevant")
    if not isinstance(relevant, list) or not relevant:
        raise ValueError("relevant must be a list of ids")
    text, image = row.get("text") or None, row.get("image") or None
    if text is None and image is None:
        raise ValueError("give text, image, or both")
    for value in (text, image):
        if value is not None and not isinstance(value, str):
            raise ValueError("text and image must be strings")
    found = None if image is None else picture((path.parent / image).resolve())
    return Question(text, found, frozenset(map(str, relevant)))


def _measure(client: OpenSearch, index: str, script: Json, questions: Sequence[Question]) -> Quality:
    recall = rank = top = 0.0
    for question in questions:
        params: dict[str, Any] = {"size": DEPTH}
        if question.text is not None:
            params["text"] = question.text
        if question.image is not None:
            params["image"] = question.image
        body = {"source": script["source"], "params": params}
        rendered = client.transport.perform_request("POST", "/_render/template", body=body)["template_output"]
        hits = client.search(index=index, body=rendered)["hits"]["hits"]
        found = [hit["_id"] in question.relevant for hit in hits]
        recall += sum(found) / min(DEPTH, len(question.relevant))
        rank += next((1 / place for place, right in enumerate(found, start=1) if right), 0.0)
        top += float(hits[0]["_score"] or 0) if hits else 0.0
    number = len(questions)
    return Quality(recall / number, rank / number, top / number)
