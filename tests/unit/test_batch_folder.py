"""Files of transform jobs in S3: found by name, downloaded whole or not at all, deleted without a rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import IncompleteReadError
from botocore.response import StreamingBody

from neuralshelf.deploy.batch.folder import S3Folder, Stored, input_of
from neuralshelf.errors import ConfigError, InputError, ServerError
from tests.unit.picture_sources import pretended_aws

DATA = bytes(range(256)) * 9000


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[S3Folder]:
    """An empty folder of a bucket."""
    with pretended_aws(tmp_path):
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key="batch/job-2/else", Body=b"of another")
        yield S3Folder(s3, "models", "/batch/job/")


def only(folder: S3Folder) -> Stored:
    (found,) = folder.objects()
    return found


def test_files_come_back_as_they_were_and_go_without_a_rest(folder: S3Folder, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    sent: list[int] = []
    (folder / "input").upload(tmp_path / "a", "1.jsonl", sent.append)
    folder.put("manifest.json", b"[]")
    assert sum(sent) == len(DATA)
    assert [(s.name, s.size) for s in folder.objects()] == [("input/1.jsonl", len(DATA)), ("manifest.json", 2)]
    got: list[int] = []
    stored = only(folder / "input")
    (folder / "input").download(stored, tmp_path / "deep" / "b", got.append)
    assert (tmp_path / "deep" / "b").read_bytes() == (folder / "input").read(stored) == DATA
    assert sum(got) == len(DATA)
    assert folder.clear() == 2
    assert list(folder.objects()) == []
    assert len(list(S3Folder.of(folder._s3, "s3://models/batch/job-2").objects())) == 1


def test_a_download_goes_on_where_it_was_stopped(
    folder: S3Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("a", DATA)
    (tmp_path / "a.part").write_bytes(DATA[:1000])
    spans: list[str | None] = []
    get = folder._s3.get_object

    def asked(**request: Any) -> Any:
        spans.append(request.get("Range"))
        return get(**request)

    monkeypatch.setattr(folder._s3, "get_object", asked)
    folder.download(only(folder), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA
    assert spans == ["bytes=1000-"]
    folder.download(only(folder), tmp_path / "a")
    assert len(spans) == 1


def breaking(data: bytes, at: int) -> Any:
    """A body that breaks off."""

    class Body:
        def iter_chunks(self, size: int) -> Iterator[bytes]:
            yield data[:at]
            raise IncompleteReadError(actual_bytes=at, expected_bytes=len(data))

        def read(self) -> bytes:
            raise IncompleteReadError(actual_bytes=at, expected_bytes=len(data))

        def close(self) -> None:
            pass

    return Body()


def test_a_body_that_breaks_off_is_asked_for_again_and_never_taken_for_whole(
    folder: S3Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.put("a", DATA)
    get, left = folder._s3.get_object, [2]

    def broken(**request: Any) -> Any:
        answer = get(**request)
        left[0] -= 1
        if left[0] >= 0:
            answer["Body"] = breaking(answer["Body"].read(), 1000)
        return answer

    monkeypatch.setattr(folder._s3, "get_object", broken)
    folder.download(only(folder), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA
    left[0] = 99
    with pytest.raises(InputError, match=f"has {len(DATA)} bytes, and 3000 came.*goes on from here"):
        folder.download(only(folder), tmp_path / "b")
    assert not (tmp_path / "b").exists()
    with pytest.raises(InputError, match="run it again"):
        folder.read(only(folder))
    left[0] = 0
    folder.download(only(folder), tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == DATA


def test_a_file_of_another_size_is_downloaded_anew(folder: S3Folder, tmp_path: Path) -> None:
    folder.put("a", DATA)
    (tmp_path / "a").write_bytes(b"short")
    (tmp_path / "a.part").write_bytes(DATA + b"more")
    folder.download(only(folder), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA
    folder.put("empty", b"")
    folder.download(next(s for s in folder.objects() if s.name == "empty"), tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


def test_what_s3_refuses_names_the_place_and_the_next_step(folder: S3Folder, tmp_path: Path) -> None:
    nowhere = S3Folder(folder._s3, "nowhere", "batch")
    with pytest.raises(ServerError, match=r"s3://nowhere/batch: NoSuchBucket.*hosting\.bucket"):
        list(nowhere.objects())
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(ServerError, match="s3://nowhere/batch/a: NoSuchBucket"):
        nowhere.upload(tmp_path / "a", "a")
    for address in ("s3://bucket", "s3://bucket/", "https://bucket/prefix", "s3://-/a"):
        with pytest.raises(ConfigError, match="write s3://BUCKET/PREFIX"):
            S3Folder.of(folder._s3, address)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("a.jsonl.out", "a.jsonl"),
        ("input/a.jsonl.out", "a.jsonl"),
        ("job/input/a.jsonl.out", "a.jsonl"),
        ("batch/job/input/a.jsonl.out", "a.jsonl"),
        ("deep/a.jsonl.out", "deep/a.jsonl"),
        ("input/deep/a.jsonl.out", "deep/a.jsonl"),
        ("other/a.jsonl.out", None),
        ("put/a.jsonl.out", None),
        ("a.jsonl", None),
        ("b.jsonl.out", None),
    ],
)
def test_an_output_is_told_by_its_name_below_any_end_of_the_prefix(output: str, expected: str | None) -> None:
    assert input_of(output, "batch/job/input", {"a.jsonl", "deep/a.jsonl"}) == expected


def test_the_body_is_the_one_that_checks_its_length(folder: S3Folder) -> None:
    folder.put("a", DATA)
    answer = folder._s3.get_object(Bucket="models", Key="batch/job/a")
    assert isinstance(answer["Body"], StreamingBody)
