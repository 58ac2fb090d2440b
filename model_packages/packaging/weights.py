"""Weights by reference: files that the user has, known by their SHA-256, never downloaded.

The digests are those of the package's manifest, or of a lock file `{"model.safetensors": "<sha256>"}` that somebody
wrote for weights of their own, such as fine-tuned ones.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuralshelf.model_packages.packaging.contents import kind_fault
from neuralshelf.model_packages.packaging.manifest import (
    Manifest,
    PackageError,
    Weights,
    is_sha256,
    object_without_repeats,
    safe_name,
)
from neuralshelf.model_packages.packaging.members import CHUNK, Progress


@dataclass(frozen=True)
class Weight:
    """A file on this machine and the SHA-256 that it must have."""

    path: Path
    sha256: str


def published(manifest: Manifest, folder: Path, progress: Progress) -> tuple[Weights, dict[str, Weight]]:
    """The alternative of the manifest whose files lie in `folder` (or are that one file), all digests checked.

    Other files there, such as a README, are no part of it.

    Raises:
        PackageError: no alternative is complete, or a file differs; names it, what was expected and what was found.
    """
    known = [entry for entry in manifest.weights if entry.files]
    if not known:
        raise PackageError(
            f"{manifest.name}: its manifest holds no SHA-256 of weights", hint="give --weights-lock FILE"
        )
    files = _files(folder)
    complete = [entry for entry in known if all(file.file in files for file in entry.files)]
    if not complete:
        names = "; ".join(f"{entry.name}: {', '.join(file.file for file in entry.files)}" for entry in known)
        raise PackageError(f"{folder}: lacks weights of {manifest.name} ({names})", hint=_published_at(known))
    sizes = {name: path.stat().st_size for name, path in files.items()}
    fitting = [entry for entry in complete if all(sizes[file.file] == file.bytes for file in entry.files)]
    faults = []
    for entry in fitting or complete:
        chosen = {file.file: Weight(files[file.file], file.sha256) for file in entry.files}
        fault = _difference(chosen, progress)
        if not fault:
            return entry, chosen
        faults.append(f"{fault} ({manifest.name} {entry.name})")
    raise PackageError(faults[0], hint=f"{_published_at(known)}, or give --weights-lock FILE for weights of your own")


def locked(lock: Path, folder: Path, progress: Progress) -> dict[str, Weight]:
    """The files that `lock` names, out of `folder` (or that one file), all digests checked.

    Raises:
        PackageError: the lock is no such file, or a file is missing or differs.
    """
    files = _files(folder)
    chosen = {}
    for name, sha256 in read_lock(lock).items():
        if name not in files:
            raise PackageError(f"{folder}: {name} is missing, which {lock} names", hint="name the right folder")
        chosen[name] = Weight(files[name], sha256)
    if fault := _difference(chosen, progress):
        raise PackageError(f"{fault} ({lock})", hint="take the file that was locked, or write the lock again")
    return chosen


def read_lock(lock: Path) -> Mapping[str, str]:
    """File → SHA-256 in hex. Raises: PackageError."""
    hint = "write one with --write-lock FILE"
    try:
        given = json.loads(lock.read_text(encoding="utf-8"), object_pairs_hook=object_without_repeats)
    except OSError as fault:
        raise PackageError(f"{lock}: can't be read ({fault.strerror})", hint=hint) from None
    except (ValueError, RecursionError) as fault:
        raise PackageError(f"{lock}: not JSON ({fault})", hint=hint) from None
    if not isinstance(given, dict) or not given:
        raise PackageError(f"{lock}: names no files", hint=hint)
    for name, sha256 in given.items():
        if not is_sha256(sha256) or not safe_name(name):
            raise PackageError(f"{lock}: {name[:80]!r}: expected a plain path and 64 hex digits", hint=hint)
    return given


def lock_of(folder: Path, progress: Progress) -> dict[str, str]:
    """File → SHA-256 of everything in `folder` (or of that one file) that an archive takes as weights.

    Raises:
        PackageError: there is nothing of that kind.
    """
    files = {name: path for name, path in _files(folder).items() if safe_name(name) and not kind_fault(name)}
    if not files:
        raise PackageError(f"{folder}: no weights in it", hint="convert pickles to safetensors first")
    return {name: digest(path, progress, name) for name, path in files.items()}


def digest(path: Path, progress: Progress, shown: str) -> str:
    """SHA-256 of a file in hex. Raises: PackageError."""
    total, done, found = path.stat().st_size, 0, hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
                done += len(chunk)
                progress(f"check {shown}", done, total)
    except OSError as fault:
        raise PackageError(f"{path}: can't be read ({fault.strerror})", hint="make it readable") from None
    return found.hexdigest()


def _files(folder: Path) -> dict[str, Path]:
    """Path below `folder` → file, sorted; links are followed, since hubs keep weights behind links."""
    if folder.is_file():
        return {folder.name: folder}
    if not folder.is_dir():
        raise PackageError(f"{folder}: no such folder or file", hint="give --weights DIR")
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


def _difference(chosen: Mapping[str, Weight], progress: Progress) -> str:
    """What is wrong with the first file that differs, or ""."""
    for name, weight in chosen.items():
        if (found := digest(weight.path, progress, name)) != weight.sha256:
            return f"{weight.path}: SHA-256 expected {weight.sha256}, found {found}"
    return ""


def _published_at(known: list[Weights]) -> str:
    return "fetch them from " + " or ".join(dict.fromkeys(entry.source for entry in known))
