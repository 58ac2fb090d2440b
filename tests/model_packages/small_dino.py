"""Small models with random weights, of DINO's and Grounding DINO's architectures, saved as the real ones are."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SwinConfig,
    ViTConfig,
    ViTModel,
)

from tests.model_packages.small import WORDS

SIZE = 40


def vit(seed: int = 1, **changes: Any) -> Any:
    """ViT-S/16's kind: patches of 8 on 32 pixels, two layers, 48 dimensions."""
    shape: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"intermediate_size": 96, "image_size": 32, "patch_size": 8, "initializer_range": 0.2}
    torch.manual_seed(seed)
    return ViTModel(ViTConfig(**(shape | changes))).eval()


def save_vit(
    folder: Path, name: str = "model.safetensors", size: int | None = SIZE, seed: int = 1, **shape: Any
) -> Path:
    """With the pooler that published files have, which is not used. `size`: of recipe.json; None writes none."""
    vit(seed, **shape).save_pretrained(folder)
    (folder / "model.safetensors").rename(folder / name)
    if size is not None:
        (folder / "recipe.json").write_text(json.dumps({"size": size}))
    return folder


def save_grounding(folder: Path, seed: int = 1, **recipe: Any) -> Path:
    """Swin, BERT, one encoder layer and two decoder layers of 32 dimensions, 20 queries; the real tokenizer."""
    swin = SwinConfig(
        image_size=64,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )
    bert = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    torch.manual_seed(seed)
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_queries=20,
    )
    GroundingDinoForObjectDetection(config).eval().save_pretrained(folder)
    shutil.copy(WORDS, folder / "tokenizer.json")
    (folder / "recipe.json").write_text(json.dumps({"short_side": 96, "long_side": 160, **recipe}))
    return folder
