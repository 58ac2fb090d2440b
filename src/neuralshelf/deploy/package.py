"""Model packages into archives: found by name, their weights checked, built."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import neuralshelf.model_packages
from neuralshelf.errors import InputError
from neuralshelf.model_packages.packaging import archive, weights
from neuralshelf.model_packages.packaging.manifest import FILE, Manifest, PackageError

Tell = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Packed:
    """An archive as it was built or found, or, with `dry_run`, as it would be.

    Attributes:
        weights: which alternative of the manifest it holds; "" for those of a lock or of an archive from elsewhere.
        sha256: of the archive, in hex; "" for one that was not written.
        files: path in the archive → bytes.
    """

    archive: str
    weights: str
    sha256: str
    bytes: int
    files: Mapping[str, int]
    dry_run: bool = False


def packages() -> dict[str, Manifest]:
    """The packages of this installation by name.

    Raises:
        InputError: one of their manifests is wrong.
    """
    with _input_errors():
        (root,) = neuralshelf.model_packages.__path__
        return {path.parent.name: Manifest.read(path.parent) for path in sorted(Path(root).glob(f"*/{FILE}"))}


def folder_of(package: str) -> Path:
    """The folder of a package: a name of `packages`, or a path.

    Raises:
        InputError: there is no such package.
    """
    (root,) = neuralshelf.model_packages.__path__
    for folder in (Path(root, package), Path(package)):
        if (folder / FILE).is_file():
            return folder
    raise InputError(
        f"{package}: no model package", hint=f"give one of {', '.join(packages()) or '(none)'}, or a folder with {FILE}"
    )


def pack(package: str, given: Path, out: Path, *, lock: Path | None, dry_run: bool, tell: Tell) -> Packed:
    """Check the weights in `given` and write the archive to `out`.

    Args:
        lock: names the files and their SHA-256 instead of the manifest.
        dry_run: check everything, write nothing.

    Raises:
        InputError: the package, its weights or a file of it can't be used, or `out` can't be written.
    """
    folder = folder_of(package)
    with _input_errors():
        if lock:
            name, chosen = "", weights.locked(lock, given, tell)
        else:
            entry, chosen = weights.published(Manifest.read(folder), given, tell)
            name = entry.name
        if dry_run:
            found = archive.contents(folder, chosen)
            sizes = {inside: path.stat().st_size if path else 0 for inside, path in found.items()}
            return Packed(str(out), name, "", sum(sizes.values()), sizes, dry_run=True)
        built = archive.build(folder, chosen, out, progress=tell)
    return Packed(str(out), name, built.sha256, built.bytes, {file.name: file.bytes for file in built.files})


def write_lock(given: Path, lock: Path, tell: Tell, *, dry_run: bool = False) -> dict[str, str]:
    """File → SHA-256 of the weights in `given`, written to `lock`.

    Raises:
        InputError: there are none, or `lock` can't be written.
    """
    with _input_errors():
        found = weights.lock_of(given, tell)
    if not dry_run:
        try:
            lock.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        except OSError as fault:
            raise InputError(f"{lock}: can't be written ({fault.strerror})", hint="name another file") from None
    return found


def inspect(path: Path, tell: Tell) -> Packed:
    """What an archive from elsewhere holds.

    Raises:
        InputError: it is not safe to unpack; names the member.
    """
    with _input_errors():
        files = archive.check(path, progress=tell)
        sha256 = weights.digest(path, tell, path.name)
    return Packed(str(path), "", sha256, path.stat().st_size, {file.name: file.bytes for file in files})


@contextmanager
def _input_errors() -> Iterator[None]:
    try:
        yield
    except PackageError as fault:
        raise InputError(fault.message, hint=fault.hint) from None
