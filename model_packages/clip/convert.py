"""The published OpenAI weights, once, into what the package takes: safetensors, without code in them.

    python -m neuralshelf.model_packages.clip.convert RN50.pt weights/

The files of openai/CLIP (`clip/clip.py` there says where they are) are TorchScript archives, which carry code. So a
file is read only when it has the SHA-256 that is published in that place, or one that you give.
"""

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import save_file

from neuralshelf.model_packages.clip.encoder import CONFIG, OPTIONS, PLACE, WEIGHTS

LOCK = "weights-lock.json"
_NOT_TENSORS_OF_THE_MODEL = ("input_resolution", "context_length", "vocab_size")


@dataclass(frozen=True)
class Published:
    """A file of openai/CLIP: its SHA-256 in hex, as clip/clip.py states it, and its architecture in open_clip."""

    sha256: str
    architecture: str


PUBLISHED: Mapping[str, Published] = {
    "RN50.pt": Published("afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", "RN50-quickgelu"),
    "RN101.pt": Published("8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", "RN101-quickgelu"),
    "RN50x4.pt": Published("7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", "RN50x4-quickgelu"),
    "RN50x16.pt": Published("52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", "RN50x16-quickgelu"),
    "RN50x64.pt": Published("be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", "RN50x64-quickgelu"),
    "ViT-B-32.pt": Published("40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", "ViT-B-32-quickgelu"),
    "ViT-B-16.pt": Published("5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", "ViT-B-16-quickgelu"),
    "ViT-L-14.pt": Published("b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", "ViT-L-14-quickgelu"),
    "ViT-L-14-336px.pt": Published(
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02", "ViT-L-14-336-quickgelu"
    ),
}


class ConvertError(ValueError):
    """Weights that are not converted; one line with the file and the next step."""


def convert(source: Path, folder: Path, architecture: Mapping[str, Any], sha256: str, prompt: str = PLACE) -> None:
    """Write weights, configuration and their lock file into `folder`.

    Args:
        source: TorchScript archive or state dict of tensors.
        architecture: `model_cfg` of open_clip.
        sha256: what `source` must have, in hex; it is not opened otherwise.
        prompt: what texts stand in, `{}` in their place.

    Raises:
        ConvertError: another digest, no tensors in it, or not those of the architecture; nothing is written.
    """
    _check(source, sha256)
    tensors = _tensors(source)
    model: Any = open_clip.CLIP(**architecture)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as fault:
        reason = " ".join(str(fault).split())[:200]
        raise ConvertError(f"{source}: not of this architecture: {reason}; next: name the right one") from None
    preprocessing = {
        "mean": OPENAI_DATASET_MEAN,
        "std": OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS[0])
    config = {"model_cfg": dict(architecture), "preprocess_cfg": preprocessing}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    names = [WEIGHTS[0], CONFIG]
    if prompt != PLACE:
        (folder / OPTIONS).write_text(json.dumps({"prompt": prompt}) + "\n")
        names.append(OPTIONS)
    lock = {name: _sha256(folder / name) for name in names}
    (folder / LOCK).write_text(json.dumps(lock, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 converted, 1 not."""
    options = _parser().parse_args(arguments)
    known = PUBLISHED.get(options.weights.name)
    try:
        name = options.architecture or (known and known.architecture)
        sha256 = options.sha256 or (known and known.sha256)
        if not name or not sha256:
            step = "give --architecture and --sha256, or keep the published name"
            raise ConvertError(f"{options.weights}: is no file of openai/CLIP by its name; next: {step}")
        architecture = open_clip.get_model_config(name)
        if architecture is None:
            raise ConvertError(f"{name}: open_clip knows no such architecture; next: one of open_clip.list_models()")
        if options.prompt.count(PLACE) != 1:
            raise ConvertError(f'--prompt must have one {PLACE} in it; next: write "this is {PLACE}"')
        convert(options.weights, options.folder, architecture, sha256, options.prompt)
    except ConvertError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except OSError as fault:
        print(f"error: {fault.filename}: {fault.strerror}; next: give a file and a folder", file=sys.stderr)
        return 1
    print(options.folder / LOCK)
    return 0


def _check(source: Path, sha256: str) -> None:
    if (found := _sha256(source)) != sha256.lower():
        step = "fetch it again, or give --sha256 if you trust this very file"
        raise ConvertError(f"{source}: SHA-256 is {found}, not {sha256.lower()}; next: {step}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tensors(source: Path) -> dict[str, torch.Tensor]:
    """The model's tensors with the precision they are stored in; a pickle is read as tensors or not at all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated, but the weights come in it
            found: Any = torch.jit.load(str(source), map_location="cpu").state_dict()
    except RuntimeError:  # not TorchScript
        try:
            found = torch.load(source, map_location="cpu", weights_only=True)
        except Exception as fault:  # noqa: BLE001 - a file that is no checkpoint raises anything
            reason = " ".join(str(fault).split())[:100]
            raise ConvertError(f"{source}: not tensors alone ({reason}); next: save its state dict") from None
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ConvertError(f"{source}: not a state dict of tensors; next: save model.state_dict()")
    kept = {name: value for name, value in found.items() if name not in _NOT_TENSORS_OF_THE_MODEL}
    return {name: value.detach().clone().contiguous() for name, value in kept.items()}  # no storage shared


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m neuralshelf.model_packages.clip.convert", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("weights", type=Path, help=f"one of {', '.join(PUBLISHED)}, or another with the two options")
    parser.add_argument("folder", type=Path, help="where safetensors, configuration and lock file are written")
    parser.add_argument("--architecture", metavar="NAME", help="of open_clip; default: that of the published file")
    parser.add_argument("--sha256", metavar="HEX", help="what the file must have; default: as published")
    parser.add_argument("--prompt", default=PLACE, help='what texts stand in, such as "this is {}" (default: nothing)')
    return parser


if __name__ == "__main__":
    sys.exit(main())
