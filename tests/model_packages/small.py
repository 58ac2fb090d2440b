"""Small models with random weights, of the architectures of the real ones, saved as the real ones are."""

import json
import shutil
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
RESNET: dict[str, Any] = {
    "embed_dim": 1024,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    "text_cfg": TEXT,
}
"""RN50's kind (modified ResNet, attention pooling, 1024 dimensions)."""

VIT: dict[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": TEXT,
}
"""ViT-B-32's and ViT-L-14's kind."""

WORDS = Path(__file__).resolve().parents[2] / "model_packages" / "minilm" / "tokenizer.json"


def clip_model(architecture: dict[str, Any], seed: int = 1) -> Any:
    """A model of open_clip in evaluation mode. What trained ones have learned to keep apart is made larger, so that
    different inputs have clearly different vectors."""
    torch.manual_seed(seed)
    model: Any = open_clip.CLIP(**architecture)
    with torch.no_grad():
        model.token_embedding.weight.mul_(20)
        model.positional_embedding.mul_(20)
    return model.eval()


def save_clip(folder: Path, architecture: dict[str, Any], seed: int = 1, **preprocessing: Any) -> Path:
    """What open_clip's `save_for_hf` leaves of a model with CLIP's own tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(clip_model(architecture, seed).state_dict(), folder / "open_clip_model.safetensors")
    cfg = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD, **preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": architecture, "preprocess_cfg": cfg}))
    return folder


def save_bert(folder: Path, seed: int = 1, **changes: Any) -> Path:
    """all-MiniLM-L6-v2 with two layers and 48 dimensions, and the real tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    size: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    size |= {"intermediate_size": 96, "vocab_size": 30522, "max_position_embeddings": 512}
    config = BertConfig(initializer_range=0.3, **(size | changes))
    torch.manual_seed(seed)
    BertModel(config).save_pretrained(folder)  # with the pooler, as the published one
    shutil.copy(WORDS, folder / "tokenizer.json")
    return folder
