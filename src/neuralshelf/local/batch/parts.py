"""What transform jobs are given and what they give back: files of requests, or pictures that are in S3 already."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn, Protocol

from tqdm import tqdm

from neuralshelf.batches import batches
from neuralshelf.deploy.batch.folder import S3Folder, Stored, input_of
from neuralshelf.errors import InputError
from neuralshelf.ingestion.vectors.files import ID, VECTOR
from neuralshelf.ingestion.vectors.objects import Owner, lines_of
from neuralshelf.templates import render

INPUT, MANIFEST, OUTPUT = "input", "manifest.json", "output"
"""Below a task's folder in S3."""

_READERS = 16
_AT_ONCE = 512  # answers to pictures that are in memory


class Part(Protocol):
    """The input of one transform job."""

    @property
    def label(self) -> str:
        """What it is, in the job's name."""

    @property
    def connector(self) -> str:
        """Whose model answers."""

    @property
    def pictures(self) -> bool:
        """Whole pictures, not lines of requests."""

    @property
    def names(self) -> Sequence[str]:
        """Its files, in order."""

    @property
    def largest(self) -> int:
        """Bytes of the longest record."""

    def digest(self, model: str) -> str:
        """The same for the same input of the same model."""

    def upload(self, folder: S3Folder) -> None:
        """Put into a task's folder what is not there yet; last the manifest, which names exactly the part's files. A
        prefix would take in whatever else begins with it."""

    def collect(self, output: S3Folder, folder: S3Folder, into: Path) -> set[str]:
        """Download what a job has answered, as files below `into`, and give the names of files without an answer."""


@dataclass(frozen=True)
class Requests:
    """Files of requests of one connector, as `request_catalogue` writes them."""

    connector: str
    files: Path
    pictures: bool = False

    @property
    def label(self) -> str:
        """See `Part`."""
        return self.connector

    @cached_property
    def names(self) -> Sequence[str]:
        """See `Part`."""
        return sorted(file.name for file in self.files.iterdir())

    @property
    def largest(self) -> int:
        """See `Part`."""
        return self._looked[1]

    def digest(self, model: str) -> str:
        """See `Part`."""
        return _digest([model, self._looked[0]])

    def upload(self, folder: S3Folder) -> None:
        """See `Part`."""
        there = {stored.name: stored.size for stored in (folder / INPUT).objects()}
        files = {name: self.files / name for name in self.names}
        missing = {name: file for name, file in files.items() if there.get(name) != file.stat().st_size}
        with _bytes(f"upload {self.label}", sum(file.stat().st_size for file in missing.values())) as bar:
            for name, file in missing.items():
                (folder / INPUT).upload(file, name, bar.update)
        _put_manifest(folder, folder / INPUT, self.names)

    def collect(self, output: S3Folder, folder: S3Folder, into: Path) -> set[str]:
        """See `Part`."""
        names = set(self.names)
        found = _answers(output, (folder / INPUT).prefix, names)
        with _bytes(f"download {self.label}", sum(stored.size for stored in found.values())) as bar:
            for name, stored in found.items():
                output.download(stored, into / f"{name}.out", bar.update)
        return {name for name in names if not (into / f"{name}.out").is_file()}

    @cached_property
    def _looked(self) -> tuple[list[list[str]], int]:
        """Name and SHA-256 of each file, and bytes of the longest line."""
        found, largest = [], 0
        for name in self.names:
            sha = hashlib.sha256()
            with (self.files / name).open("rb") as file:
                for line in file:
                    sha.update(line)
                    largest = max(largest, len(line))
            found.append([name, sha.hexdigest()])
        return found, largest


@dataclass(frozen=True)
class PictureSet:
    """Pictures in S3 as they are. Only those are taken that rows name and that an endpoint would get as they are.

    Attributes:
        source: where they are.
        owners: picture -> whose it is.
        stored: the objects that are taken.
    """

    connector: str
    source: S3Folder
    owners: Mapping[str, Sequence[Owner]]
    stored: Sequence[Stored]
    pictures: bool = True

    @classmethod
    def of(cls, connector: str, source: S3Folder, owners: Mapping[str, Sequence[Owner]], limit: int) -> "PictureSet":
        """Look which of the pictures are there.

        Args:
            limit: bytes; larger ones are made smaller before an endpoint gets them, so they are left to the ingest.

        Raises:
            InputError: none is.
        """
        listed = tqdm(source.objects(), desc="pictures in S3", unit="", file=sys.stderr, disable=quiet())
        found = sorted((s for s in listed if s.name in owners and 0 < s.size <= limit), key=lambda s: s.name)
        if not found:
            raise InputError(
                f"{source.address} holds no picture that a row names",
                hint="rows name pictures relative to it: image: shoes/7.jpg is PREFIX/shoes/7.jpg",
            )
        return cls(connector, source, owners, found)

    @property
    def label(self) -> str:
        """See `Part`."""
        return f"{self.connector}-pictures"

    @cached_property
    def names(self) -> Sequence[str]:
        """See `Part`."""
        return [stored.name for stored in self.stored]

    @property
    def largest(self) -> int:
        """See `Part`."""
        return max(stored.size for stored in self.stored)

    def digest(self, model: str) -> str:
        """See `Part`."""
        return _digest([model, self.source.address, [[stored.name, stored.etag] for stored in self.stored]])

    def upload(self, folder: S3Folder) -> None:
        """See `Part`."""
        _put_manifest(folder, self.source, self.names)

    def collect(self, output: S3Folder, folder: S3Folder, into: Path) -> set[str]:
        """See `Part`. The answers are lines of one file, as those to requests are."""
        into.mkdir(parents=True, exist_ok=True)
        path = into / "pictures.jsonl"
        done = _kept(path)
        left = {name for name in self.names if not done.issuperset(map(tuple, self.owners[name]))}
        found = _answers(output, self.source.prefix, left)
        with (
            tqdm(total=len(found), desc=f"download {self.label}", unit="", file=sys.stderr, disable=quiet()) as bar,
            ThreadPoolExecutor(_READERS, "answers") as readers,
            path.open("a", encoding="utf-8") as file,
        ):
            for chunk in batches(found, _AT_ONCE):
                answers = readers.map(lambda name: output.read(found[name]), chunk)
                for name, answer in zip(chunk, answers, strict=True):
                    file.writelines(f"{line}\n" for line in lines_of(answer, self.owners[name]))
                    bar.update()
                file.flush()
        return left - found.keys()


def quiet() -> bool:
    """Nobody watches stderr."""
    return not sys.stderr.isatty()


def _answers(output: S3Folder, prefix: str, names: set[str]) -> dict[str, Stored]:
    """Input -> its answer."""
    return {name: stored for stored in output.objects() if (name := input_of(stored.name, prefix, names)) is not None}


def _put_manifest(folder: S3Folder, source: S3Folder, names: Iterable[str]) -> None:
    body = render("batch/manifest.json.j2", prefix=f"{source.address}/", names=names)
    folder.put(MANIFEST, json.dumps(body, ensure_ascii=False).encode("utf-8"))


def _kept(path: Path) -> set[Owner]:
    """Whose answers a file has; a line that a kill has torn is cut off."""
    if not path.is_file():
        return set()
    found: set[Owner] = set()
    end = 0
    with path.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            row = json.loads(line)
            found.add((row[ID], row[VECTOR]))
            end += len(line)
        file.truncate(end)
    return found


def _digest(of: object) -> str:
    return hashlib.sha256(json.dumps(of, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def _bytes(name: str, total: int) -> "tqdm[NoReturn]":
    return tqdm(total=total, desc=name, unit="B", unit_scale=True, file=sys.stderr, disable=quiet())
