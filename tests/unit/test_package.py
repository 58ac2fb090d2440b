"""The verb package: weights checked by their digests, an archive made or looked at, one line when that can't be."""

import json
import re
import shlex
from pathlib import Path

import pytest

from neuralshelf.cli import main
from neuralshelf.deploy.package import packages
from neuralshelf.model_packages.packaging import archive, weights
from neuralshelf.model_packages.packaging.manifest import Manifest, PackageError
from neuralshelf.model_packages.server.__main__ import _parser
from neuralshelf.model_packages.server.handler import Handler, opened
from tests.unit import model_package, tars

SMALL = tars.safetensors()
LARGE = tars.safetensors({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}, bytes(12))
TWIN = SMALL[:-1] + b"\xc0"


def silent(*_: object) -> None: ...


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["package", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def fails(capsys: pytest.CaptureFixture[str], *words: object, code: int = 1) -> str:
    """Its one line."""
    found, out, err = run(capsys, *words)
    last = err.splitlines()[-1]
    assert (found, out) == (code, "")
    assert last.startswith("neuralshelf: ")
    assert "; next: " in last
    assert "Traceback" not in err
    return last


def test_the_alternative_is_the_one_whose_files_are_there(tmp_path: Path) -> None:
    entries = [
        model_package.entry("small", model__safetensors=SMALL),
        model_package.entry("large", model__safetensors=LARGE),
        model_package.entry("twin", model__safetensors=TWIN),
        model_package.entry("two", model__safetensors=LARGE, config__json=b"{}"),
    ]
    manifest = Manifest.read(model_package.write(tmp_path, *entries))
    for number, (name, content) in enumerate({"small": SMALL, "large": LARGE, "twin": TWIN}.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = model_package.write_weights(folder, model__safetensors=content, README__md=b"about")
        found, chosen = weights.published(manifest, given, silent)
        assert (found.name, set(chosen)) == (name, {"model.safetensors"})
        found, _ = weights.published(manifest, given / "model.safetensors", silent)
        assert found.name == name


def test_weights_behind_links_are_taken(tmp_path: Path) -> None:
    manifest = Manifest.read(model_package.write(tmp_path))
    given = tmp_path / "snapshot"
    given.mkdir()
    (tmp_path / "blob").write_bytes(SMALL)
    (given / "model.safetensors").symlink_to(tmp_path / "blob")
    assert weights.published(manifest, given, silent)[0].name == "small"


@pytest.mark.parametrize("content", [TWIN, LARGE, b""])
def test_a_file_that_differs_is_named_with_both_digests(tmp_path: Path, content: bytes) -> None:
    manifest = Manifest.read(model_package.write(tmp_path))
    given = model_package.write_weights(tmp_path, model__safetensors=content)
    with pytest.raises(PackageError) as caught:
        weights.published(manifest, given, silent)
    assert f"{given}/model.safetensors: SHA-256 expected {model_package.digest(SMALL)}" in str(caught.value)
    assert f"found {model_package.digest(content)} (toy small)" in str(caught.value)
    assert "fetch them from https://example.org/toy" in caught.value.hint


def test_missing_weights_are_named(tmp_path: Path) -> None:
    manifest = Manifest.read(model_package.write(tmp_path))
    given = model_package.write_weights(tmp_path, other__safetensors=SMALL)
    with pytest.raises(PackageError, match=r"lacks weights of toy \(small: model.safetensors\)"):
        weights.published(manifest, given, silent)
    with pytest.raises(PackageError, match="no such folder"):
        weights.published(manifest, tmp_path / "none", silent)


def test_a_package_without_digests_wants_a_lock(tmp_path: Path) -> None:
    manifest = Manifest.read(model_package.write(tmp_path, model_package.entry("own")))
    with pytest.raises(PackageError, match="no SHA-256 of weights; next: give --weights-lock FILE"):
        weights.published(manifest, model_package.write_weights(tmp_path), silent)


def test_a_lock_names_the_files_that_are_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = model_package.write(tmp_path)
    given = model_package.write_weights(tmp_path, mine__safetensors=LARGE, vocab__txt=b"a\n", old__bin=b"\x80\x04.")
    lock, out = tmp_path / "mine.lock.json", tmp_path / "model.tar.gz"
    code, said, _ = run(capsys, "--weights", given, "--write-lock", lock, "--dry-run")
    assert (code, lock.exists()) == (0, False)
    code, said, _ = run(capsys, "--weights", given, "--write-lock", lock)
    assert code == 0
    digests = {"mine.safetensors": model_package.digest(LARGE), "vocab.txt": model_package.digest(b"a\n")}
    assert json.loads(lock.read_text()) == digests
    assert said == "".join(f"{sha256}  {name}\n" for name, sha256 in digests.items())
    assert run(capsys, package, "--weights", given, "--out", out, "--weights-lock", lock)[0] == 0
    assert {file.name for file in archive.check(out)} >= set(digests)
    (given / "vocab.txt").write_text("b\n")
    said = fails(capsys, package, "--weights", given, "--out", out, "--weights-lock", lock)
    assert (
        f"vocab.txt: SHA-256 expected {digests['vocab.txt']}, found {model_package.digest(b'b' + bytes([10]))}" in said
    )
    (given / "vocab.txt").unlink()
    assert "vocab.txt is missing" in fails(capsys, package, "--weights", given, "--out", out, "--weights-lock", lock)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"a.txt": "abc"}', '{"../a.txt": "%s"}', '{"a.txt": 1}', '{"a": "%s", "a": "%s"}']
)
def test_a_lock_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "lock.json"
    lock.write_text(text.replace("%s", "ab" * 32))
    with pytest.raises(PackageError, match=r"lock\.json: .*; next: write one with --write-lock"):
        weights.read_lock(lock)
    with pytest.raises(PackageError, match="can't be read"):
        weights.read_lock(tmp_path / "none")


def test_pickles_alone_make_no_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = model_package.write_weights(tmp_path, model__pt=b"\x80\x04.")
    assert "no weights in it" in fails(capsys, "--weights", given, "--write-lock", tmp_path / "lock.json")


def test_it_packs_and_says_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package, given = model_package.write(tmp_path), model_package.write_weights(tmp_path)
    out = tmp_path / "out" / "model.tar.gz"
    words = package, "--weights", given, "--out", out
    code, said, _ = run(capsys, *words, "--dry-run", "--json")
    planned = json.loads(said)
    assert (code, planned["dry_run"], planned["sha256"], out.parent.exists()) == (0, True, "", False)
    code, said, err = run(capsys, *words)
    assert code == 0
    sha256 = model_package.digest(out.read_bytes())
    assert said.splitlines()[-1].endswith(f"{out}, weights small, SHA-256 {sha256}")
    assert "model.safetensors" in said
    assert "neuralshelf: pack" in err
    code, said, _ = run(capsys, *words, "--json")
    done = json.loads(said)
    assert done == {
        "format_version": 1,
        "archive": str(out),
        "weights": "small",
        "sha256": sha256,
        "bytes": out.stat().st_size,
        "files": planned["files"],
        "dry_run": False,
    }
    code, said, _ = run(capsys, "--check", out, "--json")
    assert (code, json.loads(said)) == (0, done | {"weights": ""})


def test_an_unsafe_archive_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tars.archive(tmp_path, tars.member("../\x1b[31mx.py", b""))
    said = fails(capsys, "--check", bad)
    assert f"{bad}: '../\\x1b[31mx.py' is no safe name: it climbs out by .." in said
    assert "no safe name" not in fails(capsys, "--check", tmp_path / "none")


def test_wrong_weights_leave_no_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package, given = model_package.write(tmp_path), model_package.write_weights(tmp_path, model__safetensors=TWIN)
    said = fails(capsys, package, "--weights", given, "--out", tmp_path / "out" / "model.tar.gz")
    assert "SHA-256 expected" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("toy",),
        ("toy", "--weights", "x"),
        ("toy", "--out", "x"),
        ("--weights", "x"),
        ("--weights", "x", "--out", "y"),
        ("--write-lock", "x"),
        ("toy", "--check", "x"),
        ("toy", "--weights", "x", "--write-lock", "y"),
        ("--weights", "x", "--weights-lock", "y", "--write-lock", "z"),
    ],
)
def test_options_that_mean_nothing_together_are_a_usage_error(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert "package wants NAME" in fails(capsys, *words, code=2)


def test_an_unknown_package_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(capsys, "nothing", "--weights", tmp_path, "--out", tmp_path / "x")
    assert "nothing: no model package" in said


def test_our_packages_are_listed_and_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capsys)
    assert code == 0
    found = packages()
    assert all(name in said for name in found)
    code, said, _ = run(capsys, "--json")
    assert [entry["name"] for entry in json.loads(said)["packages"]] == list(found)
    root = Path(archive.__file__).parents[1]
    for name in found:  # what goes along is closed, requirements are pinned
        assert "code/inference.py" in archive.contents(root / name, {})


def test_the_commands_of_the_docs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(__file__).resolve().parents[2].joinpath("docs", "packages.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    shown = [shlex.split(line, comments=True) for line in "".join(blocks).splitlines()]
    model_package.write(tmp_path)
    model_package.write_weights(tmp_path)
    monkeypatch.chdir(tmp_path)
    for words in shown:
        if words[:2] == ["neuralshelf", "package"]:
            assert main(words[1:]) == 0, words
        else:
            assert words[:3] == ["python", "-m", "neuralshelf.model_packages.server"]
            options = _parser().parse_args(words[3:])
            with opened(options.package, options.weights, options.cache) as (code, model_dir):
                assert Handler.load(code, model_dir)
    assert len(shown) == 7
    capsys.readouterr()
