"""A prompt as Grounding DINO reads it, and the words of it that a box answers to."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from neuralshelf.model_packages.grounding_dino.contract import terms
from neuralshelf.model_packages.server.jsonbody import malformed

FILE = "tokenizer.json"
STOP = "."


@dataclass(frozen=True)
class Caption:
    """A prompt in tokens.

    Attributes:
        ids: of the tokens, [CLS] and [SEP] among them.
        words: the word each token is a part of, by its place in `texts`; None for [CLS], [SEP] and full stops.
        texts: the words.
    """

    ids: list[int]
    words: list[int | None]
    texts: list[str]

    def phrase(self, shares: NDArray[np.float32], threshold: float) -> str:
        """The words with a token above `threshold`, whole and in order; "" if there is none.

        Args:
            shares: how much the box answers to each token, 0 to 1, shape (tokens,).
        """
        above = {
            word for word, share in zip(self.words, shares, strict=False) if word is not None and share > threshold
        }
        return " ".join(self.texts[word] for word in sorted(above))


class Captioner:
    """BERT's WordPiece tokens (Devlin et al., 2018), of at most `longest` a prompt."""

    def __init__(self, tokenizer: Tokenizer, longest: int) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._longest = longest

    @classmethod
    def load(cls, folder: Path, longest: int) -> "Captioner":
        """Raises: ValueError: there is no tokenizer.json, or it can't be read."""
        path = folder / FILE
        if not path.is_file():
            raise ValueError(f"{path}: no such file; put the model's tokenizer.json into the archive")
        return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")), longest)

    def caption(self, prompt: str) -> Caption:
        """Terms with full stops between and behind them: the model sees no term in the light of another.

        Raises:
            InputRefused: more tokens than the model was trained with.
        """
        text = "".join(f"{term} {STOP} " for term in terms(prompt)).encode("utf-8", "replace").decode("utf-8")
        read = self._tokenizer.encode(text)
        if len(read.ids) > self._longest:
            raise malformed(f"#/prompt: expected at most {self._longest} tokens, found: {len(read.ids)}")
        return Caption(read.ids, *_words(text, read.offsets, read.special_tokens_mask))


def _words(text: str, offsets: Sequence[tuple[int, int]], special: Sequence[int]) -> tuple[list[int | None], list[str]]:
    """Which word between spaces each token lies in, and the words."""
    found = list(re.finditer(r"\S+", text))
    texts = [word.group() for word in found]
    starts = [word.start() for word in found]
    places = [bisect_right(starts, start) - 1 for start, _ in offsets]
    words = [None if mark or texts[place] == STOP else place for place, mark in zip(places, special, strict=True)]
    return words, texts
