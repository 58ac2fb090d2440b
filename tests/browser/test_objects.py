"""Photo, things in it, crop, search: by mouse, by touch and by keys, with the real detector on pictures of samples."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from neuralshelf.errors import MissingDependencyError
from neuralshelf.local.detect import Detected, detect_file, everything, load_detector, read_picture
from neuralshelf.model_packages.grounding_dino.contract import Box
from neuralshelf.objects import Finder
from neuralshelf.settings import Folders

from .conftest import serving, tab_of
from .test_search import cards, choose, last_body, look_for, query_image

ROOT = Path(__file__).resolve().parents[2]
CHAIR = ROOT / "samples" / "images" / "chair-00.jpg"
MUG = ROOT / "samples" / "images" / "coffee-mug-00.jpg"


@pytest.fixture(scope="module")
def detector() -> Any:
    try:
        return load_detector(Folders.default(ROOT).cache)
    except MissingDependencyError as fault:
        pytest.skip(str(fault))


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory, detector: Any) -> Iterator[Any]:
    """A page that looks for things in pictures."""
    with serving(tmp_path_factory.mktemp("looking"), Finder(detector, everything())) as shop:
        yield shop


@pytest.fixture
def shop(looking: Any) -> Any:
    looking.engine.searches.clear()
    return looking


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chair on the left and a mug at the bottom right."""
    canvas = Image.new("RGB", (640, 400), (215, 215, 215))
    for path, side, place in ((CHAIR, 320, (10, 40)), (MUG, 240, (380, 140))):
        with Image.open(path) as image:
            canvas.paste(image.resize((side, side)), place)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    canvas.save(path)
    return path


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name="Things in your picture").get_by_role("button", name=re.compile(f"^{name}"))


def status(page: Page) -> Locator:
    return page.get_by_role("region", name="Things in your picture").get_by_role("status")


def whole(page: Page) -> Locator:
    return page.get_by_role("button", name="Whole picture")


def crop(path: Path, part: Box) -> str:
    """As `neuralshelf detect` cuts it, in base64."""
    return base64.b64encode(Detected((), read_picture(path)).crop(part)).decode()


def searched_with(page: Page, shop: Any, picture: str) -> None:
    """The last search becomes one with these bytes."""
    for _ in range(100):
        if shop.engine.searches and query_image(last_body(shop)) == picture:
            return
        page.wait_for_timeout(50)
    raise AssertionError("searched with something else")


def by_click(page: Page, chosen: Locator) -> None:
    chosen.click()


def by_tap(page: Page, chosen: Locator) -> None:
    chosen.tap()


def by_keys(page: Page, chosen: Locator) -> None:
    page.get_by_role("searchbox").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if chosen.evaluate("(box) => box === document.activeElement"):
            break
    expect(chosen).to_be_focused()
    assert chosen.evaluate("(box) => getComputedStyle(box).outlineStyle") != "none", "the focus can't be seen"
    page.keyboard.press("Enter")


@pytest.mark.parametrize("way", [by_click, by_tap, by_keys])
def test_one_of_several_is_chosen_and_searched_with(browser: Browser, shop: Any, photo: Path, way: Any) -> None:
    size = {"width": 390, "height": 844} if way is by_tap else {"width": 1280, "height": 900}
    with tab_of(browser, shop, viewport=size, has_touch=way is by_tap) as page:
        page.goto("/")
        choose(page, photo)
        expect(status(page)).to_have_text("2 things found. Choose one to search with.")
        expect(cards(page)).to_have_count(24)
        searched_with(page, shop, base64.b64encode(photo.read_bytes()).decode())
        found = {one.phrase: one.box for one in detect_file(photo).objects}
        for name in ("coffee cup", "chair"):
            way(page, box(page, name))
            expect(status(page)).to_have_text(f"Searching with the {name}.")
            expect(page.get_by_text("by part of the picture")).to_be_visible()
            searched_with(page, shop, crop(photo, found[name]))
            expect(box(page, name)).to_have_attribute("aria-pressed", "true")
            expect(whole(page)).to_have_attribute("aria-pressed", "false")
        page.keyboard.press("Escape")
        expect(page.get_by_text("products by picture")).to_be_visible()
        searched_with(page, shop, base64.b64encode(photo.read_bytes()).decode())
        expect(whole(page)).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        expect(page.get_by_role("img", name="Your picture")).to_be_hidden()
        expect(page.get_by_role("region", name="Things in your picture")).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_the_only_thing_is_searched_with_and_the_whole_picture_is_one_click_away(page: Page, shop: Any) -> None:
    page.goto("/")
    choose(page, CHAIR)
    expect(status(page)).to_have_text("Searching with the chair in it.")
    expect(page.get_by_text("by part of the picture")).to_be_visible()
    (only,) = detect_file(CHAIR).objects
    searched_with(page, shop, crop(CHAIR, only.box))
    whole(page).click()
    expect(page.get_by_text("products by picture")).to_be_visible()
    searched_with(page, shop, base64.b64encode(CHAIR.read_bytes()).decode())


def test_one_small_thing_is_left_to_choose(page: Page, shop: Any, tmp_path: Path) -> None:
    canvas = Image.new("RGB", (900, 700), (215, 215, 215))
    with Image.open(CHAIR) as image:
        canvas.paste(image.resize((300, 300)), (200, 300))
    canvas.save(tmp_path / "room.png")
    page.goto("/")
    choose(page, tmp_path / "room.png")
    expect(status(page)).to_have_text("One thing found: chair. Choose it to search with it.")
    expect(box(page, "chair")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("products by picture")).to_be_visible()
    assert len(shop.engine.searches) == 1


def test_nothing_found_is_said_quietly_and_the_whole_picture_is_searched(page: Page, shop: Any) -> None:
    page.goto("/")
    choose(page, shop.engine.folder / "images" / "teapot-00.jpg")
    expect(status(page)).to_contain_text("No single thing found")
    expect(cards(page).first).to_contain_text("1.000")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len(shop.engine.searches) == 1


def test_this_in_red(page: Page, shop: Any, photo: Path) -> None:
    page.goto("/")
    choose(page, photo)
    box(page, "coffee cup").click()
    expect(page.get_by_text("by part of the picture")).to_be_visible()
    look_for(page, "red")
    expect(page.get_by_text("by text and part of the picture")).to_be_visible()
    body = last_body(shop)
    assert body["_asked"]["text"] == "red"
    assert query_image(body) == crop(photo, {one.phrase: one.box for one in detect_file(photo).objects}["coffee cup"])


def asked_box(page: Page) -> Any:
    """Press Enter on the box of one's own, and what is asked for then."""
    with page.expect_request("**/api/objects") as asked:
        page.keyboard.press("Enter")
    return json.loads(asked.value.post_data or "")["box"]


def test_a_box_drawn_by_mouse_is_searched_with(page: Page, shop: Any, photo: Path) -> None:
    page.goto("/")
    choose(page, photo)
    expect(box(page, "coffee cup")).to_be_visible()
    scene = page.locator("#scene").bounding_box()
    assert scene is not None
    corners = [(scene["x"] + part * scene["width"], scene["y"] + part * scene["height"]) for part in (0.2, 0.8)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=5)  # over the boxes of others
    with page.expect_request("**/api/objects") as asked:
        page.mouse.up()
    expect(status(page)).to_have_text("Searching with your box.")
    drawn = json.loads(asked.value.post_data or "")["box"]
    assert drawn == pytest.approx([0.5, 0.5, 0.6, 0.6], abs=0.02)
    searched_with(page, shop, crop(photo, tuple(drawn)))
    expect(box(page, "Your box")).to_have_attribute("aria-pressed", "true")


def test_a_box_is_moved_and_sized_by_keys(page: Page, shop: Any, photo: Path) -> None:
    page.goto("/")
    choose(page, photo)
    expect(box(page, "coffee cup")).to_be_visible()
    page.get_by_role("button", name="Draw a box").press("Enter")
    own = box(page, "Your box")
    expect(own).to_be_focused()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(own).to_be_focused()
    assert asked_box(page) == pytest.approx([0.54, 0.52, 0.48, 0.52])
    expect(status(page)).to_have_text("Searching with your box.")
    for _ in range(40):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("ArrowDown")
    assert asked_box(page) == pytest.approx([0.5, 0.74, 1.0, 0.52]), "it left the picture"


def test_the_first_search_does_not_wait_for_the_detector(page: Page, shop: Any, photo: Path) -> None:
    held: list[Route] = []
    page.route("**/api/objects", lambda route: held.append(route))
    page.goto("/")
    choose(page, photo)
    expect(cards(page)).to_have_count(24)
    expect(status(page)).to_contain_text("Looking")
    held[0].continue_()
    expect(box(page, "coffee cup")).to_be_visible()
    assert len(shop.engine.searches) == 1


def test_a_newer_picture_is_not_shown_the_boxes_of_the_one_before(page: Page, shop: Any, photo: Path) -> None:
    held: list[Route] = []
    page.route("**/api/objects", lambda route: held.append(route) if not held else route.continue_())
    page.goto("/")
    choose(page, photo)
    expect(cards(page)).to_have_count(24)
    choose(page, CHAIR)
    expect(status(page)).to_have_text("Searching with the chair in it.")
    expect(box(page, "coffee cup")).to_have_count(0)


def test_a_detector_that_fails_leaves_the_search_as_it_is(page: Page, shop: Any, photo: Path) -> None:
    busy = json.dumps({"error": "too many pictures are being looked at", "hint": "", "code": "busy"})
    page.route("**/api/objects", lambda route: route.fulfill(status=429, body=busy, content_type="application/json"))
    page.goto("/")
    choose(page, photo)
    expect(cards(page)).to_have_count(24)
    expect(status(page)).to_contain_text("Draw a box")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("button", name="Draw a box").press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Too many pictures are being looked at")
    expect(whole(page)).to_have_attribute("aria-pressed", "true")


def test_a_crop_that_fails_leaves_the_one_before(page: Page, shop: Any, photo: Path) -> None:
    page.goto("/")
    choose(page, photo)
    box(page, "chair").dblclick()
    expect(status(page)).to_have_text("Searching with the chair.")
    busy = json.dumps({"error": "too many pictures are being looked at", "hint": "", "code": "busy"})
    page.route("**/api/objects", lambda route: route.fulfill(status=429, body=busy, content_type="application/json"))
    box(page, "coffee cup").click()
    expect(page.get_by_role("alert")).to_contain_text("Too many pictures")
    expect(box(page, "chair")).to_have_attribute("aria-pressed", "true")
    searched_with(page, shop, crop(photo, {one.phrase: one.box for one in detect_file(photo).objects}["chair"]))


def test_a_card_is_searched_with_as_it_is(page: Page, shop: Any) -> None:
    page.goto("/?q=green+lamp")
    cards(page).first.click()
    expect(page.get_by_role("region", name="Things in your picture")).to_be_visible()
    expect(page.get_by_text("products by picture")).to_be_visible()
    expect(cards(page).first).to_contain_text("1.000")
