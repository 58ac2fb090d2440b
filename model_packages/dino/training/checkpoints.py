"""Where a stopped run goes on: a folder a checkpoint, with tensors as safetensors and the rest as JSON.

A checkpoint is written beside its place and renamed, so that a kill leaves the one before.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from neuralshelf.model_packages.dino.training.views import TrainingError

if TYPE_CHECKING:
    import torch

KEPT = 2
TENSORS = "state.safetensors"
PROGRESS = "progress.json"
_NAME = "step-{:09}"


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: steps done.
        loss: sum of the losses of the epoch's steps so far.
        history: a line an epoch; see finetune.py.
    """

    step: int = 0
    loss: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def save(folder: Path, progress: Progress, settings: Mapping[str, object], tensors: "dict[str, torch.Tensor]") -> None:
    """Write a checkpoint and drop those before the last two."""
    from safetensors.torch import save_file

    made = folder / _NAME.format(progress.step)
    beside = folder / f"{made.name}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, beside / TENSORS)
    text = json.dumps({"format_version": 1, "settings": dict(settings), **asdict(progress)}, indent=1)
    (beside / PROGRESS).write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(made, ignore_errors=True)
    beside.rename(made)
    for old in _whole(folder)[:-KEPT]:
        shutil.rmtree(old)


def last(folder: Path, settings: Mapping[str, object]) -> "tuple[Progress, dict[str, torch.Tensor]] | None":
    """The last whole checkpoint, or None.

    Raises:
        TrainingError: it belongs to other settings, and says to which.
    """
    from safetensors.torch import load_file

    whole = _whole(folder)
    if not whole:
        return None
    said = json.loads((whole[-1] / PROGRESS).read_text(encoding="utf-8"))
    other = [name for name in settings if said["settings"].get(name) != settings[name]]
    if other:
        raise TrainingError(
            f"{whole[-1]}: made with another {', '.join(other)}; name another --out, or delete {folder} to begin anew"
        )
    return Progress(said["step"], said["loss"], said["history"]), load_file(whole[-1] / TENSORS)


def _whole(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.suffix != ".part")
