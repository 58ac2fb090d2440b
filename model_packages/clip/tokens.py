"""Texts to the token ids of a CLIP model, from files alone.

open_clip's own byte-pair encoder takes a second for a thousand letters without a space, and keeps every word it has
seen. Here the same merges are run by the `tokenizers` library, and the ids are the same
(tests/model_packages/test_clip_tokens.py).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import open_clip
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

_END_OF_WORD = "</w>"


class Tokens(Protocol):
    """The tokenizer of one model."""

    def ids(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Ids of shape (len(texts), context length), begin and end marked, longer texts cut."""
        ...

    def count(self, text: str) -> int:
        """Tokens before the cut, the marks not counted."""
        ...


def load(folder: Path) -> Tokens:
    """What `open_clip_config.json` in `folder` names: CLIP's byte pairs, which come with open_clip, or a tokenizer of
    transformers, whose files must be in the folder."""
    found = open_clip.get_tokenizer(f"local-dir:{folder}")
    return BytePairs(found) if isinstance(found, SimpleTokenizer) else Pretrained(found)


class BytePairs:
    """CLIP's own tokenizer. A text that spells a mark, such as <end_of_text>, has the tokens of its letters: it can't
    end itself."""

    def __init__(self, simple: SimpleTokenizer) -> None:
        self._clean = simple.clean_fn
        self._words = simple.pat
        self._begin, self._end = simple.sot_token_id, simple.eot_token_id
        self._length = int(simple.context_length)
        marks = {self._begin, self._end}
        vocabulary = {token: number for token, number in simple.encoder.items() if number not in marks}
        merges = sorted(simple.bpe_ranks, key=simple.bpe_ranks.__getitem__)
        pairs = models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=_END_OF_WORD)
        self._pairs = Tokenizer(pairs)
        self._pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)

    def ids(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """See Tokens.ids; what is left is zero."""
        rows = np.zeros((len(texts), self._length), np.int64)
        for row, text in zip(rows, texts, strict=True):
            marked = [self._begin, *self._encode(text)[: self._length - 2], self._end]
            row[: len(marked)] = marked
        return rows

    def count(self, text: str) -> int:
        """See Tokens.count."""
        return len(self._encode(text))

    def _encode(self, text: str) -> list[int]:
        words = self._words.findall(self._clean(_unicode(text)))
        return list(self._pairs.encode(words, is_pretokenized=True, add_special_tokens=False).ids)


class Pretrained:
    """A tokenizer of transformers, as models of other makers than OpenAI have it."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def ids(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """See Tokens.ids."""
        return np.asarray(self._wrapped([_unicode(text) for text in texts]), np.int64)

    def count(self, text: str) -> int:
        """See Tokens.count."""
        cleaned = self._wrapped.clean_fn(_unicode(text))
        return len(self._wrapped.tokenizer(cleaned, add_special_tokens=False, verbose=False)["input_ids"])


def _unicode(text: str) -> str:
    """Lone surrogates are no Unicode text and would be refused by the tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")
