"""What the page's gateway lets through, and what it says when it doesn't."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from neuralshelf.gateway import MAX_BODY_BYTES
from tests.browser.engine import ADDRESS, PASSWORD, Engine
from tests.unit.gateway import ask, engine, served

__all__ = ["engine"]

REMOTE = "Error from remote service:"
JSON_TYPE = {"content-type": "application/json"}


@pytest.fixture
def browser(engine: Engine) -> Iterator[TestClient]:
    with served(engine) as client:
        yield client


def test_the_body_it_shows_is_the_body_it_sends(browser: TestClient, engine: Engine) -> None:
    found = ask(browser, text="  mug 3 ", size=2).json()
    assert found["body"] == engine.searches[-1]
    assert json.loads(found["body"])["_asked"] == {"text": "mug 3"}
    assert next(hit["id"] for hit in found["hits"]) == "mug-3"
    assert (found["total"], found["more"]) == (5, True)


def test_weights_are_shifted_in_the_proportions_of_the_configuration(browser: TestClient) -> None:
    body = ask(browser, text="mug", vector_weight=0.5).json()["body"]
    processor = json.loads(body)["search_pipeline"]["phase_results_processors"][0]["normalization-processor"]
    assert processor["combination"]["parameters"]["weights"] == [0.5, 0.214, 0.286]
    assert "search_pipeline" not in ask(browser, text="mug").json()["body"]
    assert "search_pipeline" not in ask(browser, filters={"kind": ["mug"]}, vector_weight=0.5).json()["body"]


def test_weights_are_shifted_in_the_proportions_of_the_picture_weights_where_a_picture_comes_along(
    engine: Engine,
) -> None:
    own = {"keyword": 0.2, "text_vector": 0.2, "image_vector": 0.6}
    with served(engine, picture_weights=own) as browser:
        body = ask(browser, text="mug", image="QUJD", vector_weight=0.4).json()["body"]
        processor = json.loads(body)["search_pipeline"]["phase_results_processors"][0]["normalization-processor"]
        assert processor["combination"]["parameters"]["weights"] == [0.6, 0.1, 0.3]
        status = browser.get("/api/status").json()
    assert (status["vector_weight"], status["picture_vector_weight"]) == (0.7, 0.8)


def test_without_picture_weights_the_slider_stands_where_it_stood(browser: TestClient) -> None:
    status = browser.get("/api/status").json()
    assert status["vector_weight"] == status["picture_vector_weight"] == 0.7


def test_words_alone_need_no_model(browser: TestClient, engine: Engine) -> None:
    engine.models_away = True
    found = ask(browser, text="mug", image="QUJD", vector_weight=1, keyword_only=True)
    assert found.status_code == 200
    assert found.json()["keyword_only"]
    for part in ("neural", "QUJD", "search_pipeline"):
        assert part not in engine.searches[-1]


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ({"text": 5}, "text"),
        ({"text": "x" * 2001}, "text"),
        ({"size": 101}, "size"),
        ({"size": "many"}, "size"),
        ({"from": -1}, "from"),
        ({"vector_weight": 1.5}, "vector_weight"),
        ({"query": {"match_all": {}}}, "query"),
        ({"text": "x", "index": "_all"}, "index"),
        ({"image": "no base64!"}, "picture"),
        ({"filters": {"secret": ["x"]}}, "secret"),
        ({"filters": {"kind": 3}}, "kind"),
        ({"filters": {"kind": [{"term": 1}]}}, "filters.kind"),
        ({"filters": {"price_min": ["3"]}}, "price_min"),
        ({"filters": {"weights": 3}}, "weights"),
    ],
)
def test_nothing_but_a_question_is_sent_on(
    browser: TestClient, engine: Engine, question: dict[str, Any], names: str
) -> None:
    answer = ask(browser, **question)
    assert answer.status_code == 400
    assert names in answer.json()["error"]
    assert answer.json()["hint"]
    assert not engine.searches


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"text": "\\ud800"}', b"[" * 100_000])
def test_what_is_no_question_is_refused(browser: TestClient, body: bytes) -> None:
    answer = browser.post("/api/search", content=body, headers=JSON_TYPE)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_a_form_of_another_site_is_refused(browser: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = browser.post("/api/search", content=b'{"text": "mug"}', headers={"content-type": kind})
        assert answer.status_code == 415
    assert "access-control-allow-origin" not in answer.headers


def test_a_body_that_is_too_large_is_refused_without_being_read(browser: TestClient) -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(4 * MAX_BODY_BYTES // 65536):
            taken += 65536
            yield b" " * 65536

    assert browser.post("/api/search", content=chunks(), headers=JSON_TYPE).status_code == 413
    largest = base64.b64encode(b"x" * 4_500_000).decode()
    assert ask(browser, image=largest).status_code == 200


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options", "trace"])
def test_other_methods_are_refused(browser: TestClient, method: str) -> None:
    for path in ("/", "/api/search", "/api/status", "/pictures/key/images/mug.jpg"):
        answer = browser.request(method, path)
        assert answer.status_code == 405
        assert answer.json()["error"]


def test_a_picture_of_the_catalogue_is_served(browser: TestClient) -> None:
    answer = browser.get("/pictures/key/images/mug.jpg")
    assert answer.content == b"bytes of images/mug.jpg"
    assert answer.headers["content-type"] == "image/jpeg"
    assert "max-age" in answer.headers["cache-control"]
    assert browser.get("/pictures/key/images/UPPER.JPG").status_code == 200
    assert browser.get("/pictures/key/images/inner.jpg").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "",
        "key",
        "key/",
        "key/images",
        "key/images/folder.jpg",
        "key/images/notes.txt",
        "key/images/page.svg",
        "key/images/absent.jpg",
        "key/images/link.jpg",
        "other/images/mug.jpg",
        "key/../outside.jpg",
        "key/%2e%2e/outside.jpg",
        "key/..%2foutside.jpg",
        "key/images/%2e%2e/%2e%2e/outside.jpg",
        "key//etc/passwd",
        "key/%2fetc%2fhostname.jpg",
        "key/images/mug.jpg%00.jpg",
        "key/images\\..\\..\\outside.jpg",
        "key/" + "x" * 5000 + ".jpg",
        "../key/images/mug.jpg%00",
    ],
)
def test_nothing_else_is_served_as_a_picture(browser: TestClient, path: str) -> None:
    answer = browser.get(f"/pictures/{path}")
    assert answer.status_code == 404
    assert b"bytes of" not in answer.content


@pytest.mark.parametrize("name", ["__init__.py", "..%2f..%2fpyproject.toml", "%2e%2e/neuralshelf.yaml", "style.css/x"])
def test_no_other_file_is_served_as_part_of_the_page(browser: TestClient, name: str) -> None:
    assert browser.get(f"/{name}").status_code == 404


def test_every_answer_carries_the_security_headers(browser: TestClient) -> None:
    for path in ("/", "/app.js", "/api/status", "/pictures/key/images/mug.jpg", "/nowhere"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_a_page_that_did_not_change_is_not_sent_again(browser: TestClient) -> None:
    etag = browser.get("/").headers["etag"]
    again = browser.get("/", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_holds_no_inline_script_and_no_foreign_address(browser: TestClient) -> None:
    page = browser.get("/").text
    assert page.count("<script") == page.count('<script type="module" src="/app.js"></script>') == 1
    assert "style=" not in page
    names = re.findall(r'"[./]+([a-z]+\.(?:js|css|svg))"', page + browser.get("/app.js").text)
    assert {"app.js", "style.css", "icon.svg", "picture.js"} <= set(names)
    for name in ["", *names]:
        text = browser.get(f"/{name}").text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), name


def test_the_address_is_told_only_when_it_may_be(browser: TestClient, engine: Engine) -> None:
    assert browser.get("/api/status").json()["search_url"] is None
    with served(engine, public_url="http://127.0.0.1:9200/") as open_one:
        assert open_one.get("/api/status").json()["search_url"] == "http://127.0.0.1:9200/products/_search"


def test_a_cluster_that_is_away_is_told_without_its_address(browser: TestClient, engine: Engine) -> None:
    engine.away = True
    answers = [ask(browser, text="mug"), browser.get("/api/facets"), browser.get("/api/status")]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    for answer in answers:
        assert answer.json()["code"] == "engine_away"
        assert answer.json()["hint"] == "start it with: neuralshelf up"
        assert ADDRESS not in answer.text
        assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    ("status", "reason", "expected", "code"),
    [
        (404, "no such index [products]", 503, "not_provisioned"),
        (404, "Failed to find model with the provided model id: M1", 503, "models_away"),
        (401, "Unauthorized", 502, "login_refused"),
        (403, "no permissions for [indices:data/read/search]", 502, "login_refused"),
        (429, "rejected execution of coordinating operation", 502, "engine_failed"),
        (503, "Error communicating with remote model", 503, "models_away"),
        (500, "out of luck", 502, "engine_failed"),
        (429, "Request is throttled at model level.", 503, "models_away"),
        (400, "Query vector has invalid dimension: 383. Dimension should be: 384", 503, "models_away"),
        (400, "failed to parse query [Error from remote service: find model]", 400, "refused"),
        (400, f'{REMOTE} {{"Message": "Endpoint shop of account 000000000000 not found."}}', 503, "models_away"),
        (400, f'{REMOTE} {{"message": null}}', 503, "models_away"),
        (424, f'{REMOTE} {{"OriginalStatusCode": 500, "OriginalMessage": "out of memory"}}', 503, "models_away"),
        (424, f'{REMOTE} {{"OriginalStatusCode": 400, "OriginalMessage": "400 Bad Request: no JPEG"}}', 400, "refused"),
        (400, f'{REMOTE} {{"message": "Malformed input request"}}', 400, "refused"),
        (400, "failed to parse query: " + "QUJD" * 9999, 400, "refused"),
    ],
)
def test_refusals_of_the_cluster_are_told_apart(
    browser: TestClient, engine: Engine, status: int, reason: str, expected: int, code: str
) -> None:
    engine.refusal = (status, reason)
    answer = ask(browser, text="mug")
    assert (answer.status_code, answer.json()["code"]) == (expected, code)
    assert answer.json()["hint"]
    assert len(answer.json()["error"]) <= 300
    assert "QUJDQUJD" not in answer.text
    if "no JPEG" in reason:
        assert answer.json()["error"] == "the model refused it: no JPEG"


def test_facets_come_with_counts_examples_and_ranges(browser: TestClient) -> None:
    found = browser.get("/api/facets").json()
    assert found["total"] == 5
    assert found["values"]["colour"] == [
        {"value": "blue", "count": 3, "picture": "key/images/mug.jpg"},
        {"value": "red", "count": 2, "picture": "key/images/mug.jpg"},
    ]
    assert found["ranges"] == {"price": {"min": 1.0, "max": 5.0}}
