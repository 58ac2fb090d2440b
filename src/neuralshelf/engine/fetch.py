"""Maven coordinates to a verified file. A file under its final name is whole and right; anything else leaves nothing.

jgo resolves and downloads. It only warns about a wrong checksum, and it writes straight to the final name, so that a
broken download is taken for good the next time: it works in a folder of its own here, and our SHA-256 decides.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from neuralshelf.engine.artifacts import Artifact
from neuralshelf.engine.base import Progress
from neuralshelf.errors import EngineError, MissingDependencyError

REPOSITORY_VARIABLE = "NEURALSHELF_MAVEN_URL"
ATTEMPTS = 3
PAUSE_SECONDS = 1.0  # before the second attempt; twice as long before the third
TIMEOUT_SECONDS = 60
CHUNK = 1 << 20


def fetch(
    artifact: Artifact, folder: Path, progress: Progress, *, repositories: Mapping[str, str] | None = None
) -> Path:
    """The file of `artifact` in `folder`, fetched unless it is there already.

    Args:
        folder: made if needed; also takes files put there by hand, which are checked the same way.
        repositories: name to base URL; default: the one that NEURALSHELF_MAVEN_URL names, else the public one.

    Raises:
        EngineError: no connection, not found, cut three times, wrong SHA-256, or the disk is full.
        MissingDependencyError: jgo is not installed.
    """
    final = folder / artifact.file_name
    if final.exists():
        if sha256_of(final) == artifact.sha256:
            return final
        final.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    if repositories is None and os.environ.get(REPOSITORY_VARIABLE):
        repositories = {"configured": os.environ[REPOSITORY_VARIABLE].rstrip("/")}
    by_hand = f"connect to the network, name a mirror in {REPOSITORY_VARIABLE}, or put the file into {folder}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as private:
        try:
            got = _download(artifact, Path(private), progress, repositories)
        except _NoDownload as fault:
            raise EngineError(f"{artifact.file_name} can't be fetched: {fault}", hint=by_hand) from None
        found = sha256_of(got)
        if found != artifact.sha256:
            raise EngineError(
                f"{artifact.file_name} has the wrong SHA-256 ({found[:12]}…, expected {artifact.sha256[:12]}…)",
                hint=f"try again; if it stays so, a mirror changes files: name another in {REPOSITORY_VARIABLE}",
            )
        got.replace(final)
    final.chmod(0o644)
    return final


def sha256_of(file: Path) -> str:
    """Hex digest of the file's bytes."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what can't end.

    Raises:
        EngineError: fewer than `needed` bytes are free where `folder` is (or will be).
    """
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise EngineError(
            f"no disk space for {what}: {needed:,} bytes needed, {free:,} free in {existing}",
            hint="make room, or choose other folders by NEURALSHELF_CACHE and NEURALSHELF_STATE",
        )


class _NoDownload(Exception):
    """Why a file could not be had."""


def _download(artifact: Artifact, folder: Path, progress: Progress, repositories: Mapping[str, str] | None) -> Path:
    try:
        import requests
        from jgo.maven import MavenContext, PythonResolver
    except ImportError:
        raise MissingDependencyError(
            "fetching OpenSearch needs jgo, which is not installed", hint="pip install 'neuralshelf[local]'"
        ) from None
    reason = "?"
    for attempt in range(1, ATTEMPTS + 1):
        context = MavenContext(
            repo_cache=folder / str(attempt),
            timeout=TIMEOUT_SECONDS,
            resolver=PythonResolver(progress_callback=_reporter(progress)),
            remote_repos=None if repositories is None else dict(repositories),
        )
        component = context.project(artifact.group, artifact.name).at_version(artifact.version)
        try:
            return Path(component.artifact(packaging=artifact.packaging).resolve())
        except RuntimeError:  # what jgo raises for any answer but 200
            raise _NoDownload("the Maven repository does not have it or refused it") from None
        except requests.exceptions.ChunkedEncodingError:
            reason = f"the connection was cut {attempt} times"
        except requests.exceptions.Timeout:
            reason = f"the Maven repository sent nothing for {TIMEOUT_SECONDS} s"
        except requests.exceptions.SSLError:
            raise _NoDownload(
                "the certificate of the Maven repository is not trusted here (REQUESTS_CA_BUNDLE names others)"
            ) from None
        except requests.exceptions.ProxyError:
            reason = "the proxy does not let us through to the Maven repository"
        except requests.exceptions.ConnectionError:
            reason = "no connection to the Maven repository"
        except requests.exceptions.RequestException as fault:
            raise _NoDownload(type(fault).__name__) from None
        except OSError as fault:
            raise _NoDownload(str(fault.strerror)) from None
        shutil.rmtree(folder / str(attempt), ignore_errors=True)
        if attempt < ATTEMPTS:
            time.sleep(attempt * PAUSE_SECONDS)
    raise _NoDownload(reason)


def _reporter(progress: Progress) -> Callable[[str, int], AbstractContextManager[Callable[[int], None]]]:
    @contextmanager
    def report(file_name: str, total: int) -> Iterator[Callable[[int], None]]:
        done = shown = 0

        def add(count: int) -> None:
            nonlocal done, shown
            done += count
            if done - shown >= CHUNK or done == total:
                shown = done
                progress(f"engine: fetch {file_name}", done, total)

        yield add

    return report
