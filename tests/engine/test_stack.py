"""The whole chain through the command line, with the real model: up, ingest, search, status, down, and what happens
when the tool dies."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = ("teapot-00", "teapot-01", "wine-glass-00", "sofa-00", "sofa-01", "drum-00", "umbrella-01", "candle-00")
START_SECONDS = 400


class Shop:
    """A configuration with a catalogue of its own in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        shutil.copy(ROOT / "neuralshelf.yaml", folder)
        shutil.copytree(ROOT / "environments", folder / "environments")
        (folder / "images").mkdir()
        rows = [json.loads(line) for line in (ROOT / "samples" / "catalogue.jsonl").read_text("utf-8").splitlines()]
        self.rows = [row for row in rows if row["id"] in PRODUCTS]
        for row in self.rows:
            shutil.copy(ROOT / "samples" / row["image"], folder / "images")
        self.catalogue = self.write("catalogue.jsonl", self.rows)
        self.write("views.jsonl", [{"id": row["id"], "image": row["image"]} for row in self.rows])

    def write(self, name: str, rows: list[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def start(self, *words: str) -> "subprocess.Popen[str]":
        environment = os.environ | {"NEURALSHELF_STATE": str(self.state)}
        command = [sys.executable, "-m", "neuralshelf", *words]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words: str, code: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=START_SECONDS)
        assert process.returncode == code, err
        assert "Traceback" not in err, err
        return out if code in (0, 3) else err

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json"))
        return found

    def processes(self) -> list[str]:
        """Command lines of everything that works on this shop's state folder."""
        listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if str(self.state) in line]


@pytest.fixture(scope="module", autouse=True)
def _embedded_only(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--engine") != "embedded":
        pytest.skip("the stack's own processes are tested with the embedded engine")


def make_shop() -> Shop:
    folder = Path(tempfile.mkdtemp(prefix="neuralshelf-shop-"))
    folder.chmod(0o755)
    return Shop(folder)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A shop that is up, with its catalogue ingested."""
    made = make_shop()
    made.run("up")
    made.run("ingest", "catalogue.jsonl")
    yield made
    made.run("down")
    shutil.rmtree(made.folder)


def test_status_tells_where_everything_is_and_how_much_it_holds(shop: Shop) -> None:
    found = shop.status()
    assert found["up"] is True
    assert found["engine"]["url"].startswith("http://127.0.0.1:")
    assert found["engine"]["version"] == "3.6.0"
    assert found["engine"]["health"] in ("green", "yellow")
    assert found["server"]["url"].startswith("http://127.0.0.1:")
    assert found["server"]["health"] == "green"
    assert found["index"] == {"name": "products", "documents": len(shop.rows)}


def test_a_text_finds_its_product_and_hits_carry_no_vectors_and_no_picture(shop: Shop) -> None:
    hits = json.loads(shop.run("search", "wine glass", "--json"))["hits"]
    assert hits[0]["id"] == "wine-glass-00"
    assert not {"text_vector", "image_vector", "image"} & set(hits[0])


def test_a_picture_finds_itself_with_cosine_one(shop: Shop) -> None:
    hits = json.loads(shop.run("search", "--image", "images/sofa-01.jpg", "--json"))["hits"]
    assert hits[0]["id"] == "sofa-01"
    assert 2 * hits[0]["score"] - 1 == pytest.approx(1.0, abs=1e-5)


def test_a_picture_and_a_text_together_ask_for_that_thing_in_that_colour(shop: Shop) -> None:
    colours = {row["id"]: row["colour"] for row in shop.rows}
    wanted = colours["sofa-01"]
    hits = json.loads(shop.run("search", wanted, "--image", "images/sofa-00.jpg", "--json"))["hits"]
    assert hits[0]["id"] == "sofa-01"


def test_a_client_with_nothing_of_ours_gets_the_hits_of_the_page(shop: Shop) -> None:
    found = shop.status()
    picture = base64.b64encode((shop.folder / "images" / "teapot-01.jpg").read_bytes()).decode()
    for question in ({"text": "umbrella"}, {"image": picture}, {"text": "blue", "image": picture}):
        page = post(found["page"]["url"] + "api/search", question)
        plain = post(f"{found['engine']['url']}/products/_search", page["body"])
        template = {"id": "product-search", "params": {**question, "size": 24}}
        stored = post(f"{found['engine']['url']}/products/_search/template", template)
        expected = [(hit["_id"], pytest.approx(hit["_score"])) for hit in plain["hits"]["hits"]]
        assert [(hit["id"], hit["score"]) for hit in page["hits"]] == expected
        assert [(hit["_id"], hit["_score"]) for hit in stored["hits"]["hits"]] == expected
        assert expected


def post(url: str, body: Any) -> Any:
    headers = {"content-type": "application/json"}
    text = body if isinstance(body, str) else json.dumps(body)
    request = urllib.request.Request(url, text.encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_the_sample_catalogue_is_found_by_kind_by_colour_and_by_its_own_pictures(shop: Shop) -> None:
    catalogue = ROOT / "samples" / "catalogue.jsonl"
    found = json.loads(shop.run("evaluate", "--catalogue", str(catalogue), "--json"))["sets"]["sample"]
    assert found["pictures"] >= 400
    assert found["kind @5"] >= 0.95
    assert found["kind and colour @5"] >= 0.88
    assert found["finds itself first"] == 1.0
    assert found["worst self cosine"] == pytest.approx(1.0, abs=1e-5)


def test_a_second_up_and_a_second_ingest_change_nothing(shop: Shop) -> None:
    process = shop.start("up")
    _, err = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 0
    assert ", 0 written, " in err
    shop.run("ingest", "catalogue.jsonl")
    assert shop.status()["index"]["documents"] == len(shop.rows)


def test_every_bad_document_becomes_a_dead_letter_with_its_cause_and_the_others_get_in(shop: Shop) -> None:
    (shop.folder / "images" / "text.jpg").write_text("not a picture")
    whole = (shop.folder / "images" / "drum-00.jpg").read_bytes()
    (shop.folder / "images" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    rows: list[dict[str, Any]] = [
        {"id": "good", "title": "A good product"},
        {"id": "text", "title": "Not a picture", "image": "images/text.jpg"},
        {"id": "cut", "title": "A cut picture", "image": "images/cut.jpg"},
        {"id": "away", "title": "No picture there", "image": "images/away.jpg"},
        {"id": "typed", "title": 7},
        {"id": "empty", "price": 1.0},
    ]
    report = json.loads(shop.run("ingest", str(shop.write("bad.jsonl", rows)), "--json", code=3))
    assert (report["documents"], report["indexed"], report["dead_letters"]) == (6, 1, 5)
    letters = json.loads(shop.run("deadletters", "list", "--json"))["letters"]
    causes = {letter["id"]: (letter["line"], letter["code"], letter["cause"]) for letter in letters}
    assert set(causes) == {"text", "cut", "away", "typed", "empty"}
    assert causes["text"][:2] == (2, "UnsupportedFormat")
    assert "ends too early" in causes["cut"][2]
    assert causes["away"][1] == "Unreadable"
    assert "title must be text" in causes["typed"][2]
    assert "nothing to embed" in causes["empty"][2]


def test_a_dry_run_reads_everything_and_sends_nothing(shop: Shop) -> None:
    rows: list[dict[str, Any]] = [{"id": "dry", "title": "Never sent"}, {"id": "dry-2", "title": 7}]
    report = json.loads(shop.run("ingest", str(shop.write("dry.jsonl", rows)), "--dry-run", "--json", code=3))
    assert (report["indexed"], report["dead_letters"]) == (1, 1)
    hits = json.loads(shop.run("search", "Never sent", "--json"))["hits"]
    assert "dry" not in {hit["id"] for hit in hits}


def test_no_secret_is_in_a_command_line_a_log_or_an_answer(shop: Shop) -> None:
    ((_, secret),) = json.loads((shop.state / "keys.json").read_text("utf-8")).items()
    assert (shop.state / "keys.json").stat().st_mode & 0o077 == 0
    assert secret not in subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    logs = [path for path in shop.state.rglob("*") if path.is_file() and path.suffix in (".log", ".json")]
    assert logs
    for path in logs:
        if path.name != "keys.json":
            assert secret.encode() not in path.read_bytes(), path
    assert secret not in json.dumps(shop.status())


@pytest.mark.parametrize("number", [pytest.param(signal.SIGKILL, marks=pytest.mark.extended), signal.SIGINT])
def test_the_demo_leaves_nothing_behind_however_it_ends(number: signal.Signals) -> None:
    shop = make_shop()
    demo = shop.start("demo", "--catalogue", "catalogue.jsonl")
    try:
        assert demo.stdout is not None
        seen = []
        for line in demo.stdout:
            seen.append(line)
            if line.startswith("plain search: curl"):
                break
        text = "".join(seen)
        assert 'text: "wine glass"' in text
        assert "text and picture:" in text
        assert any(str(shop.state) in line for line in shop.processes())
        demo.send_signal(number)
        code = demo.wait(60)
        assert code == (0 if number is signal.SIGINT else -signal.SIGKILL)
        deadline = time.monotonic() + 30
        while shop.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert shop.processes() == []
    finally:
        if demo.poll() is None:
            demo.kill()
        demo.communicate()
        shutil.rmtree(shop.folder)


def test_an_engine_that_went_away_is_one_line_for_every_verb(shop: Shop) -> None:
    found = json.loads((shop.state / "stack.json").read_text("utf-8"))
    try:
        (shop.state / "stack.json").write_text(json.dumps(found | {"engine_url": "http://127.0.0.1:9"}), "utf-8")
        for words in (["apply"], ["search", "x"], ["evaluate"], ["ingest", "catalogue.jsonl"]):
            assert shop.run(*words, code=1).count("\n") == 1
        assert shop.status()["engine"]["health"] == "unreachable"
    finally:
        (shop.state / "stack.json").write_text(json.dumps(found), "utf-8")


def test_data_is_kept_between_runs_and_purge_deletes_it(shop: Shop) -> None:
    before = shop.status()["index"]["documents"]
    assert before >= len(shop.rows)
    shop.run("down")
    assert shop.processes() == []
    shop.run("up")
    assert shop.status()["index"]["documents"] == before
    assert json.loads(shop.run("search", "wine glass", "--json"))["hits"][0]["id"] == "wine-glass-00"
    shop.run("down", "--purge")
    assert not shop.state.exists()
    assert "nothing is running here; next: start it with" in shop.run("search", "x", code=1)
