"""Official files to an OpenSearch 2.19.1 home with the security plugin; made once, kept beside the engine's own."""

import hashlib
import os
import shutil
from pathlib import Path

from neuralshelf.engine.base import Progress
from neuralshelf.engine.fetch import fetch
from neuralshelf.engine.home import HomeCache, link, whole
from neuralshelf.engine.java import Java, candidates, probe
from neuralshelf.engine.locks import lock
from neuralshelf.engine.user import RunAs, make_readable
from neuralshelf.errors import MissingDependencyError

from .files import MODULES, SECURED

JAVA_VERSIONS = range(17, 22)  # 2.x needs the security manager, which later ones lack


def secured_home(cache: Path, progress: Progress) -> Path:
    """The home, without any network where it is there already.

    Raises:
        EngineError: a file can't be had, or the disk is full.
    """
    plain = HomeCache(cache, SECURED).home(progress)
    text = "".join(module.descriptor + module.policy + str(module.jars) for module in MODULES)
    wanted = plain.with_name(f"{plain.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}")
    if wanted.exists():
        return wanted
    downloads = plain.parent / "downloads"
    with lock(plain.parent / "lock", lambda seconds: progress("engine: wait for another fetch", seconds, None)):
        if not wanted.exists():
            with whole(wanted) as unfinished:
                shutil.copytree(plain, unfinished, copy_function=link, dirs_exist_ok=True)
                for module in MODULES:
                    folder = unfinished / "modules" / module.name
                    folder.mkdir()
                    (folder / "plugin-descriptor.properties").write_text(module.descriptor, encoding="utf-8")
                    if module.policy:
                        (folder / "plugin-security.policy").write_text(module.policy, encoding="utf-8")
                    for jar in module.jars:
                        shutil.copyfile(fetch(jar, downloads, progress), folder / jar.file_name)
        shutil.rmtree(downloads, ignore_errors=True)
    return wanted


def find_java_17(run_as: RunAs) -> Java:
    """The first full JDK from 17 to 21 on this machine.

    Raises:
        MissingDependencyError: there is none.
    """
    for home in candidates(os.environ):
        java = probe(home, run_as)
        if java is not None and java.version in JAVA_VERSIONS and java.thai:
            return java
    raise MissingDependencyError("no JDK from 17 to 21 found", hint="apt install openjdk-17-jre-headless")


def reachable(folder: Path, run_as: RunAs) -> Path:
    """`folder`, made so that the engine's user can enter it."""
    make_readable(folder)
    run_as.require_reach(folder, "NEURALSHELF_CACHE")
    return folder
