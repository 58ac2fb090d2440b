"""What people do with the search page: words, pictures, filters, the slider, the keyboard."""

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

TEAPOT = "images/teapot-00.jpg"


def cards(page: Page) -> Locator:
    return page.get_by_role("list", name="Products found").get_by_role("button")


def look_for(page: Page, words: str) -> None:
    page.get_by_role("searchbox").fill(words)
    page.get_by_role("searchbox").press("Enter")


def choose(page: Page, path: Path) -> None:
    page.locator("input[type=file]").set_input_files(path)


def last_body(shop: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.engine.searches[-1])
    return found


def query_image(body: dict[str, Any]) -> str | None:
    found = re.search(r'"query_image": "([^"]+)"', json.dumps(body))
    return found[1] if found else None


def as_transfer(page: Page, path: Path, name: str, kind: str) -> Any:
    """A DataTransfer that holds the file, as paste and drop bring it."""
    return page.evaluate_handle(
        """([data, name, type]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type}));
            return transfer;
        }""",
        [base64.b64encode(path.read_bytes()).decode(), name, kind],
    )


def by_chooser(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Search with a picture").click()
    chooser.value.set_files(path)


def by_paste(page: Page, path: Path) -> None:
    transfer = as_transfer(page, path, path.name, "image/jpeg")
    page.evaluate(
        "(clipboardData) => document.activeElement.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}))",
        transfer,
    )


def by_drop(page: Page, path: Path) -> None:
    transfer = as_transfer(page, path, path.name, "image/jpeg")
    page.dispatch_event("main", "dragover", {"dataTransfer": transfer})
    expect(page.get_by_text("Drop the picture")).to_be_visible()
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})
    expect(page.get_by_text("Drop the picture")).to_be_hidden()


def test_words_find_products_with_picture_price_and_score(page: Page, shop: Any) -> None:
    page.goto("/")
    look_for(page, "red teapot")
    first = cards(page).first
    expect(first).to_contain_text("Plain red teapot")
    expect(first).to_contain_text("5.00")
    expect(first).to_contain_text("1.000")
    expect(first.locator("img")).to_have_js_property("naturalWidth", 128)
    assert last_body(shop)["query"]["hybrid"]["queries"][0]["multi_match"]["query"] == "red teapot"


@pytest.mark.parametrize("way", [by_chooser, by_paste, by_drop])
def test_a_catalogue_picture_finds_its_product_with_score_one(
    page: Page, shop: Any, way: Callable[[Page, Path], None]
) -> None:
    page.goto("/")
    picture = shop.engine.folder / TEAPOT
    way(page, picture)
    expect(page.get_by_role("img", name="Your picture")).to_be_visible()
    expect(cards(page).first).to_contain_text("1.000")
    assert query_image(last_body(shop)) == base64.b64encode(picture.read_bytes()).decode(), "not the very bytes"
    expect(cards(page)).to_have_count(24)


def test_words_and_picture_go_out_together(page: Page, shop: Any) -> None:
    page.goto("/")
    choose(page, shop.engine.folder / TEAPOT)
    expect(cards(page)).to_have_count(24)
    look_for(page, "red")
    expect(page.get_by_text("by text and picture")).to_be_visible()
    body = last_body(shop)
    assert query_image(body) is not None
    assert body["query"]["hybrid"]["queries"][0]["multi_match"]["query"] == "red"


def test_escape_and_the_button_take_the_picture_away(page: Page, shop: Any) -> None:
    page.goto("/")
    your_picture = page.get_by_role("img", name="Your picture")
    for way in ("key", "button"):
        choose(page, shop.engine.folder / TEAPOT)
        expect(your_picture).to_be_visible()
        if way == "key":
            page.keyboard.press("Escape")
        else:
            page.get_by_role("button", name="Remove the picture").click()
        expect(your_picture).to_be_hidden()


def test_a_large_picture_is_made_smaller_before_it_is_sent(page: Page, shop: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.effect_noise((2400, 1200), 40).convert("RGB").save(large)
    page.goto("/")
    choose(page, large)
    expect(cards(page)).to_have_count(24)
    sent = query_image(last_body(shop))
    assert sent is not None
    image = Image.open(io.BytesIO(base64.b64decode(sent)))
    assert (image.format, image.size) == ("JPEG", (1024, 512))


def test_a_file_that_is_no_picture_is_refused_in_one_line(page: Page, shop: Any, tmp_path: Path) -> None:
    page.goto("/")
    for name in ("notes.jpg", "notes.txt"):
        (tmp_path / name).write_text("no picture")
        choose(page, tmp_path / name)
        expect(page.get_by_role("alert")).to_contain_text("picture")
    assert not shop.engine.searches


def test_what_the_page_said_stays_when_it_has_loaded(page: Page, tmp_path: Path) -> None:
    held: list[Route] = []
    page.route("**/api/facets", lambda route: held.append(route))
    page.goto("/")
    (tmp_path / "notes.jpg").write_text("no picture")
    choose(page, tmp_path / "notes.jpg")
    expect(page.get_by_role("alert")).to_contain_text("picture")
    held[0].continue_()
    expect(page.get_by_text("Or look around")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("picture")


def test_the_slider_changes_the_weights_that_are_sent(page: Page, shop: Any) -> None:
    page.goto("/")
    look_for(page, "mug")
    expect(cards(page).first).to_contain_text("mug")
    assert "search_pipeline" not in last_body(shop), "untouched, it leaves the weights of the search pipeline"
    slider = page.get_by_role("slider")
    expect(slider).to_have_value("70")
    for key, weights in (("Home", [1.0, 0.0, 0.0]), ("End", [0.0, 0.429, 0.571])):
        with page.expect_response("**/api/search"):
            slider.press(key)
        processor = last_body(shop)["search_pipeline"]["phase_results_processors"][0]["normalization-processor"]
        assert processor["combination"]["parameters"]["weights"] == weights


def test_the_slider_stands_where_the_configuration_has_it_for_such_a_question(page: Page, shop: Any) -> None:
    def with_picture_weights(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"picture_vector_weight": 0.9})

    page.route("**/api/status", with_picture_weights)
    page.goto("/")
    look_for(page, "mug")
    slider = page.get_by_role("slider")
    expect(slider).to_have_value("70")
    choose(page, shop.engine.folder / TEAPOT)
    expect(slider).to_have_value("90")
    slider.press("ArrowLeft")
    page.get_by_role("button", name="Remove the picture").click()
    expect(slider).to_have_value("85")


def test_filters_narrow_and_can_be_cleared(page: Page, shop: Any) -> None:
    page.goto("/")
    page.get_by_role("checkbox", name=re.compile("chair")).check()
    expect(cards(page)).to_have_count(12)
    page.get_by_role("checkbox", name=re.compile("^blue")).check()
    expect(cards(page)).to_have_count(3)
    page.get_by_label("Highest price").fill("35")
    page.get_by_label("Highest price").press("Enter")
    expect(cards(page)).to_have_count(2)
    assert last_body(shop)["_asked"] == {"kind": ["chair"], "colour": ["blue"], "price_max": 35}
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_role("checkbox", name=re.compile("chair"))).not_to_be_checked()


def test_more_brings_the_next_page_until_there_is_none(page: Page, shop: Any) -> None:
    page.goto("/?q=plain")
    expect(cards(page)).to_have_count(24)
    more = page.get_by_role("button", name="Show more")
    more.click()
    expect(cards(page)).to_have_count(48)
    expect(more).to_be_hidden()
    assert last_body(shop)["from"] == "24"
    names = cards(page).evaluate_all("(all) => all.map((card) => card.querySelector('img').src)")
    assert len(set(names)) == 48


def test_a_card_finds_what_looks_like_it(page: Page, shop: Any) -> None:
    page.goto("/?q=green+lamp")
    cards(page).first.click()
    expect(page.get_by_role("img", name="Your picture")).to_be_visible()
    expect(cards(page).first).to_contain_text("Plain green lamp")
    expect(cards(page).first).to_contain_text("1.000")
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_a_link_brings_words_and_filters_and_back_leads_back(page: Page, shop: Any) -> None:
    page.goto("/?q=mug&colour=red&price_max=20")
    expect(page.get_by_role("searchbox")).to_have_value("mug")
    expect(page.get_by_role("checkbox", name=re.compile("^red"))).to_be_checked()
    expect(cards(page).first).to_contain_text("Plain red mug")
    look_for(page, "lamp")
    expect(page).to_have_url(re.compile(r"\?q=lamp&colour=red"))
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("mug")
    expect(cards(page).first).to_contain_text("Plain red mug")


def test_whoever_is_quicker_than_the_page_keeps_hits_and_focus(page: Page, shop: Any) -> None:
    held: list[Route] = []
    page.route("**/api/facets", lambda route: held.append(route))
    page.goto("/")
    look_for(page, "chair")
    expect(cards(page).first).to_contain_text("chair")
    page.keyboard.press("ArrowDown")
    expect(cards(page).first).to_be_focused()
    held[0].continue_()
    expect(page.get_by_role("checkbox").first).to_be_visible()
    page.wait_for_timeout(300)
    expect(cards(page).first).to_be_focused()
    asked = [json.loads(body)["_asked"]["text"] for body in shop.engine.searches]  # one of the test before may be late
    assert asked.count("chair") == 1


def test_what_is_being_typed_while_the_page_loads_is_asked_when_it_is_complete(page: Page, shop: Any) -> None:
    held: list[Route] = []
    page.route("**/api/facets", lambda route: held.append(route))
    page.goto("/")
    page.get_by_role("searchbox").fill("cha")
    held[0].continue_()
    expect(page.get_by_role("checkbox").first).to_be_visible()
    page.wait_for_timeout(300)
    look_for(page, "chair")
    expect(cards(page).first).to_contain_text("chair")
    assert "cha" not in [json.loads(body)["_asked"]["text"] for body in shop.engine.searches]


def test_the_keyboard_is_enough(page: Page, shop: Any) -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("neuralshelf")).focus()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("chair/lamp")
    expect(page.get_by_role("searchbox")).to_have_value("chair/lamp")
    page.keyboard.press("Control+A")
    page.keyboard.type("chair")
    page.keyboard.press("Enter")
    expect(cards(page).first).to_contain_text("chair")
    page.keyboard.press("ArrowDown")
    expect(cards(page).first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cards(page).nth(1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(cards(page).nth(2)).to_be_focused()
    outline = cards(page).nth(2).evaluate("(card) => getComputedStyle(card).outlineStyle")
    assert outline != "none", "the focus can't be seen"
    page.keyboard.press("Home")
    expect(cards(page).first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("searchbox")).to_be_focused()
