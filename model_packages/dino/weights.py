"""A model folder and the transformer in it: `config.json`, weights as safetensors, `recipe.json`.

`model.safetensors` are weights of one's own, as finetune.py writes them. Where there are none, `pretrained.safetensors`
are used: public ones, put into the archive when it was built. Nothing is ever fetched.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import ViTModel

TUNED = "model.safetensors"
PRETRAINED = "pretrained.safetensors"
CONFIG = "config.json"


def file_in(folder: Path) -> Path:
    """The weights that count.

    Raises:
        FileNotFoundError: there are neither.
    """
    for name in (TUNED, PRETRAINED):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder}: neither {TUNED} nor {PRETRAINED}; put weights into the archive")


def load(folder: Path) -> "ViTModel":
    """The transformer, on the CPU, in float32, ready to answer.

    Raises:
        FileNotFoundError: weights or config.json are missing.
        ValueError: config.json is of another architecture, or the weights don't fill the model.
    """
    from safetensors.torch import load_file
    from transformers import ViTConfig, ViTModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    path = file_in(folder)
    given = json.loads((folder / CONFIG).read_bytes())
    if given.get("model_type") != "vit":
        raise ValueError(f"{folder / CONFIG}: model_type is not vit")
    model, seen = ViTModel.from_pretrained(
        None,
        config=ViTConfig.from_dict(given),
        state_dict={name: tensor for name, tensor in load_file(path).items() if "pooler." not in name},
        add_pooling_layer=False,  # the vector is the CLS token itself
        output_loading_info=True,
        dtype="float32",
    )
    lacking = sorted(seen["missing_keys"]) + sorted(str(key) for key in seen["mismatched_keys"])
    if lacking:
        raise ValueError(f"{path}: lacks {len(lacking)} tensors of the model in {CONFIG}, {lacking[0]} for one")
    return model.eval()


def fingerprint(folder: Path, recipe: str) -> str:
    """16 hex digits over weights, config and recipe."""
    digest = hashlib.sha256(recipe.encode())
    digest.update((folder / CONFIG).read_bytes())
    with file_in(folder).open("rb") as weights:
        digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()[:16]
