"""Archives from elsewhere: what is unsafe is refused by the name of its member, early, and nothing is written."""

import gzip
import os
import subprocess
import sys
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuralshelf.model_packages.packaging.archive import ArchiveLimits, ArchiveRefused, check, unpack
from neuralshelf.model_packages.packaging.manifest import PackageError
from tests.unit import tars
from tests.unit.tars import refused

GOOD = tars.member("code/inference.py", b"pass\n")
WEIGHTS = tars.safetensors()
GIB = 2**30


def test_a_plain_archive_is_listed_and_unpacked(tmp_path: Path) -> None:
    members = GOOD, tars.member("model.safetensors", WEIGHTS), tars.member("vocab.txt", "ä\n".encode())
    path = tars.archive(tmp_path, tars.header("code/", kind=b"5", mode=0o755), *members)
    found = {member.name: member.bytes for member in check(path)}
    assert found == {"code/inference.py": 5, "model.safetensors": len(WEIGHTS), "vocab.txt": 3}
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == WEIGHTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tar.gz", "out"]
    with pytest.raises(PackageError, match="is there already"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_other_tars_write_of_a_folder_is_taken(tmp_path: Path, format: int) -> None:
    model = tmp_path / "model"
    (model / "code").mkdir(parents=True)
    (model / "code" / "inference.py").write_text("pass\n")
    (model / "model.safetensors").write_bytes(WEIGHTS)
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz", format=format) as made:
        made.add(model, arcname=".")
    assert {member.name for member in check(path)} == {"code/inference.py", "model.safetensors"}
    subprocess.run(["tar", "-czf", path, "-C", model, "."], check=True)
    assert {member.name for member in check(path)} == {"code/inference.py", "model.safetensors"}


NAMES = {
    "../escape.json": "climbs",
    "code/../../escape.py": "climbs",
    "..": "climbs",
    "/etc/passwd.txt": "absolute",
    "//host/share.txt": "absolute",
    "code\\..\\escape.py": "backslash",
    "C:\\escape.txt": "backslash",
    "C:/escape.txt": "other characters",
    "a\nb.txt": "control",
    "a\x1b[31m.txt": "control",
    "a\x7f.txt": "control",
    ".hidden.json": "hidden",
    ".git/config.txt": "hidden",
    "a//b.txt": "empty",
    "a/./b.txt": "hidden",
    "./../b.txt": "climbs",
    "a b.txt": "other characters",
    "-rf.txt": "other characters",
    "ä.txt": "backslash",
    "": "empty",
    "a.txt/": "empty",
}


@pytest.mark.parametrize("name", NAMES)
def test_an_unsafe_name_is_refused(tmp_path: Path, name: str) -> None:
    fault = refused(tars.archive(tmp_path, GOOD, tars.member(name, b"{}")))
    assert NAMES[name] in str(fault)
    assert str(fault).isprintable()
    if name.isascii():
        assert fault.member == name


def test_a_name_in_two_parts_is_judged_whole(tmp_path: Path) -> None:
    fault = refused(tars.archive(tmp_path, tars.member("passwd.txt", b"", prefix=b"/etc")))
    assert fault.member == "/etc/passwd.txt"
    long = tars.member("b" * 97 + ".txt"[:3], b"", prefix=b"a/" * 77 + b"a")
    assert "longer than 255" in str(refused(tars.archive(tmp_path, tars.member("b" * 100, b"", prefix=b"a" * 155))))
    assert refused(tars.archive(tmp_path, long))


KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"7": "a contiguous file",
    b"g": "a global PAX header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a GNU sparse file",
    b"Z": "no file",
}


@pytest.mark.parametrize("kind", KINDS)
def test_links_devices_pipes_and_odd_headers_are_refused(tmp_path: Path, kind: bytes) -> None:
    for link in (b"/etc/passwd", b"../../x", b"code/inference.py"):
        fault = refused(tars.archive(tmp_path, GOOD, tars.header("model.json", kind=kind, link=link)))
        assert fault.member == "model.json"
        assert KINDS[kind] in str(fault)


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777, 0o7777])
def test_setuid_setgid_and_sticky_bits_are_refused(tmp_path: Path, mode: int) -> None:
    assert "bit" in str(refused(tars.archive(tmp_path, tars.member("code/run.py", b"", mode=mode))))
    assert "bit" in str(refused(tars.archive(tmp_path, tars.header("code/", kind=b"5", mode=mode))))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a.json", "a.json"), "comes twice"),
        (("a.json", "./a.json"), "comes twice"),
        (("a.json", "A.json"), "differs only in case from a.json"),
        (("code/a.py", "Code/b.txt"), "differs only in case from code"),
        (("code/a.py", "CODE/"), "differs only in case from code"),
        (("code/", "code/"), "comes twice"),
        (("a.txt", "a.txt/b.txt"), "a file and a folder"),
        (("a.txt/b.txt", "a.txt"), "a file and a folder"),
        (("a.txt/", "a.txt"), "a file and a folder"),
    ],
)
def test_names_that_meet_on_some_file_system_are_refused(tmp_path: Path, names: tuple[str, str], said: str) -> None:
    members = [
        tars.header(name, kind=b"5") if name.endswith("/") else tars.member(name, b"{}" if "json" in name else b"")
        for name in names
    ]
    fault = refused(tars.archive(tmp_path, *members))
    assert fault.member == names[1]
    assert said in str(fault)


def test_a_folder_may_come_after_its_file_and_has_no_content(tmp_path: Path) -> None:
    assert check(tars.archive(tmp_path, GOOD, tars.header("code/", kind=b"5")))
    assert "with content" in str(refused(tars.archive(tmp_path, tars.member("code/", b"x", kind=b"5"))))


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    few = ArchiveLimits(members=20)
    many = [tars.member(f"{number}.txt") for number in range(21)]
    assert len(check(tars.archive(tmp_path, *many[:20]), few)) == 20
    assert refused(tars.archive(tmp_path, *many), few).member == "20.txt"


def test_too_many_bytes_are_refused_when_they_are_declared(tmp_path: Path) -> None:
    for size in (21 * GIB, 2**70):
        fault = refused(tars.archive(tmp_path, GOOD, tars.header("model.safetensors", size)))
        assert (fault.member, "too large" in str(fault)) == ("model.safetensors", True)
    assert "too large" in str(refused(tars.archive(tmp_path, GOOD, tars.header("vocab.json", 65 * 2**20))))


def test_too_many_bytes_in_all_are_refused(tmp_path: Path) -> None:
    data = os.urandom(600_000)
    one = tars.safetensors({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}, data)
    limits = ArchiveLimits(members=10, bytes=1_000_000)
    members = [tars.member(f"{name}.safetensors", one) for name in "abcd"]
    assert check(tars.archive(tmp_path, members[0]), limits)
    assert refused(tars.archive(tmp_path, *members), limits).member == "d.safetensors"


def big_tensor(size: int) -> bytes:
    """The start of a whole safetensors member of one tensor; its data follow."""
    start = tars.safetensors({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    return tars.header("model.safetensors", len(start) + size) + start


BOMBS = {
    "a tensor": big_tensor(10 * GIB),
    "zeros that are no tensor": tars.header("model.safetensors", 10 * GIB),
    "a text": tars.header("vocab.txt", 60 * 2**20),
    "after the end": GOOD + tars.END,
    "a PAX header": tars.header("PaxHeaders/x", 10 * GIB, b"x"),
    "a GNU long name": tars.header("././@LongLink", 10 * GIB, b"L"),
    "a folder": tars.header("code/", 10 * GIB, b"5"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_ten_gigabytes_of_zeros_are_refused_early_in_little_memory(tmp_path: Path, name: str) -> None:
    path = tars.swollen(tmp_path, BOMBS[name], 10 * GIB)
    assert path.stat().st_size < 11 * 2**20
    tracemalloc.start()
    started = time.process_time()
    try:
        refused(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 10
    assert peak < 16 * 2**20


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({"path": "../../x"}, "'path'"),
        ({"linkpath": "x"}, "'linkpath'"),
        ({"GNU__sparse__major": "1", "GNU__sparse__minor": "0"}, "'GNU.sparse.major'"),
        ({"GNU__sparse__realsize": "99999999999"}, "'GNU.sparse.realsize'"),
        ({"hdrcharset": "BINARY"}, "'hdrcharset'"),
        ({"SCHILY__xattr__security": "x"}, "'SCHILY.xattr.security'"),
        ({"size": "100"}, "changes a size"),
        ({"size": "-1"}, "changes a size"),
    ],
)
def test_pax_headers_that_change_what_is_read_are_refused(tmp_path: Path, records: dict[str, str], said: str) -> None:
    assert said in str(refused(tars.archive(tmp_path, tars.pax(**records), GOOD)))


@pytest.mark.parametrize(
    "content", [b"x", b"5 a=1", b"99 mtime=1\n", b"11 mtime=1x", b"0 a=b\n", b"-3 a=b\n", b"10 mtime=1", b"\xb2 a=b\n"]
)
def test_damaged_pax_headers_are_refused(tmp_path: Path, content: bytes) -> None:
    assert "damaged PAX" in str(refused(tars.archive(tmp_path, tars.member("p", content, b"x"), GOOD)))


def test_pax_headers_that_say_when_and_whose_are_taken(tmp_path: Path) -> None:
    records = {"mtime": "1700000000.123", "uname": "a=b", "comment": "x" * 200}
    path = tars.archive(tmp_path, tars.pax(**records), GOOD)
    assert [member.name for member in check(path)] == ["code/inference.py"]
    assert "after a PAX" in str(refused(tars.archive(tmp_path, tars.pax(mtime="1"), tars.pax(mtime="1"), GOOD)))
    assert "ends after" in str(refused(tars.archive(tmp_path, tars.pax(mtime="1"))))


@pytest.mark.parametrize(
    "path_of",
    [
        lambda folder: tars.archive(folder, GOOD[:-1], end=b""),
        lambda folder: tars.archive(folder, GOOD, end=b""),
        lambda folder: tars.archive(folder, GOOD, end=tars.END + GOOD + tars.END),
        lambda folder: tars.archive(folder, GOOD, end=bytes(2**21)),
        lambda folder: tars.archive(folder, b"x" * 512),
        lambda folder: tars.archive(folder, GOOD.replace(b"inference", b"inferenza")),
        lambda folder: tars.archive(folder, tars.member("a.txt", b"", magic=b"ustar  \0", prefix=b"x")),
        lambda folder: tars.archive(folder, tars.member("a.txt", b"", magic=b"\0" * 8)),
    ],
)
def test_an_archive_that_is_cut_damaged_or_goes_on_is_refused(tmp_path: Path, path_of: object) -> None:
    assert callable(path_of)
    refused(path_of(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(GOOD + tars.END)[:-4]])
def test_what_is_no_whole_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(content)
    refused(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"none\.tar\.gz: can't be read"):
        check(tmp_path / "none.tar.gz")


MEMBERS = st.builds(
    tars.member,
    st.one_of(
        st.sampled_from(["a.json", "A.json", "./a.json", "../a.json", "code/a.py", "code", "/a.txt", "a/b.txt", "a"]),
        st.binary(max_size=100),
    ),
    st.one_of(st.sampled_from([b"{}", WEIGHTS, b"pass"]), st.binary(max_size=700)),
    st.sampled_from([b"0", b"\0", b"5", b"1", b"2", b"x", b"L", b"g", b"S"]),
    st.integers(0, 0o7777),
)


@given(members=st.lists(MEMBERS, max_size=4), cut=st.one_of(st.none(), st.integers(0, 1500)), flip=st.integers(0, 4000))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_archive_holds_it_is_refused_or_unpacks_to_exactly_what_was_listed(
    tmp_path_factory: pytest.TempPathFactory, members: list[bytes], cut: int | None, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    content = bytearray(b"".join(members) + tars.END)
    if flip < len(content):
        content[flip] ^= 0x41
    path = folder / "model.tar.gz"
    path.write_bytes(gzip.compress(bytes(content[:cut]), 1))
    try:
        expected = {member.name: member.bytes for member in check(path)}
    except ArchiveRefused:
        refused(path)
        return
    out = folder / "out"
    unpack(path, out)
    found = {file.relative_to(out).as_posix(): file.stat().st_size for file in out.rglob("*") if file.is_file()}
    assert found == expected
    assert {entry.name for entry in folder.iterdir()} == {"model.tar.gz", "out"}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_unpacking_takes_little_memory_however_large_the_weights(tmp_path: Path) -> None:
    data = os.urandom(2**20) * 150
    whole = tars.safetensors({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}, data)
    path = tmp_path / "model.tar.gz"
    with gzip.open(path, "wb", compresslevel=0) as file:
        file.write(tars.member("model.safetensors", whole) + tars.END)
    code = (
        "import re, sys\nfrom pathlib import Path\n"
        "from neuralshelf.model_packages.packaging.archive import unpack\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(re.search('VmHWM: +([0-9]+)', Path('/proc/self/status').read_text().replace('\\t', ' '))[1])\n"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "out")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 60_000  # kB
