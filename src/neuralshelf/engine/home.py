"""Official zips to an OpenSearch home: one read-only folder a user, made once, shared by all instances."""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from neuralshelf.engine.artifacts import RELEASE, Artifact, Release
from neuralshelf.engine.base import Progress
from neuralshelf.engine.fetch import fetch, require_space
from neuralshelf.engine.locks import lock
from neuralshelf.engine.user import make_readable
from neuralshelf.errors import EngineError

LAYOUT = "1"  # raised when the way of assembling changes
_BREAKS = "META-INF/services/java.text.spi.BreakIteratorProvider"


class HomeCache:
    """The assembled homes below one cache folder.

    Args:
        cache: this user's; made if needed.
        repositories: of Maven, name to base URL; default as in `fetch`.
    """

    def __init__(self, cache: Path, release: Release = RELEASE, repositories: Mapping[str, str] | None = None) -> None:
        self.folder = cache / "engine"
        self.release = release
        self._repositories = repositories
        self._downloads = self.folder / "downloads"
        self._zips = (release.distribution, *release.plugins)

    def home(self, progress: Progress, *, icu: bool = False) -> Path:
        """An OpenSearch home; fetched and assembled unless it is there already, then without any network.

        Args:
            icu: the flavour for a Java runtime without Thai word boundaries: two ICU jars more.

        Raises:
            EngineError: what `fetch` raises, or the disk is full.
        """
        plain = self.folder / self._name(self._zips)
        wanted = self.folder / self._name((*self._zips, *self.release.icu)) if icu else plain
        if wanted.exists():
            return wanted
        try:
            make_readable(self.folder)
            with lock(self.folder / "lock", lambda seconds: progress("engine: wait for another fetch", seconds, None)):
                self._sweep()
                if not plain.exists():
                    self._assemble(plain, progress)
                if not wanted.exists():
                    self._add_icu(plain, wanted, progress)
                # All that came from the files lies in the homes now; they are half a gigabyte.
                shutil.rmtree(self._downloads, ignore_errors=True)
        except OSError as fault:
            raise EngineError(
                f"{self.folder} can't be written: {fault.strerror}",
                hint="mend it, or choose another by NEURALSHELF_CACHE",
            ) from None
        return wanted

    def _name(self, artifacts: tuple[Artifact, ...]) -> str:
        pins = hashlib.sha256(" ".join((LAYOUT, *(artifact.sha256 for artifact in artifacts))).encode())
        return f"opensearch-{self.release.version}-{pins.hexdigest()[:12]}"

    def _sweep(self) -> None:
        """Remove what a killed process left half done; the lock says that nobody is at it."""
        for left in (*self.folder.glob(".home-*"), *self._downloads.glob(".fetch-*")):
            shutil.rmtree(left, ignore_errors=True)

    def _fetch(self, artifact: Artifact, progress: Progress) -> Path:
        return fetch(artifact, self._downloads, progress, repositories=self._repositories)

    def _assemble(self, home: Path, progress: Progress) -> None:
        missing = sum(a.size for a in self._zips if not (self._downloads / a.file_name).exists())
        require_space(self.folder, missing + self.release.unpacked, "OpenSearch")
        files = [self._fetch(artifact, progress) for artifact in self._zips]
        total = sum(artifact.size for artifact in self._zips)
        with whole(home) as unfinished:
            done = 0
            for file, artifact in zip(files, self._zips, strict=True):
                progress("engine: unpack", done, total)
                if artifact is self.release.distribution:
                    unpack(file, unfinished, strip=1)
                else:
                    install_plugin(file, unfinished)
                done += artifact.size
            progress("engine: unpack", total, total)

    def _add_icu(self, plain: Path, home: Path, progress: Progress) -> None:
        classes, announcement = (self._fetch(artifact, progress) for artifact in self.release.icu)
        with whole(home) as unfinished:
            # Hard links: the same bytes twice, without the space.
            shutil.copytree(plain, unfinished, copy_function=link, dirs_exist_ok=True)
            shutil.copyfile(classes, unfinished / "lib" / classes.name)
            keep_only_breaks(announcement, unfinished / "lib" / announcement.name)


def unpack(file: Path, folder: Path, *, strip: int = 0) -> None:
    """Unzip with file modes (zipfile drops them), readable by all, without the first `strip` parts of each name."""
    with zipfile.ZipFile(file) as source:
        for member in source.infolist():
            parts = Path(member.filename).parts[strip:]
            if member.is_dir() or not parts:
                continue
            if ".." in parts or parts[0].startswith("/"):
                raise EngineError(f"{file.name} holds the unsafe name {member.filename}", hint="do not use this file")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open(member) as content, target.open("wb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
            target.chmod(0o755 if member.external_attr >> 16 & 0o111 else 0o644)


def install_plugin(file: Path, home: Path) -> None:
    """What `opensearch-plugin install` does with a zip: its bin and config go to the home's, the rest to plugins."""
    with zipfile.ZipFile(file) as source:
        lines = source.read("plugin-descriptor.properties").decode().splitlines()
    name = next(line.split("=", 1)[1].strip() for line in lines if line.startswith("name="))
    plugin = home / "plugins" / name
    unpack(file, plugin)
    for part in ("bin", "config"):
        if (plugin / part).is_dir():
            (home / part).mkdir(exist_ok=True)
            (plugin / part).rename(home / part / name)
    for program in (home / "bin" / name).rglob("*"):
        program.chmod(0o755)


def keep_only_breaks(jar: Path, target: Path) -> None:
    """Repack ICU's locale provider to announce word boundaries alone: dates and numbers stay as the JDK writes them."""
    with zipfile.ZipFile(jar) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for member in source.infolist():
            if not member.filename.startswith("META-INF/services/") or member.filename == _BREAKS:
                out.writestr(member, source.read(member))
    target.chmod(0o644)


@contextmanager
def whole(home: Path) -> Iterator[Path]:
    """A folder to fill that becomes `home` at once when it is finished, and vanishes when it is not."""
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".home-", ignore_cleanup_errors=True) as private:
        unfinished = Path(private) / "home"
        unfinished.mkdir()
        yield unfinished
        for folder, _, _ in os.walk(unfinished):
            Path(folder).chmod(0o755)
        unfinished.rename(home)


def link(source: str, target: str) -> None:
    """A hard link, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
