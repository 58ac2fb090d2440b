"""The page over the real thing: OpenSearch, its pipelines and the lite model, brought up on a cluster with an address.

NEURALSHELF_PAGE_URL names a page that is up already and shows the sample catalogue; without it a stack is started
(`stack.py`).
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .stack import SAMPLES, PageStack, rows

TEAPOT = SAMPLES / "images" / "teapot-03.jpg"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack_url(request: pytest.FixtureRequest) -> str:
    """Address of a page over a real stack."""
    stack: PageStack | None = None if os.environ.get("NEURALSHELF_PAGE_URL") else request.getfixturevalue("stack")
    return stack.url if stack else os.environ["NEURALSHELF_PAGE_URL"]


@pytest.fixture
def page(browser: Browser, stack_url: str) -> Iterator[Page]:
    context = browser.new_context(base_url=stack_url, viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def cards(page: Page) -> Locator:
    return page.get_by_role("list", name="Products found").get_by_role("button")


def shown(page: Page) -> list[str]:
    """Ids of the products shown, read from their pictures."""
    sources: list[str] = cards(page).locator("img").evaluate_all("(all) => all.map((image) => image.src)")
    return [source.rsplit("/", 1)[1].removesuffix(".jpg") for source in sources]


def test_words_find_the_thing_in_its_colour(page: Page) -> None:
    page.goto("/?q=a+red+teapot")
    expect(cards(page).first).to_contain_text(re.compile("teapot", re.IGNORECASE))
    known = {row["id"]: row for row in rows()}
    first = known[shown(page)[0]]
    assert (first["kind"], first["colour"]) == ("teapot", "red")
    expect(cards(page).first.locator("img")).to_have_js_property("naturalWidth", 256)


def test_a_catalogue_picture_finds_itself_with_score_one(page: Page) -> None:
    page.goto("/")
    page.locator("input[type=file]").set_input_files(TEAPOT)
    expect(page.get_by_text("products by picture")).to_be_visible()
    assert shown(page)[0] == "teapot-03"
    expect(cards(page).first).to_contain_text("1.000")


def test_a_picture_with_a_colour_finds_that_thing_in_that_colour(page: Page) -> None:
    page.goto("/")
    page.locator("input[type=file]").set_input_files(TEAPOT)
    expect(page.get_by_text("products by picture")).to_be_visible()
    page.get_by_role("searchbox").fill("red")
    page.keyboard.press("Enter")
    expect(page.get_by_text("by text and picture")).to_be_visible()
    known = {row["id"]: row for row in rows()}
    first = known[shown(page)[0]]
    assert (first["kind"], first["colour"]) == ("teapot", "red")


def test_the_slider_brings_other_hits_and_whole_weights_are_taken(page: Page) -> None:
    page.goto("/?q=keeps+the+rain+off")
    expect(cards(page).first).to_be_visible()
    orders = []
    for key in ("Home", "End"):
        with page.expect_response("**/api/search") as answer:
            page.get_by_role("slider", name="vectors").press(key)
        assert answer.value.status == 200, answer.value.text()
        orders.append([hit["id"] for hit in answer.value.json()["hits"]])
    assert orders[0] != orders[1]
    assert orders[1][0].startswith("umbrella")


def test_filters_leave_exactly_what_they_say(page: Page) -> None:
    page.goto("/?q=something&kind=sofa&price_max=800")
    expect(cards(page).first).to_contain_text(re.compile("sofa", re.IGNORECASE))
    wanted = {row["id"] for row in rows() if row["kind"] == "sofa" and row["price"] <= 800}
    assert set(shown(page)) == wanted


def test_the_copied_curl_line_gets_the_hits_of_the_page(page: Page) -> None:
    page.goto("/?q=teapot's+%22lid%22+%24HOME+%60x%60&colour=red&colour=white")
    page.locator("input[type=file]").set_input_files(TEAPOT)
    expect(page.get_by_text("by text and picture")).to_be_visible()
    page.get_by_text("The request OpenSearch got").click()
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    line = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert [hit["_id"] for hit in json.loads(done.stdout)["hits"]["hits"]] == shown(page)
