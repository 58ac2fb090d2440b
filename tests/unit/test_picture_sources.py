"""A row names pictures of one source. Whatever it names, nothing else is read, nothing large, and nothing fetched."""

import gzip
import io
import os
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from neuralshelf.errors import ConfigError, InputError, MissingDependencyError
from neuralshelf.ingestion import archives, bucket
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.pictures import Folder, Pictures, plain_name
from neuralshelf.ingestion.sources import open_pictures

FILES = {"a.jpg": b"A" * 1000, "deep/er/b.png": bytes(range(256)) * 20, "empty.jpg": b"", "ü 漢.jpg": b"U"}

Fill = Callable[[Path, dict[str, bytes]], str]


def in_folder(at: Path, files: dict[str, bytes]) -> str:
    folder = at / "pictures"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return str(folder)


def in_zip(at: Path, files: dict[str, bytes]) -> str:
    with zipfile.ZipFile(at / "pictures.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("deep")
        for name, data in files.items():
            archive.writestr(name, data)
    return str(at / "pictures.zip")


def in_tar(at: Path, files: dict[str, bytes], name: str = "pictures.tar", mode: Any = "w") -> str:
    with tarfile.open(at / name, mode) as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(f"./{file}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(at / name)


def in_packed_tar(at: Path, files: dict[str, bytes]) -> str:
    return in_tar(at, files, "pictures.TGZ", "w:gz")


def in_bucket(at: Path, files: dict[str, bytes]) -> str:
    """Below the prefix `spring/pictures`, with something else beside it."""
    client = boto3.client("s3", region_name="eu-central-1")
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket="shop", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for name, data in files.items():
        client.put_object(Bucket="shop", Key=f"spring/pictures/{name}", Body=data)
    client.put_object(Bucket="shop", Key="spring/secret.txt", Body=b"secret")
    return "s3://shop/spring/pictures/"


SOURCES: dict[str, Fill] = {
    "folder": in_folder,
    "zip": in_zip,
    "tar": in_tar,
    "tar.gz": in_packed_tar,
    "s3": in_bucket,
}


@pytest.fixture(scope="module", autouse=True)
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """S3 of this process alone."""
    folder = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pictures]:
    """Each kind of source, with FILES in it."""
    found = open_pictures(SOURCES[request.param](tmp_path_factory.mktemp(request.param), FILES))
    yield found
    found.close()


@pytest.fixture(scope="module")
def s3(aws: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A client of S3 with FILES in it, below s3://shop/spring/pictures."""
    in_bucket(tmp_path_factory.getbasetemp(), FILES)
    return boto3.client("s3", region_name="eu-central-1")


@pytest.fixture
def shop(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Pictures:
    """The bucket, newly opened."""
    monkeypatch.setattr(bucket, "service_client", lambda *words, **options: s3)
    return open_pictures("s3://shop/spring/pictures")


def refused(source: Pictures, name: str, limit: int = 100_000) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        source.picture(name).read(limit)
    assert "\n" not in str(caught.value)
    return caught.value.code, str(caught.value)


def test_every_source_gives_the_same_bytes_under_the_same_names(source: Pictures) -> None:
    for name, data in FILES.items():
        picture = source.picture(f"./{name}")
        assert picture.name == name
        assert picture.read(len(data)) == data


def test_a_picture_over_the_limit_is_refused_with_its_size(source: Pictures) -> None:
    assert refused(source, "a.jpg", 999) == ("TooManyBytes", "a.jpg: 1000 bytes; at most 999")


def test_what_is_not_there_or_no_file_is_unreadable(source: Pictures) -> None:
    for name in ("b.jpg", "deep", "a.jpg/x", "A.JPG", "x" * 300):
        assert refused(source, name)[0] == "Unreadable"


def test_several_threads_read_at_once(source: Pictures) -> None:
    names = list(FILES) * 100
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(lambda name: source.picture(name).read(10_000), names))
    assert read == [FILES[name] for name in names]


ELSEWHERE = (
    "http://169.254.169.254/latest/meta-data",
    "HTTPS://example.com/a.jpg",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "s3://other/a.jpg",
    "s3://shop/spring/secret.txt",
    "data:image/png;base64,AAAA",
    "//example.com/a.jpg",
    "/etc/passwd",
    "../secret.txt",
    "deep/../../secret.txt",
    "deep/..",
    "a\0.jpg",
    "\ud800.jpg",
    "",
    ".",
    "//",
)


def test_no_row_can_name_anything_outside_of_its_source(source: Pictures) -> None:
    for name in ELSEWHERE:
        with pytest.raises(ValueError, match="picture '"):
            source.picture(name)


def test_an_address_inside_of_the_bucket_is_a_name(shop: Pictures) -> None:
    picture = shop.picture("s3://shop/spring/pictures/deep/er/b.png")
    assert (picture.name, picture.read(9999)) == ("deep/er/b.png", FILES["deep/er/b.png"])
    with pytest.raises(ValueError, match="outside"):
        shop.picture("s3://shop/spring/pictures/../secret.txt")


@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "", "a", "http:", "\0", "\\"])).map("/".join))
def test_a_name_is_plain_or_refused(name: str) -> None:
    try:
        plain = plain_name(name)
    except ValueError as fault:
        assert str(fault).isprintable()  # noqa: PT017 - not always raised
        return
    assert plain_name(plain) == plain
    assert os.path.normpath(f"/source/{plain}") == f"/source/{plain}"


# folders


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    source = Folder(Path(in_folder(tmp_path, FILES)))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "pictures" / "link.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    (tmp_path / "pictures" / "linked").symlink_to(tmp_path / "outside")
    (tmp_path / "pictures" / "loop").symlink_to("loop")
    (tmp_path / "pictures" / "within.jpg").symlink_to("deep/er/b.png")
    for name in ("link.jpg", "linked/secret.jpg"):
        assert "leads out of the pictures' folder" in refused(source, name)[1]
    assert refused(source, "loop")[0] == "Unreadable"
    assert source.picture("within.jpg").read(9999) == FILES["deep/er/b.png"]


def test_a_folder_exchanged_for_a_link_while_a_picture_is_opened_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Folder(Path(in_folder(tmp_path, FILES)))
    (tmp_path / "outside" / "er").mkdir(parents=True)
    (tmp_path / "outside" / "er" / "b.png").write_bytes(b"secret")
    real = os.path.realpath

    def exchange(path: Any, **options: Any) -> str:
        found = str(real(path, **options))
        (tmp_path / "pictures" / "deep").rename(tmp_path / "moved")
        (tmp_path / "pictures" / "deep").symlink_to(tmp_path / "outside")
        return found

    monkeypatch.setattr(os.path, "realpath", exchange)
    assert refused(source, "deep/er/b.png")[0] == "Unreadable"


def test_a_pipe_is_not_waited_for_and_a_folder_without_leave_is_said(tmp_path: Path) -> None:
    source = Folder(Path(in_folder(tmp_path, FILES)))
    os.mkfifo(tmp_path / "pictures" / "pipe.jpg")
    assert refused(source, "pipe.jpg") == ("Unreadable", "pipe.jpg: not a file")


# archives


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


# S3


def fail(shop: Pictures, monkeypatch: pytest.MonkeyPatch, code: str, status: int) -> None:
    """Let S3 refuse every object."""
    from botocore.exceptions import ClientError

    def refuse(**request: Any) -> Any:
        answer: Any = {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "GetObject")

    monkeypatch.setattr(shop._client, "get_object", refuse)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("SlowDown", 503, "PictureThrottled"),
        ("InternalError", 500, "PictureThrottled"),
        ("AccessDenied", 403, "PictureForbidden"),
        ("InvalidObjectState", 403, "Unreadable"),
        ("NoSuchKey", 404, "Unreadable"),
    ],
)
def test_what_s3_refuses_of_one_picture_is_its_letter(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch, code: str, status: int, expected: str
) -> None:
    fail(shop, monkeypatch, code, status)
    assert refused(shop, "a.jpg")[0] == expected


@pytest.mark.parametrize(
    ("code", "words"),
    [("ExpiredToken", "log in again"), ("NoSuchBucket", "check its name"), ("InvalidAccessKeyId", "credentials")],
)
def test_what_s3_refuses_as_a_whole_stops_the_run(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    fail(shop, monkeypatch, code, 400)
    with pytest.raises(InputError, match=f"s3://shop/spring/pictures: {code}: why; next: .*{words}"):
        shop.picture("a.jpg").read(10)


def test_a_bucket_that_forbids_or_throttles_everything_stops_the_run(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(shop, monkeypatch, "AccessDenied", 403)
    for _ in range(bucket.FAILURES_IN_A_ROW - 1):
        assert refused(shop, "a.jpg")[0] == "PictureForbidden"
    with pytest.raises(InputError, match="the last 20 pictures were forbidden or throttled"):
        shop.picture("a.jpg").read(10)


def test_forbidden_pictures_don_t_stop_a_run_that_has_read_others(
    shop: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.picture("a.jpg").read(1000)
    fail(shop, monkeypatch, "AccessDenied", 403)
    for _ in range(bucket.FAILURES_IN_A_ROW + 5):
        assert refused(shop, "a.jpg")[0] == "PictureForbidden"


def test_a_bucket_that_is_not_there_is_told_before_the_run(shop: Pictures) -> None:
    with pytest.raises(InputError, match="bucket nowhere: there is none; next:"):
        open_pictures("s3://nowhere/x")
    with pytest.raises(InputError, match="is no address of a bucket"):
        open_pictures("s3://No_Bucket")


def test_s3_that_can_t_be_reached_or_asked_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = boto3.client("s3", endpoint_url="http://127.0.0.1:9", region_name="eu-central-1", config=no_retries())
    monkeypatch.setattr(bucket, "service_client", lambda *words, **options: unreachable)
    with pytest.raises(InputError, match=r"s3://shop: Could not connect .*; next: check the network"):
        open_pictures("s3://shop")


def no_retries() -> Any:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1}, connect_timeout=1)


def test_without_credentials_or_boto3_s3_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match="no AWS credentials found; next: set AWS_PROFILE"):
        open_pictures("s3://shop")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingDependencyError, match=r"neuralshelf\[aws\]"):
        open_pictures("s3://shop")


@pytest.mark.parametrize("name", ["http://example.com/pictures", "gs://bucket/x", "nowhere", "notes.txt"])
def test_another_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="pictures") as caught:
        open_pictures(name)
    assert caught.value.hint
