"""A row names pictures of one source. Whatever it names, nothing else is read, nothing large, and nothing fetched."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neuralshelf.errors import InputError
from neuralshelf.ingestion.sources.pictures import Folder, Pictures, plain_name
from neuralshelf.ingestion.sources.source import open_pictures
from tests.unit.picture_sources import FILES, SOURCES, in_folder, pretended_aws, refused


@pytest.fixture(scope="module", autouse=True)
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """S3 without a network."""
    with pretended_aws(tmp_path_factory.mktemp("aws")):
        yield


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pictures]:
    """Each kind of source, with FILES in it."""
    found = open_pictures(SOURCES[request.param](tmp_path_factory.mktemp(request.param), FILES))
    yield found
    found.close()


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


@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "", "a", "http:", "\0", "\\"])).map("/".join))
@example("./HTTP:")
def test_a_name_is_plain_or_refused(name: str) -> None:
    try:
        plain = plain_name(name)
    except ValueError as fault:
        assert str(fault).isprintable()  # noqa: PT017 - not always raised
        return
    assert plain_name(plain) == plain
    assert os.path.normpath(f"/source/{plain}") == f"/source/{plain}"


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


@pytest.mark.parametrize("name", ["http://example.com/pictures", "gs://bucket/x", "nowhere", "notes.txt"])
def test_another_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="pictures") as caught:
        open_pictures(name)
    assert caught.value.hint
