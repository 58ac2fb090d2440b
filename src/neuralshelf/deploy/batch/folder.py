"""Files of transform jobs in S3: below one prefix of one bucket."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralshelf.deploy.batch.calls import asking
from neuralshelf.errors import ConfigError, InputError

READS = 3
"""Tries to get an object whose body breaks off. Requests themselves are repeated by boto3."""

_PIECE = 1024 * 1024
_AT_ONCE = 1000  # keys that DeleteObjects takes
_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)", re.DOTALL)


@dataclass(frozen=True)
class Stored:
    """An object.

    Attributes:
        name: its key below the folder.
        size: bytes.
        etag: changes when its content does.
    """

    name: str
    size: int
    etag: str


class S3Folder:
    """Objects whose keys begin with `PREFIX/`. Several threads may use it."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        """`s3`: a client of boto3."""
        self._s3 = s3
        self._bucket = bucket
        self.prefix = prefix.strip("/")
        self.address = f"s3://{bucket}/{self.prefix}"

    @classmethod
    def of(cls, s3: Any, address: str) -> "S3Folder":
        """The folder `s3://BUCKET/PREFIX`.

        Raises:
            ConfigError: that is none.
        """
        found = _ADDRESS.fullmatch(address)
        if found is None or not found[2].strip("/"):
            raise ConfigError(f"{address[:80]!a} is no folder of a bucket", hint="write s3://BUCKET/PREFIX")
        return cls(s3, found[1], found[2])

    def __truediv__(self, name: str) -> "S3Folder":
        return S3Folder(self._s3, self._bucket, f"{self.prefix}/{name}")

    def objects(self) -> Iterator[Stored]:
        """All objects in it, and below, in the order of their keys."""
        begin = f"{self.prefix}/"
        with asking(self.address, "check the bucket's name (hosting.bucket), or let neuralshelf deploy make it"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=begin):
                for item in page.get("Contents", ()):
                    yield Stored(item["Key"].removeprefix(begin), item["Size"], item["ETag"])

    def upload(self, path: Path, name: str, tell: Callable[[int], object] = lambda sent: None) -> None:
        """A file, in parts when it is large; `tell` gets the bytes of each part."""
        with asking(f"{self.address}/{name}", "check the bucket (hosting.bucket)"), path.open("rb") as file:
            self._s3.upload_fileobj(file, self._bucket, f"{self.prefix}/{name}", Callback=tell)

    def put(self, name: str, data: bytes) -> None:
        """An object of these bytes."""
        with asking(f"{self.address}/{name}", "check the bucket (hosting.bucket)"):
            self._s3.put_object(Bucket=self._bucket, Key=f"{self.prefix}/{name}", Body=data)

    def download(self, stored: Stored, path: Path, tell: Callable[[int], object] = lambda got: None) -> None:
        """Into a file, which is there only when it is whole. Gone on with where it was stopped.

        Raises:
            InputError: it can't be read whole, or written.
        """
        if path.is_file() and path.stat().st_size == stored.size:
            tell(stored.size)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        counted = 0
        for _ in range(READS):
            have = part.stat().st_size if part.exists() else 0
            if have > stored.size:
                part.unlink()
                have = 0
            tell(have - counted)
            counted = have
            if have < stored.size or not have:
                counted += self._append(stored, part, have, tell)
            if part.stat().st_size == stored.size:
                part.replace(path)
                return
        raise InputError(
            f"{self.address}/{stored.name} has {stored.size} bytes, and {part.stat().st_size} came",
            hint="check the network, then run it again: it goes on from here",
        )

    def read(self, stored: Stored) -> bytes:
        """A small object, whole.

        Raises:
            InputError: it breaks off each time.
        """
        from botocore.exceptions import BotoCoreError

        fault: object = "it has another size"
        for _ in range(READS):
            with asking(f"{self.address}/{stored.name}"):
                answer = self._s3.get_object(Bucket=self._bucket, Key=f"{self.prefix}/{stored.name}")
            try:
                with closing(answer["Body"]) as body:  # as a context it is urllib3's, which checks no length
                    data: bytes = body.read()
            except BotoCoreError as error:
                fault = error
                continue
            if len(data) == stored.size:
                return data
        raise InputError(f"{self.address}/{stored.name}: {fault}", hint="check the network, then run it again")

    def clear(self) -> int:
        """Delete all that is in it, and give how much that was."""
        keys = [f"{self.prefix}/{stored.name}" for stored in self.objects()]
        for first in range(0, len(keys), _AT_ONCE):
            chunk = [{"Key": key} for key in keys[first : first + _AT_ONCE]]
            with asking(self.address):
                answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": chunk, "Quiet": True})
            for fault in answer.get("Errors", ()):
                raise InputError(
                    f"s3://{self._bucket}/{fault.get('Key')} can't be deleted: {fault.get('Code')}",
                    hint=f"allow s3:DeleteObject, or delete {self.address} yourself",
                )
        return len(keys)

    def _append(self, stored: Stored, part: Path, have: int, tell: Callable[[int], object]) -> int:
        """What is missing, as far as it comes; the bytes that came."""
        from botocore.exceptions import BotoCoreError

        got = 0
        span = {"Range": f"bytes={have}-"} if have else {}
        with asking(f"{self.address}/{stored.name}"), part.open("ab") as file:
            answer = self._s3.get_object(
                Bucket=self._bucket, Key=f"{self.prefix}/{stored.name}", IfMatch=stored.etag, **span
            )
            try:
                with closing(answer["Body"]) as body:
                    for piece in body.iter_chunks(_PIECE):
                        file.write(piece)
                        got += len(piece)
                        tell(len(piece))
            except BotoCoreError:
                pass  # it broke off: the caller sees the size
        return got


def input_of(output: str, prefix: str, names: set[str]) -> str | None:
    """Which of the input's `names` below `prefix` an output is of; None when it is of none.

    SageMaker puts the output of an object into "a corresponding subfolder" (CreateTransformJob, S3OutputPath), its own
    examples with the last folders of the input's prefix before the name, and without.

    Args:
        output: its key below the output's folder, such as `input/00001.jsonl.out`.
    """
    if not output.endswith(".out"):
        return None
    name = output.removesuffix(".out")
    above = f"/{prefix}/"
    begin = 0
    while True:
        if name[begin:] in names and (begin == 0 or above.endswith(f"/{name[:begin]}")):
            return name[begin:]
        begin = name.find("/", begin) + 1
        if begin == 0:
            return None
