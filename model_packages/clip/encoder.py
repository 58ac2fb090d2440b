"""Texts, pictures or both to unit vectors of one space, with any CLIP architecture that open_clip knows.

text    = unit(text tower(prompt with the text in it))
picture = unit(image tower(resized, cropped, normalised))
both    = unit(text + picture)
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip import CLIP, CoCa, CustomTextCLIP
from open_clip.factory import load_checkpoint
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from safetensors import SafetensorError

from neuralshelf.model_packages.clip.tokens import Tokens
from neuralshelf.model_packages.clip.tokens import load as load_tokens
from neuralshelf.model_packages.encoder import Sample

CONFIG = "open_clip_config.json"
OPTIONS = "neuralshelf.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
RECIPE = "clip-1"
PLACE = "{}"
"""Where the text stands in a prompt."""

_OF_TEXT_TOWERS = ("config.json", "tokenizer.json")  # of transformers, where a model has one of its
_AT_ONCE = 32
_LONGEST = 16  # times its width (or height) that a picture's middle is cropped to, before it is resized

Floats = NDArray[np.float32]


class ModelFilesError(ValueError):
    """A model folder that can't be loaded; one line with the file and the next step."""


class ClipEncoder:
    """A CLIP model. A sample's vector depends on nothing but the sample; float32 sums differ by some 1e-7 with the
    number of samples in a call."""

    name = "clip"

    def __init__(
        self, model: Any, tokens: Tokens, config: Mapping[str, Any], *, prompt: str, fingerprint: str, device: str
    ) -> None:
        """`config`: what CONFIG holds."""
        self.default_dimension = int(config["model_cfg"]["embed_dim"])
        self.dimensions = (self.default_dimension,)
        self.fingerprint = fingerprint
        self._model = model.to(device)
        self._device = device
        self._tokens = tokens
        self._prompt = prompt
        self._look = _preprocessing(model, config)

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> Self:
        """The model of a folder: `open_clip_config.json` as open_clip writes it, one of WEIGHTS, the tokenizer's files
        if it is not CLIP's own, and `neuralshelf.json` (`{"prompt": "this is {}"}`) if texts shall stand in a prompt.

        Nothing is fetched, and no pickle is read.

        Args:
            device: of torch; None takes a GPU if there is one.

        Raises:
            ModelFilesError: a file is missing or wrong.
        """
        config = _json(folder / CONFIG)
        prompt = _prompt(folder)
        torch.backends.cudnn.allow_tf32 = False  # a GPU's convolutions of 10 bits differ with the batch
        recipe = json.dumps([RECIPE, config, prompt], sort_keys=True).encode()
        return cls(
            _model(folder, config),
            load_tokens(folder),
            config,
            prompt=prompt,
            fingerprint=_fingerprint(recipe, [_weights_path(folder), *map(folder.joinpath, _OF_TEXT_TOWERS)]),
            device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
        )

    def encode(self, samples: Sequence[Sample], dimension: int) -> Floats:
        """See Encoder.encode."""
        if dimension != self.default_dimension:
            raise ValueError(f"this model gives {self.default_dimension} dimensions, not {dimension}")
        if any(sample.text is None and sample.image is None for sample in samples):
            raise ValueError("a sample needs a text, a picture, or both")
        vectors = np.zeros((len(samples), dimension), np.float32)
        with torch.inference_mode():
            texts = [(row, sample.text) for row, sample in enumerate(samples) if sample.text is not None]
            _add(vectors, texts, self._words)
            images = [(row, sample.image) for row, sample in enumerate(samples) if sample.image is not None]
            _add(vectors, images, self._pictures)
        return _unit(vectors)

    def count_tokens(self, text: str) -> int:
        """See Encoder.count_tokens; the prompt is not counted."""
        return self._tokens.count(text)

    def _words(self, texts: Sequence[str]) -> Floats:
        ids = self._tokens.ids([self._prompt.replace(PLACE, text) for text in texts])
        return _rows(self._model.encode_text(torch.from_numpy(ids).to(self._device)))

    def _pictures(self, images: Sequence[NDArray[np.uint8]]) -> Floats:
        looks = torch.stack([self._look(_middle(image)) for image in images])
        return _rows(self._model.encode_image(looks.to(self._device)))


def _add(vectors: Floats, numbered: Sequence[tuple[int, Any]], tower: Callable[[Sequence[Any]], Floats]) -> None:
    """To each row its input's unit vector, some inputs at a time."""
    for start in range(0, len(numbered), _AT_ONCE):
        part = numbered[start : start + _AT_ONCE]
        vectors[[row for row, _ in part]] += _unit(tower([given for _, given in part]))


def _middle(image: NDArray[np.uint8]) -> Image.Image:
    """The picture, or the middle of one that is very long: resized to its short side, it would need gigabytes, and the
    models see the middle square only."""
    height, width, _ = image.shape
    most = _LONGEST * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    return Image.fromarray(np.ascontiguousarray(image[top : top + most, left : left + most]))


def _model(folder: Path, config: Mapping[str, Any]) -> Any:
    """The architecture, as `open_clip.create_model` makes it, which would load a pickle too; then the weights."""
    settings = deepcopy(dict(config["model_cfg"]))
    text = settings["text_cfg"]
    own_text_tower = settings.pop("custom_text", False) or "hf_model_name" in text
    if "hf_model_name" in text:  # a text tower of transformers: its config.json is beside ours
        text |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
    if "timm_model_name" in settings["vision_cfg"]:
        settings["vision_cfg"]["timm_model_pretrained"] = False
    joint: Any = CoCa if "multimodal_cfg" in settings else CustomTextCLIP
    model = (joint if own_text_tower else CLIP)(**settings)
    path = _weights_path(folder)
    try:
        load_checkpoint(model, str(path))
    except (RuntimeError, KeyError, SafetensorError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise ModelFilesError(f"{path}: not the weights of {CONFIG}: {reason}; next: give the matching pair") from None
    return model.eval()


def _preprocessing(model: Any, config: Mapping[str, Any]) -> Callable[[Image.Image], torch.Tensor]:
    given = merge_preprocess_dict(PreprocessCfg(), config.get("preprocess_cfg", {}))
    settings = PreprocessCfg(**given | {"size": model.visual.image_size})
    transform: Callable[[Image.Image], torch.Tensor] = image_transform_v2(settings, is_train=False)
    return transform


def _weights_path(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    step = "convert the weights with python -m neuralshelf.model_packages.clip.convert"
    raise ModelFilesError(f"{folder}: holds none of {', '.join(WEIGHTS)}; next: {step}")


def _prompt(folder: Path) -> str:
    path = folder / OPTIONS
    if not path.exists():
        return PLACE
    prompt = _json(path).get("prompt", PLACE)
    if not isinstance(prompt, str) or prompt.count(PLACE) != 1:
        raise ModelFilesError(f'{path}: prompt must be a text with one {PLACE} in it; next: write "this is {PLACE}"')
    return prompt


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as fault:
        raise ModelFilesError(f"{path}: {fault.strerror}; next: put it beside the weights") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelFilesError(f"{path}: not a JSON object; next: write it again")
    return found


def _rows(features: Any) -> Floats:
    return np.asarray(features.float().cpu().numpy(), np.float32)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)


def _fingerprint(recipe: bytes, files: Sequence[Path]) -> str:
    """Of what is in `files`, whatever they are called; some may not be there."""
    digest = hashlib.sha256(recipe)
    for path in files:
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        else:
            digest.update(bytes(32))
    return digest.hexdigest()[:16]
