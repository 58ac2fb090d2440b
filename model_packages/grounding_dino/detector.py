"""Grounding DINO (Liu et al., 2023, arXiv:2303.05499) as a detector: boxes of what a prompt names."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuralshelf.model_packages import recipe
from neuralshelf.model_packages.grounding_dino.contract import LONGER_SIDE, SCALE, Box, Detection, Picture
from neuralshelf.model_packages.grounding_dino.tokens import Captioner

if TYPE_CHECKING:
    from transformers import GroundingDinoForObjectDetection

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MEAN = np.asarray([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.asarray([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pictures, red, green and blue, in 0 to 1; what the model was trained with (IDEA-Research)."""


@dataclass(frozen=True)
class Recipe:
    """recipe.json, in pixels but for `scale`.

    Attributes:
        short_side: what the shorter side of a picture is resized to,
        long_side: unless the longer one became more than this.
        scale: see `contract.answer`.
        longer_side: of a crop.
    """

    short_side: int = 800
    long_side: int = 1333
    scale: float = SCALE
    longer_side: int = LONGER_SIDE


class GroundingDino:
    """The model of a folder: `config.json`, `model.safetensors`, `tokenizer.json`; `recipe.json` if there is one."""

    def __init__(self, model: "GroundingDinoForObjectDetection", captioner: Captioner, given: Recipe) -> None:
        self._model = model
        self._captioner = captioner
        self.recipe = given

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> Self:
        """Read the model, on a GPU where there is one. Nothing is fetched.

        Args:
            device: as torch names it, "cpu" or "cuda".

        Raises:
            ValueError: a file is missing or doesn't fit; names it.
        """
        import torch
        from safetensors.torch import load_file
        from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise ValueError(f"{folder / name}: no such file; put the model's {name} into the archive")
        config = GroundingDinoConfig.from_json_file(folder / CONFIG)
        model, seen = GroundingDinoForObjectDetection.from_pretrained(
            None,
            config=config,
            state_dict=load_file(folder / WEIGHTS),
            output_loading_info=True,
            dtype="float32",
        )
        lacking = sorted(seen["missing_keys"]) + sorted(str(key) for key in seen["mismatched_keys"])
        if lacking:
            raise ValueError(f"{folder / WEIGHTS}: lacks {len(lacking)} tensors of the model, {lacking[0]} for one")
        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        captioner = Captioner.load(folder, config.max_text_len)
        return cls(model.eval().to(chosen), captioner, recipe.read(folder, Recipe))

    def detect(self, image: Picture, prompt: str, box_threshold: float, text_threshold: float) -> list[Detection]:
        """See `contract.Detector`. A box's score is that of its best token; one picture a run, since the padding of
        several to one size would change what is found."""
        import torch

        caption = self._captioner.caption(prompt)
        ids = torch.tensor([caption.ids], device=self._model.device)
        pixels = torch.from_numpy(self._look(image))[None].to(self._model.device)
        with torch.inference_mode():
            said = self._model(pixel_values=pixels, input_ids=ids, attention_mask=torch.ones_like(ids))
            shares = said.logits[0, :, : len(caption.ids)].sigmoid().cpu().numpy()
            boxes = said.pred_boxes[0].cpu().numpy()
        best = shares.max(axis=1)
        return [
            Detection(_box(boxes[place]), float(best[place]), caption.phrase(shares[place], text_threshold))
            for place in np.flatnonzero(best > box_threshold)
        ]

    def _look(self, image: Picture) -> NDArray[np.float32]:
        """Resized and normalised: float32 (3, height, width)."""
        resized = Image.fromarray(image).resize(self._size(image.shape[1], image.shape[0]), Image.Resampling.BILINEAR)
        scaled = (np.asarray(resized) / np.float32(255) - MEAN) / DEVIATION
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def _size(self, width: int, height: int) -> tuple[int, int]:
        short, long = sorted((width, height))
        factor = min(self.recipe.short_side / short, self.recipe.long_side / long)
        return max(1, round(width * factor)), max(1, round(height * factor))


def _box(numbers: NDArray[np.float32]) -> Box:
    x, y, width, height = (float(number) for number in numbers)
    return x, y, width, height
