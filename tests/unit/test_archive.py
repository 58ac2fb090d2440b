"""Archives that are built: the same bytes each time, whole or not at all, and safe by our own check."""

import gzip
import os
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from neuralshelf.model_packages.packaging import archive
from neuralshelf.model_packages.packaging.archive import Built, build, check, contents, unpack
from neuralshelf.model_packages.packaging.manifest import PackageError
from neuralshelf.model_packages.packaging.weights import Weight
from tests.unit import model_package, tars

WEIGHTS = tars.safetensors()


def chosen(folder: Path, **files: bytes) -> dict[str, Weight]:
    weights = model_package.write_weights(folder, **files)
    return {
        path.relative_to(weights).as_posix(): Weight(path, model_package.digest(path.read_bytes()))
        for path in weights.iterdir()
    }


def built(folder: Path) -> Built:
    return build(model_package.write(folder), chosen(folder), folder / "out" / "model.tar.gz")


def test_it_holds_the_weights_at_its_root_the_code_and_the_sources(tmp_path: Path) -> None:
    made = built(tmp_path)
    inside = "code/neuralshelf/model_packages"
    names = ["code/helper.py", "code/inference.py", "code/neuralshelf/__init__.py", f"{inside}/__init__.py"]
    names += [f"{inside}/encoder.py", "code/requirements.txt", "model.safetensors"]
    assert [file.name for file in made.files] == names
    assert made.files == check(made.path)
    assert made.sha256 == model_package.digest(made.path.read_bytes())
    assert made.bytes == made.path.stat().st_size
    unpack(made.path, tmp_path / "model")
    assert (tmp_path / "model" / "code" / "neuralshelf" / "__init__.py").read_text() == ""
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == WEIGHTS


def test_two_builds_are_the_same_bytes_whatever_time_owner_order_or_cache_the_files_have(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first = built(tmp_path / "first")
    package = model_package.write(tmp_path / "second")
    weights = chosen(tmp_path / "second")
    files = [path for path in (tmp_path / "second").rglob("*") if path.is_file()]
    random.Random(1).shuffle(files)
    for path in files:
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        path.chmod(0o600)
        os.utime(path, (1, 1))
    cache = package / "code" / "__pycache__"
    cache.mkdir()
    (cache / "inference.cpython-311.pyc").write_bytes(b"\0")
    time.sleep(1.1)  # gzip's time has seconds
    umask = os.umask(0o077)
    try:
        second = build(package, weights, tmp_path / "other-name.tgz")
    finally:
        os.umask(umask)
    assert first.path.read_bytes() == second.path.read_bytes()


def test_its_bytes_are_those_of_every_machine(tmp_path: Path) -> None:
    package = model_package.write(tmp_path, sources=())
    (package / "code" / "inference.py").write_text("pass\n")
    made = build(package, chosen(tmp_path), tmp_path / "model.tar.gz")
    assert made.sha256 == "131a82d6ec2421aba3a7a3edd1716e5f918e29c345ebad854620b3c96360fb73"
    raw = made.path.read_bytes()
    assert raw[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, no system
    plain = gzip.decompress(raw)
    with tarfile.open(made.path) as opened:
        for member in opened:
            about = (member.uid, member.gid, member.uname, member.gname, member.mode, member.mtime, member.pax_headers)
            assert about == (0, 0, "", "", 0o644, 0, {})
    assert len(raw) < len(plain) + 64


def test_weights_of_many_blocks_come_back_whole(tmp_path: Path) -> None:
    for size in (65535 - 512, 65535, 65536, 3 * 2**20 + 1):
        folder = tmp_path / str(size)
        folder.mkdir()
        data = random.Random(size).randbytes(size)
        whole = tars.safetensors({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}, data)
        made = build(model_package.write(folder), chosen(folder, m__safetensors=whole), folder / "model.tar.gz")
        with tarfile.open(made.path) as opened:
            member = opened.extractfile("m.safetensors")
            assert member is not None
            assert member.read() == whole
        subprocess.run(["gzip", "--test", made.path], check=True)
        subprocess.run(["tar", "-xzf", made.path, "-C", folder], check=True)
        assert (folder / "m.safetensors").read_bytes() == whole


def test_progress_comes_in_bytes_and_ends_with_all(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    build(
        model_package.write(tmp_path), chosen(tmp_path), tmp_path / "m.tar.gz", progress=lambda *step: told.append(step)
    )
    packed = [step for step in told if step[0] == "pack"]
    assert packed[-1][1] == packed[-1][2] != 0


def nothing_but(folder: Path, *names: str) -> bool:
    return {path.name for path in folder.iterdir()} == set(names)


def test_weights_of_another_digest_are_not_packed(tmp_path: Path) -> None:
    weights = chosen(tmp_path)
    weights["model.safetensors"].path.write_bytes(tars.safetensors({}, b""))
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.tar.gz").write_text("before")
    with pytest.raises(PackageError, match=r"model\.safetensors: SHA-256 expected [0-9a-f]{64}, found [0-9a-f]{64}"):
        build(model_package.write(tmp_path), weights, out / "model.tar.gz")
    assert (out / "model.tar.gz").read_text() == "before"
    assert nothing_but(out, "model.tar.gz")


@pytest.mark.parametrize("content", [b"\x80\x04\x95.", b"PK\x03\x04", b""])
def test_a_pickle_under_another_name_is_not_packed(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(PackageError, match=r"weights/model\.safetensors: is not safetensors"):
        build(
            model_package.write(tmp_path), chosen(tmp_path, model__safetensors=content), tmp_path / "out" / "m.tar.gz"
        )
    assert nothing_but(tmp_path / "out")


@pytest.mark.parametrize("name", ["model.pt", "model.bin", "run.sh", "a b.json", "model.h5"])
def test_other_kinds_of_files_are_not_packed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"")
    with pytest.raises(PackageError, match=rf": {name} (is|has) "):
        build(model_package.write(tmp_path), {name: Weight(path, "")}, tmp_path / "m.tar.gz")
    assert not (tmp_path / "m.tar.gz").exists()


@pytest.mark.parametrize("name", ["notes.sh", ".inference.py.swp", "weights.pt", "a b.py"])
def test_other_kinds_of_files_beside_the_code_are_not_packed(tmp_path: Path, name: str) -> None:
    package = model_package.write(tmp_path)
    (package / "code" / name).write_text("")
    with pytest.raises(PackageError, match=f"code/{name} (is|has) "):
        contents(package, {})


def test_a_link_in_the_code_is_not_followed(tmp_path: Path) -> None:
    package = model_package.write(tmp_path)
    (package / "code" / "secret.txt").symlink_to("/etc/passwd")
    with pytest.raises(PackageError, match=r"secret\.txt: is a symbolic link"):
        contents(package, {})


def test_weights_cannot_be_code(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="can't lie in code/"):
        contents(model_package.write(tmp_path), {"code/inference.py": Weight(tmp_path / "x", "")})


@pytest.mark.parametrize("name", ["inference.py", "requirements.txt"])
def test_what_a_container_needs_must_be_there(tmp_path: Path, name: str) -> None:
    package = model_package.write(tmp_path)
    (package / "code" / name).unlink()
    with pytest.raises(PackageError, match=f"code/{name} is missing"):
        contents(package, {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("numpy", "expected NAME==VERSION"),
        ("numpy>=2", "expected NAME==VERSION"),
        ("numpy==2.*", "expected NAME==VERSION"),
        ("git+https://example.org/x.git", "expected NAME==VERSION"),
        ("x @ https://example.org/x.whl", "expected NAME==VERSION"),
        ("--extra-index-url https://example.org", "expected NAME==VERSION"),
        ("-r other.txt", "expected NAME==VERSION"),
        ("torch==2.6.0", "the container has it"),
        ("sagemaker_inference==1.10.1", "the container has it"),
    ],
)
def test_requirements_are_names_with_one_version(tmp_path: Path, line: str, said: str) -> None:
    package = model_package.write(tmp_path)
    path = package / "code" / "requirements.txt"
    path.write_text(
        f"# a comment\n\nopen_clip_torch==3.2.0  # why\nx[a,b]==1.0+cpu ; python_version < '3.13'\n{line}\n"
    )
    with pytest.raises(PackageError, match=rf"requirements\.txt:5: .*{said}"):
        contents(package, {})


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("import neuralshelf.model_packages.background", "neuralshelf/model_packages/background.py"),
        ("from neuralshelf.model_packages.server.limits import Limits", "neuralshelf/model_packages/server/limits.py"),
        ("from neuralshelf.model_packages.server import limits", "neuralshelf/model_packages/server/limits.py"),
        ("from neuralshelf import errors", "neuralshelf/errors.py"),
        ("def late():\n    import neuralshelf.errors", "neuralshelf/errors.py"),
        ("try:\n    pass\nexcept ImportError:\n    from neuralshelf.aws import x", "neuralshelf/aws.py"),
    ],
)
def test_a_module_that_does_not_go_along_is_named(tmp_path: Path, line: str, missing: str) -> None:
    package = model_package.write(tmp_path)
    (package / "code" / "helper.py").write_text(f"{line}\n")
    with pytest.raises(PackageError, match=rf"code/helper\.py imports neuralshelf.*{missing} does not go along"):
        contents(package, {})


@pytest.mark.parametrize(
    "text",
    [
        "from neuralshelf.model_packages.encoder import Encoder, Sample",
        "from neuralshelf.model_packages import encoder",
        "import neuralshelf.model_packages.encoder as e",
        "import torch, os.path",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from neuralshelf.errors import ConfigError",
    ],
)
def test_modules_that_go_along_or_are_not_ours_are_fine(tmp_path: Path, text: str) -> None:
    package = model_package.write(tmp_path)
    (package / "code" / "helper.py").write_text(text)
    assert "code/helper.py" in contents(package, {})


def test_relative_imports_of_sources_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "toy").mkdir(parents=True)
    (root / "toy" / "a.py").write_text("from . import b\nfrom .c import d\nfrom ..encoder import Sample\n")
    for name in ("toy/b.py", "toy/c.py", "encoder.py", "toy/__init__.py"):
        (root / name).write_text("")
    every = ("toy/__init__.py", "toy/a.py", "toy/b.py", "toy/c.py", "encoder.py")
    for number in range(1, 5):
        folder = tmp_path / str(number)
        folder.mkdir()
        package = model_package.write(folder, sources=every)
        assert contents(package, {}, root)
        manifest = (package / "package.json").read_text()
        if every[number] != "toy/a.py":
            (package / "package.json").write_text(manifest.replace(f'"{every[number]}"', '"toy/a.py"'))
            with pytest.raises(PackageError, match=r"toy/a\.py imports .* does not go along"):
                contents(package, {}, root)


def test_code_that_is_not_python_is_named(tmp_path: Path) -> None:
    package = model_package.write(tmp_path)
    (package / "code" / "helper.py").write_text("def (")
    with pytest.raises(PackageError, match=r"helper\.py: not Python"):
        contents(package, {})


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"sources: server/none\.py is not a file of model_packages"):
        contents(model_package.write(tmp_path, sources=("server/none.py",)), {})


def test_the_unpacked_code_runs_without_this_project(tmp_path: Path) -> None:
    """As in the container: nothing of neuralshelf can be imported but what went along."""
    made = built(tmp_path)
    unpack(made.path, tmp_path / "model")
    code = (
        "import sys\nsys.meta_path[:] = [finder for finder in sys.meta_path if 'editable' not in repr(finder)]\n"
        "import inference, neuralshelf.model_packages.encoder as encoder\n"
        "model = inference.model_fn('..')\n"
        "print(encoder.__file__, inference.output_fn(inference.predict_fn(inference.input_fn("
        '\'{"inputText": "abc"}\', None), model), None))\n'
        "try:\n    import neuralshelf.errors\nexcept ImportError as fault:\n    print(fault.name)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path / "model" / "code", check=True, capture_output=True, text=True)
    assert f"{tmp_path}/model/code/neuralshelf/model_packages/encoder.py" in done.stdout
    assert '{"embedding": [3.0, 6.0]}' in done.stdout
    assert done.stdout.endswith("neuralshelf.errors\n")


def test_an_archive_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PackageError, match="next: mend that"):
        build(model_package.write(tmp_path), chosen(tmp_path), tmp_path / "file" / "model.tar.gz")


def test_an_interrupted_build_leaves_what_was_there(tmp_path: Path) -> None:
    def interrupt(step: str, _done: int, _total: int | None) -> None:
        if step == "check archive":
            raise KeyboardInterrupt

    out = tmp_path / "out"
    out.mkdir()
    (out / "model.tar.gz").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        build(model_package.write(tmp_path), chosen(tmp_path), out / "model.tar.gz", progress=interrupt)
    assert (out / "model.tar.gz").read_text() == "before"
    assert nothing_but(out, "model.tar.gz")


def test_an_archive_that_changes_while_it_is_unpacked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = built(tmp_path)
    other = tars.archive(tmp_path, tars.member("model.safetensors", tars.safetensors({}, b"")))

    def swapping(path: Path, *rest: object) -> object:
        found = check(path)
        other.replace(path)
        return found

    monkeypatch.setattr(archive, "check", swapping)
    with pytest.raises(PackageError):
        unpack(made.path, tmp_path / "model")
    assert not (tmp_path / "model").exists()
