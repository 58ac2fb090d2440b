"""Texts to unit vectors with a BERT of transformers: all-MiniLM-L6-v2 (Reimers and Gurevych, Sentence-BERT, 2019).

The same model as `encoder`, in full precision and in batches: what runs on SageMaker.
"""

import hashlib
import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from neuralshelf.model_packages.encoder import Sample

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
MAX_TOKENS = 256
"""What all-MiniLM-L6-v2 was made for (its model card), begin and end mark included."""

RECIPE = "minilm-torch-1"
_AT_ONCE = 32
_NOT_NEEDED = ("pooler.", "embeddings.position_ids")

Floats = NDArray[np.float32]


class Pooling(StrEnum):
    """How the vectors of tokens become that of a text."""

    MEAN = "mean"
    FIRST_TOKEN = "first-token"  # noqa: S105 - no password


class ModelFilesError(ValueError):
    """A model folder that can't be loaded; one line with the file and the next step."""


class BertEncoder:
    """A sentence encoder. A text's vector depends on the text alone; float32 sums differ by some 1e-7 with the texts
    beside it."""

    name = "minilm"

    def __init__(self, model: Any, tokenizer: Tokenizer, pooling: Pooling, fingerprint: str, device: str) -> None:
        self.default_dimension = int(model.config.hidden_size)
        self.dimensions = (self.default_dimension,)
        self.fingerprint = fingerprint
        self._model = model.to(device)
        self._device = device
        self._tokenizer = tokenizer
        self._pooling = pooling
        self._most = min(MAX_TOKENS, int(model.config.max_position_embeddings))
        self._padding = int(model.config.pad_token_id or 0)

    @classmethod
    def load(cls, folder: Path, pooling: Pooling = Pooling.MEAN, device: str | None = None) -> Self:
        """The model of a folder with config.json, model.safetensors and tokenizer.json; nothing is fetched.

        Args:
            device: of torch; None takes a GPU if there is one.

        Raises:
            ModelFilesError: a file is missing or wrong.
        """
        for name in (CONFIG, WEIGHTS, TOKENIZER):
            if not (folder / name).is_file():
                raise ModelFilesError(f"{folder}: {name} is missing; next: put it beside the others")
        words = (folder / TOKENIZER).read_bytes()
        tokenizer = Tokenizer.from_buffer(words)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        config = json.loads((folder / CONFIG).read_bytes())
        digest = hashlib.sha256(f"{RECIPE} {pooling} {json.dumps(config, sort_keys=True)}".encode() + words)
        with (folder / WEIGHTS).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        found = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(_model(folder / WEIGHTS, config), tokenizer, pooling, digest.hexdigest()[:16], found)

    def encode(self, samples: Sequence[Sample], dimension: int) -> Floats:
        """See Encoder.encode; pictures are refused."""
        if dimension != self.default_dimension:
            raise ValueError(f"this model gives {self.default_dimension} dimensions, not {dimension}")
        texts = [sample.text for sample in samples if sample.text is not None and sample.image is None]
        if len(texts) < len(samples):
            raise ValueError("minilm takes text only")
        tokens = [
            self._cut(encoded.ids) for encoded in self._tokenizer.encode_batch([_unicode(text) for text in texts])
        ]
        vectors = np.empty((len(texts), dimension), np.float32)
        by_length = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))  # so that little is padded
        for start in range(0, len(by_length), _AT_ONCE):
            rows = by_length[start : start + _AT_ONCE]
            vectors[rows] = self._embed([tokens[row] for row in rows])
        return vectors

    def count_tokens(self, text: str) -> int:
        """See Encoder.count_tokens."""
        return len(self._tokenizer.encode(_unicode(text), add_special_tokens=False).ids)

    def _cut(self, tokens: list[int]) -> list[int]:
        return tokens if len(tokens) <= self._most else [*tokens[: self._most - 1], tokens[-1]]  # the last closes it

    def _embed(self, tokens: Sequence[Sequence[int]]) -> Floats:
        longest = max(len(row) for row in tokens)
        ids = torch.tensor([[*row, *[self._padding] * (longest - len(row))] for row in tokens], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens], device=self._device)
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
            if self._pooling is Pooling.FIRST_TOKEN:
                pooled = states[:, 0]
            else:
                shares = mask.unsqueeze(-1).to(states.dtype)
                pooled = (states * shares).sum(1) / shares.sum(1)
            unit = torch.nn.functional.normalize(pooled.float(), dim=-1)
        return np.asarray(unit.cpu().numpy(), np.float32)


def _model(weights: Path, config: dict[str, Any]) -> Any:
    model: Any = BertModel(BertConfig.from_dict(config), add_pooling_layer=False)
    try:
        missing, unexpected = model.load_state_dict(load_file(weights), strict=False)
    except (RuntimeError, SafetensorError) as fault:
        missing, unexpected = [" ".join(str(fault).split())[:200]], []
    wrong = [*missing, *(name for name in unexpected if not name.startswith(_NOT_NEEDED))]
    if wrong:
        raise ModelFilesError(f"{weights}: not the weights of {CONFIG}: {wrong[0]}; next: give the matching pair")
    return model.eval()


def _unicode(text: str) -> str:
    """Lone surrogates are no Unicode text and would be refused by the tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")
