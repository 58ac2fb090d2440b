"""Whatever is wrong with a configuration or a picture: one line that names it and the next step, never a traceback."""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from neuralshelf.cli import main

ROOT = Path(__file__).resolve().parents[2]
SHOP = (ROOT / "neuralshelf.yaml").read_text(encoding="utf-8")
LOCAL = (ROOT / "environments" / "local.yaml").read_text(encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEURALSHELF_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NEURALSHELF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "environments").mkdir()
    (tmp_path / "neuralshelf.yaml").write_text(SHOP, encoding="utf-8")
    (tmp_path / "environments" / "local.yaml").write_text(LOCAL, encoding="utf-8")
    return tmp_path


def test_the_sample_configuration_itself_is_fine(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["up"] is False


BAD_SHOPS = {
    "unknown key": ("project:", "projekt:", "unknown key 'projekt'", "did you mean 'project'?"),
    "wrong type": ("dimension: 384", 'dimension: "384"', "connectors.text", "Input should be a valid integer"),
    "alias bomb": ("project: sample-shop", "project: &a [x]\nb: [*a, *a]", "neuralshelf.yaml:", "aliases are not"),
    "duplicate key": ("index:", "project: again\nindex:", "duplicate key 'project'", "correct this line"),
    "not YAML": ("connectors:", "connectors: [", "neuralshelf.yaml:", "correct this line"),
    "python tag": ("sample-shop", "!!python/name:os.system", "could not determine a constructor", "correct this line"),
    "unknown kind": ("sagemaker-clip", "sagemaker-clop", "connectors.picture", "sagemaker-clip"),
    "unknown key inside": ("endpoint: neuralshelf-clip", "endpont: x", "'connectors.picture.endpont'", "'endpoint'?"),
    "dimension the model can't give": (
        "{kind: sagemaker-clip, endpoint: neuralshelf-clip, dimension: 512}",
        "{kind: bedrock-titan-multimodal, dimension: 512}",
        "connectors.picture",
        "256, 384",
    ),
    "no such connector": ("connector: text,", "connector: txt,", "index.vectors.text_vector", "no connector 'txt'"),
    "text model for pictures": ("connector: picture,", "connector: text,", "index.vectors.image_vector", "text only"),
    "weights that don't sum to one": ("keyword: 0.3", "keyword: 0.5", "search.weights", "must be 1"),
    "field that is not there": ('"title^3"', '"titel^3"', "search.keyword", "'titel'"),
    "bad project name": ("sample-shop", "Sample Shop", "project", "pattern"),
}


@pytest.mark.parametrize("what", BAD_SHOPS)
def test_a_bad_configuration_is_one_line(shop: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    good, bad, thing, words = BAD_SHOPS[what]
    assert good in SHOP
    (shop / "neuralshelf.yaml").write_text(SHOP.replace(good, bad, 1), encoding="utf-8")
    expect_one_line(capsys, ["status"], 2, thing, words)


BAD_ENVIRONMENTS = {
    "secret in clear": (
        "cluster: {provider: url, url: https://x, auth: basic, username: u, password: hunter2}",
        "clear",
    ),
    "password in the address": ("cluster: {provider: url, url: 'https://u:hunter2@x'}", "user name or password"),
    "port out of range": ("cluster: {http_port: 99999}", "65535"),
    "no credentials for AWS": ("runtime: {provider: aws}", "role_arn"),
}


@pytest.mark.parametrize("what", BAD_ENVIRONMENTS)
def test_a_bad_environment_is_one_line(shop: Path, capsys: pytest.CaptureFixture[str], what: str) -> None:
    content, words = BAD_ENVIRONMENTS[what]
    (shop / "environments" / "local.yaml").write_text(f"name: local\n{content}\n", encoding="utf-8")
    expect_one_line(capsys, ["status"], 2, "local.yaml", words)


def test_an_environment_that_is_not_there_names_those_that_are(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expect_one_line(capsys, ["status", "--environment", "moon"], 2, "'moon'", "choose one of: local")


def test_a_configuration_that_is_not_there_is_named(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "neuralshelf.yaml").unlink()
    expect_one_line(capsys, ["status"], 2, "neuralshelf.yaml", "--config")


@pytest.mark.parametrize("words", [["search", "x"], ["ingest", "c.jsonl"], ["apply"], ["evaluate"]])
def test_without_a_stack_each_verb_says_how_to_start_one(
    shop: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (shop / "c.jsonl").write_text('{"id": "a"}\n', encoding="utf-8")
    expect_one_line(capsys, words, 1, "nothing is running", "neuralshelf up")


def expect_one_line(capsys: pytest.CaptureFixture[str], words: list[str], code: int, *parts: str) -> None:
    assert main(words) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("neuralshelf: ")
    assert "; next: " in line
    assert "hunter2" not in line
    for part in parts:
        assert part in line


def jpeg(width: int = 64, height: int = 64, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 60).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def png(width: int, height: int) -> bytes:
    """A PNG that only claims its size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


BAD_PICTURES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "EmptyPicture"),
    "text": (lambda: b"not a picture", "UnsupportedFormat"),
    "html": (lambda: b"<html><body>404</body></html>", "UnsupportedFormat"),
    "json": (lambda: b'{"error": "not found"}', "UnsupportedFormat"),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "UnsupportedFormat"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "UnsupportedFormat"),
    "tiff": (lambda: jpeg(kind="TIFF"), "UnsupportedFormat"),
    "bmp": (lambda: jpeg(kind="BMP"), "UnsupportedFormat"),
    "fits": (lambda: b"SIMPLE  =                    T" + b" " * 3000, "UnsupportedFormat"),
    "pdf": (lambda: b"%PDF-1.7\n%%EOF\n", "UnsupportedFormat"),
    "zip": (lambda: b"PK\x03\x04" + b"\0" * 100, "UnsupportedFormat"),
    "zeros": (lambda: b"\0" * 4096, "UnsupportedFormat"),
    "only the beginning of a jpeg": (lambda: jpeg()[:20], "UnsupportedFormat DamagedPicture TruncatedPicture"),
    "half a jpeg": (lambda: jpeg()[: len(jpeg()) // 2], "TruncatedPicture"),
    "half a png": (lambda: jpeg(kind="PNG")[:2000], "TruncatedPicture DamagedPicture"),
    "half a webp": (lambda: jpeg(kind="WEBP")[:500], "TruncatedPicture DamagedPicture UnsupportedFormat"),
    "half a gif": (lambda: jpeg(kind="GIF")[:500], "TruncatedPicture DamagedPicture UnsupportedFormat"),
    "png with a wrong checksum": (lambda: changed(jpeg(kind="PNG"), 60), "DamagedPicture TruncatedPicture"),
    "bomb of 900 million pixels": (lambda: png(30_000, 30_000), "TooManyPixels"),
    "bomb of four billion pixels": (lambda: png(65_500, 65_500), "TooManyPixels"),
    "png of no width": (lambda: png(0, 10), "DamagedPicture UnsupportedFormat"),
    "26 million bytes": (lambda: jpeg() + b"\0" * 27_000_000, "TooManyBytes"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_a_dead_letter_with_a_stable_code(
    shop: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make, codes = BAD_PICTURES[name]
    (shop / "bad.jpg").write_bytes(make())
    (shop / "good.jpg").write_bytes(jpeg())
    rows = [{"id": which, "title": "one", "image": f"{which}.jpg"} for which in ("bad", "good")]
    (shop / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["ingest", "c.jsonl", "--dry-run", "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["documents"], report["indexed"]) == (2, 1)
    ((code, count),) = report["codes"].items()
    assert code in codes.split()
    assert count == 1
    assert [example.split(": ")[:3] for example in report["examples"]] == [["row 1 (bad)", code, "bad.jpg"]]


def test_a_folder_is_no_picture(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"id": "folder", "title": "one", "image": "environments"}
    (shop / "c.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert main(["ingest", "c.jsonl", "--dry-run", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["codes"] == {"Unreadable": 1}


RANKED = SHOP + "\nranking: {item: kind}\n"
BAD_PEOPLE = {
    "nothing is ranked": (SHOP, ["--user", "host"], "ranks nothing"),
    "a weight of nobody": (RANKED, ["--user-weight", "0.5"], "--user NAME"),
    "a weight beyond": (RANKED, ["--user", "host", "--user-weight", "1.5"], "0 to 1"),
    "no weight": (RANKED, ["--user", "host", "--user-weight", "nan"], "0 to 1"),
    "no name": (RANKED, ["--user", ""], "256 characters"),
    "a long name": (RANKED, ["--user", "x" * 257], "256 characters"),
}


@pytest.mark.parametrize("what", BAD_PEOPLE)
def test_a_person_to_search_as_that_can_not_be_is_one_line(
    shop: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    content, words, part = BAD_PEOPLE[what]
    (shop / "neuralshelf.yaml").write_text(content, encoding="utf-8")
    expect_one_line(capsys, ["search", "red", *words], 2, "--user", part)
