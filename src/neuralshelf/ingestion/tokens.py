"""How long a text is to a model, without its tokenizer: flagged where a model cuts, refused where it would refuse.

Two counts stand in for the tokenizer. `estimate` is meant to be too high: up to four ASCII letters in a row are a token
and each further two another; each digit and each sign is one; any other character as many as it has bytes in UTF-8,
which byte-pair encoding can't exceed. Against WordPiece (MiniLM's) it is 1.4 times as much on the sample catalogue,
never less on English, and from 0.99 (Polish) to 4 times (Hindi) as much on other languages; tests/unit/test_tokens.py
measures that. Strings of random letters have more tokens than it says. `at_least` is too low for certain: no tokenizer
of these models joins words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from neuralshelf.connectors.spec import BedrockTitanMultimodal, ConnectorSpec
from neuralshelf.ingestion.admission import Refused
from neuralshelf.model_packages.server.limits import TITAN_MAX_CHARACTERS
from neuralshelf.pipelines.spec import IndexSpec

MARKS = 2  # tokens that say where a text begins and ends
_LETTERS = re.compile(r"[A-Za-z]+")
_SIGNS = re.compile(r"[!-@\[-`{-~]")
_OTHERS = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True)
class TextLimit:
    """What a model takes of a text.

    Attributes:
        tokens: begin and end mark included.
        strict: it refuses longer texts; others cut them.
    """

    tokens: int
    strict: bool = False


def text_limits(connectors: Mapping[str, ConnectorSpec], index: IndexSpec) -> dict[str, TextLimit]:
    """Vector -> limit of its model, for the vectors that are made of text."""
    made: dict[str, TextLimit] = {}
    for name, vector in index.vectors.items():
        if vector.text:
            connector = connectors[vector.connector]
            made[name] = TextLimit(connector.max_tokens, strict=isinstance(connector, BedrockTitanMultimodal))
    return made


def flag(text: str, limit: int) -> int | None:
    """Estimated tokens of a text that may be longer than `limit`; None when it is not."""
    if len(text) * 4 + MARKS <= limit:  # no character has more tokens than bytes
        return None
    tokens = estimate(text)
    return tokens if tokens > limit else None


def check(text: str, limit: TextLimit, name: str) -> int | None:
    """The same; a text that the model is sure to refuse is refused here, and one that may pass is for it to judge.

    Args:
        name: of the vector, for the refusal.

    Raises:
        Refused: TextTooLong.
    """
    if limit.strict:
        if len(text) > TITAN_MAX_CHARACTERS:
            cause = f"{name}: a text of {len(text)} characters; its model takes {TITAN_MAX_CHARACTERS}"
            raise Refused("TextTooLong", cause)
        if (words := at_least(text)) > limit.tokens:
            raise Refused("TextTooLong", f"{name}: a text of {words} words; its model takes {limit.tokens} tokens")
    return flag(text, limit.tokens)


def estimate(text: str) -> int:
    """Tokens of a text, rather too many than too few, with both marks."""
    words = sum(1 + max(0, len(word) - 3) // 2 for word in _LETTERS.findall(text))
    others = sum(len(run.encode("utf-8", "replace")) for run in _OTHERS.findall(text))
    return MARKS + words + len(_SIGNS.findall(text)) + others


def at_least(text: str) -> int:
    """Tokens that a text has for certain."""
    return len(text.split())
