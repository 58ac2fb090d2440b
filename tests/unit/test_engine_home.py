"""Assembling a home from small zips of the same make as the official ones."""

import hashlib
import io
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from neuralshelf.engine.artifacts import Artifact, Release
from neuralshelf.engine.home import HomeCache, unpack
from neuralshelf.errors import EngineError

BREAKS = "META-INF/services/java.text.spi.BreakIteratorProvider"
DATES = "META-INF/services/java.text.spi.DateFormatProvider"
NOBODY_ANSWERS = {"gone": "http://127.0.0.1:1"}


def silent(step: str, done: int, total: int | None) -> None:
    pass


def zipped(files: dict[str, tuple[str, int]]) -> bytes:
    """Name to (content, mode) as a zip; a name that ends in / is a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            out.writestr(entry, content)
    return buffer.getvalue()


FILES = {
    "opensearch": zipped(
        {
            "opensearch-9.9/": ("", 0o40755),
            "opensearch-9.9/bin/opensearch": ("#!/bin/sh\n", 0o755),
            "opensearch-9.9/config/jvm.options": ("-Xmx1g\n", 0o660),
            "opensearch-9.9/lib/core.jar": ("core", 0o644),
        }
    ),
    "neural": zipped(
        {
            "plugin-descriptor.properties": ("version=9\nname=opensearch-neural\n", 0o644),
            "neural.jar": ("neural", 0o644),
            "bin/tool": ("#!/bin/sh\n", 0o644),
            "config/neural.yml": ("a: 1\n", 0o660),
        }
    ),
    "icu4j": zipped({"Break.class": ("break", 0o644)}),
    "spi": zipped({BREAKS: ("com.Break\n", 0o644), DATES: ("com.Date\n", 0o644), "Spi.class": ("spi", 0o644)}),
}


def artifact(name: str, packaging: str = "zip") -> Artifact:
    content = FILES[name]
    return Artifact("org.example", name, "9.9", hashlib.sha256(content).hexdigest(), len(content), packaging)


RELEASE = Release(artifact("opensearch"), (artifact("neural"),), (artifact("icu4j", "jar"), artifact("spi", "jar")), 1)


def put_by_hand(cache: Path, *names: str) -> None:
    """Lay files where a fetch would put them."""
    folder = cache / "engine" / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    for made in (RELEASE.distribution, *RELEASE.plugins, *RELEASE.icu):
        if made.name in names:
            (folder / made.file_name).write_bytes(FILES[made.name])


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    put_by_hand(tmp_path, *FILES)
    return tmp_path


def test_assembles_distribution_and_plugins_readable_by_all(cache: Path) -> None:
    home = HomeCache(cache, RELEASE, NOBODY_ANSWERS).home(silent)
    assert (home / "bin" / "opensearch").stat().st_mode & 0o777 == 0o755
    assert (home / "config" / "jvm.options").stat().st_mode & 0o777 == 0o644
    assert (home / "plugins" / "opensearch-neural" / "neural.jar").read_text() == "neural"
    assert (home / "bin" / "opensearch-neural" / "tool").stat().st_mode & 0o777 == 0o755
    assert (home / "config" / "opensearch-neural" / "neural.yml").read_text() == "a: 1\n"
    assert not (home / "plugins" / "opensearch-neural" / "bin").exists()
    assert all(folder.stat().st_mode & 0o055 == 0o055 for folder in (home, home / "plugins", home / "lib"))


def test_an_assembled_home_needs_neither_network_nor_downloads(cache: Path) -> None:
    first = HomeCache(cache, RELEASE, NOBODY_ANSWERS).home(silent)
    assert not (cache / "engine" / "downloads").exists()
    told: list[str] = []
    assert HomeCache(cache, RELEASE, NOBODY_ANSWERS).home(lambda step, done, total: told.append(step)) == first
    assert told == []


def test_offline_and_cold_is_one_line_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuralshelf.engine.fetch.PAUSE_SECONDS", 0.0)
    with pytest.raises(EngineError, match=r"^opensearch-9\.9\.zip can't be fetched: no connection") as caught:
        HomeCache(tmp_path, RELEASE, NOBODY_ANSWERS).home(silent)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert not list((tmp_path / "engine").glob("opensearch-*"))


def test_no_space_is_said_before_the_first_byte(tmp_path: Path) -> None:
    greedy = Release(RELEASE.distribution, RELEASE.plugins, RELEASE.icu, unpacked=10**18)
    with pytest.raises(EngineError, match="no disk space for OpenSearch: "):
        HomeCache(tmp_path, greedy, NOBODY_ANSWERS).home(silent)


def test_a_failure_while_unpacking_leaves_no_home(cache: Path) -> None:
    broken = FILES["neural"][:-30]
    pin = Artifact("org.example", "neural", "9.9", hashlib.sha256(broken).hexdigest(), len(broken))
    (cache / "engine" / "downloads" / pin.file_name).write_bytes(broken)
    with pytest.raises(zipfile.BadZipFile):
        HomeCache(cache, Release(RELEASE.distribution, (pin,), RELEASE.icu, 1), NOBODY_ANSWERS).home(silent)
    assert not list((cache / "engine").glob("opensearch-*"))
    assert not list((cache / "engine").glob(".home-*"))


def test_what_a_killed_process_left_is_swept_away(cache: Path) -> None:
    left = cache / "engine" / ".home-killed" / "home"
    left.mkdir(parents=True)
    HomeCache(cache, RELEASE, NOBODY_ANSWERS).home(silent)
    assert not left.parent.exists()


def test_the_icu_flavour_has_two_jars_more_and_announces_word_boundaries_alone(cache: Path) -> None:
    homes = HomeCache(cache, RELEASE, NOBODY_ANSWERS)
    home = homes.home(silent, icu=True)
    plain = homes.home(silent)
    assert home != plain
    assert {path.name for path in (home / "lib").iterdir()} == {"core.jar", "icu4j-9.9.jar", "spi-9.9.jar"}
    assert {path.name for path in (plain / "lib").iterdir()} == {"core.jar"}
    with zipfile.ZipFile(home / "lib" / "spi-9.9.jar") as jar:
        assert set(jar.namelist()) == {BREAKS, "Spi.class"}
        assert jar.read(BREAKS) == b"com.Break\n"


def test_the_icu_flavour_can_be_added_later_and_takes_no_second_copy(cache: Path) -> None:
    plain = HomeCache(cache, RELEASE, NOBODY_ANSWERS).home(silent)
    put_by_hand(cache, "icu4j", "spi")
    home = HomeCache(cache, RELEASE, NOBODY_ANSWERS).home(silent, icu=True)
    assert (home / "lib" / "core.jar").samefile(plain / "lib" / "core.jar")


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.zip"
    file.write_bytes(zipped({"a/../../out": ("x", 0o644)}))
    with pytest.raises(EngineError, match=r"unsafe name"):
        unpack(file, tmp_path / "in" / "in")
    assert not (tmp_path / "out").exists()


_HOLD = """
import sys, time
from pathlib import Path
from neuralshelf.engine.locks import lock
with lock(Path(sys.argv[1]), lambda seconds: None):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_tool_waits_for_the_first_and_says_so(cache: Path) -> None:
    words = [sys.executable, "-c", _HOLD, str(cache / "engine" / "lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        waiting = threading.Event()

        def told(step: str, done: int, total: int | None) -> None:
            if step == "engine: wait for another fetch":
                waiting.set()

        got: list[Path] = []
        second = threading.Thread(target=lambda: got.append(HomeCache(cache, RELEASE, NOBODY_ANSWERS).home(told)))
        second.start()
        assert waiting.wait(20)
        assert not got
        first.kill()  # the kernel lets go of a killed holder's lock
        second.join(20)
        assert got
        assert (got[0] / "lib" / "core.jar").exists()
