"""Zip and tar files with anything in them: only whole plain files within the limit are pictures."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.sources import archives
from neuralshelf.ingestion.sources.pictures import Pictures
from neuralshelf.ingestion.sources.source import open_pictures
from tests.unit.picture_sources import (
    FILES,
    Fill,
    in_packed_tar,
    in_tar,
    in_zip,
    refused,
)


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Pictures:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return open_pictures(str(path))


def tar_of(path: Path, *members: tuple[str, bytes, bytes]) -> Pictures:
    with tarfile.open(path, "w") as archive:
        for name, kind, data in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "/etc/passwd"
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return open_pictures(str(path))


def test_members_that_are_there_twice_or_but_for_capitals_are_ambiguous(tmp_path: Path) -> None:
    source = zip_of(
        tmp_path / "x.zip", ("a.jpg", b"1"), ("./a.jpg", b"2"), ("b.jpg", b"3"), ("B.jpg", b"4"), ("c", b"5")
    )
    for name in ("a.jpg", "b.jpg", "B.jpg"):
        assert refused(source, name)[0] == "AmbiguousPicture"
    assert source.picture("c").read(9) == b"5"
    source.close()
    regular = tarfile.REGTYPE
    source = tar_of(tmp_path / "x.tar", ("a", regular, b"1"), ("A", regular, b"2"), ("c", regular, b"5"))
    assert refused(source, "a")[0] == "AmbiguousPicture"
    assert source.picture("c").read(9) == b"5"
    source.close()


def test_members_with_names_out_of_the_archive_can_t_be_reached(tmp_path: Path) -> None:
    names = ("../up.jpg", "/abs.jpg", "http://x/y.jpg", "ok.jpg")
    source = zip_of(tmp_path / "x.zip", *((name, b"x") for name in names))
    assert source.picture("ok.jpg").read(9) == b"x"
    for name in ("up.jpg", "abs.jpg"):
        assert refused(source, name)[0] == "Unreadable"
    source.close()


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_links_and_devices_of_a_tar_are_no_pictures(tmp_path: Path, kind: bytes) -> None:
    source = tar_of(tmp_path / "x.tar", ("link.jpg", kind, b""), ("ok.jpg", tarfile.REGTYPE, b"x"))
    assert "a link or device" in refused(source, "link.jpg")[1]
    assert source.picture("ok.jpg").read(9) == b"x"
    source.close()


def test_links_and_encrypted_members_of_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    zip_of(tmp_path / "x.zip", (link, b"/etc/passwd"), ("locked.jpg", b"x")).close()
    data = bytearray((tmp_path / "x.zip").read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(mark) + offset] |= 1  # says that it is encrypted
    (tmp_path / "x.zip").write_bytes(data)
    source = open_pictures(str(tmp_path / "x.zip"))
    assert "a link or device" in refused(source, "link.jpg")[1]
    assert refused(source, "locked.jpg")[0] == "EncryptedPicture"
    source.close()


def test_bombs_are_refused_by_their_declared_size_and_by_their_real_one(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    zip_of(path, ("bomb.jpg", b"\0" * 50_000_000)).close()
    source = open_pictures(str(path))
    assert refused(source, "bomb.jpg") == ("TooManyBytes", "bomb.jpg: 50000000 bytes; at most 100000")
    source.close()
    data = path.read_bytes().replace((50_000_000).to_bytes(4, "little"), (50_000).to_bytes(4, "little"))
    path.write_bytes(data)
    source = open_pictures(str(path))
    assert refused(source, "bomb.jpg")[0] == "Unreadable"  # cut at what it declared: the checksum is another
    source.close()


def test_methods_that_unpack_without_a_limit_are_refused(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "x.zip", ("a.jpg", b"\0" * 1000), method=zipfile.ZIP_LZMA)
    assert "a method other than store and deflate" in refused(source, "a.jpg")[1]
    source.close()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-300], lambda data: data[:50], lambda data: b"", lambda data: b"x" * 600]
)
@pytest.mark.parametrize("fill", [in_zip, in_tar, in_packed_tar])
def test_a_damaged_archive_is_told_at_once(tmp_path: Path, fill: Fill, damage: Callable[[bytes], bytes]) -> None:
    path = Path(fill(tmp_path, {name: os.urandom(11_000) for name in ("a", "b")}))
    data = path.read_bytes()
    if fill is in_tar:
        data = data.rstrip(b"\0")
    path.write_bytes(damage(data))
    with pytest.raises(InputError, match=r"can't be read as a (zip|tar).*; next: make the archive again"):
        open_pictures(str(path))


def test_a_tar_damaged_in_the_middle_is_told_though_its_beginning_is_whole(tmp_path: Path) -> None:
    path = Path(in_tar(tmp_path, {"a": b"A" * 512, "b": b"B"}))
    data = bytearray(path.read_bytes())
    data[1024 + 10] ^= 0xFF  # in the second header
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged at byte 1024"):
        open_pictures(str(path))


def test_headers_and_directories_of_any_size_are_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.jpg")
        member.pax_headers = {"comment": "x" * 2_000_000}
        archive.addfile(member)
    with pytest.raises(InputError, match="a header of 2000"):
        open_pictures(str(tmp_path / "x.tar"))
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 100)
    with pytest.raises(InputError, match="its directory has"):
        open_pictures(in_zip(tmp_path, FILES))
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    with pytest.raises(InputError, match="more than 3 members"):
        open_pictures(in_tar(tmp_path, FILES))


def test_a_packed_tar_is_unpacked_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(b"\0" * 5_000_000))
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 4_000_000)
    with pytest.raises(InputError, match="more than 4000000 bytes unpacked"):
        open_pictures(str(tmp_path / "x.tar.gz"))


@settings(deadline=None)  # files on a busy machine
@given(data=st.binary(max_size=600), at=st.integers(0, 3000), fill=st.sampled_from([in_zip, in_tar]))
def test_an_archive_with_any_bytes_in_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, fill: Fill
) -> None:
    path = Path(fill(tmp_path_factory.getbasetemp(), FILES))
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + data + whole[at + len(data) :])
    try:
        source = open_pictures(str(path))
    except InputError:
        return
    for name in FILES:
        try:
            assert len(source.picture(name).read(6000)) <= 6000
        except Refused as fault:
            assert fault.code.isalpha()  # noqa: PT017 - not always raised
    source.close()
