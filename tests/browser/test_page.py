"""What the page promises whatever is searched: what it shows of a request, what it hides, how it fits and fails."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import HOSTILE
from .engine import ADDRESS, PASSWORD

WIDTHS = (320, 360, 768, 1280)


def test_what_is_copied_is_what_was_sent(page: Page, shop: Any) -> None:
    page.goto("/?q=mug")
    page.locator("input[type=file]").set_input_files(shop.engine.folder / "images/mug-12.jpg")
    expect(page.get_by_text("by text and picture")).to_be_visible()
    with page.expect_response("**/api/search"):
        page.get_by_role("slider").press("Home")  # weights 1.0 and 0.0, of which a browser would make 1 and 0
    page.get_by_text("The request OpenSearch got").click()
    sent = shop.engine.searches[-1]
    picture = re.search(r'"query_image": "([^"]+)"', sent)
    assert picture
    expect(page.locator("pre")).to_contain_text(picture[1][:20])
    expect(page.locator("pre")).not_to_contain_text(picture[1][-60:])
    page.get_by_role("button", name="Copy body").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == sent
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied").nth(1)).to_be_visible()
    curl = page.evaluate("navigator.clipboard.readText()")
    head, body = curl.split(" <<'JSON'\n")
    assert head.startswith("curl ")
    assert "$OPENSEARCH_URL/products/_search" in head
    assert body.rstrip("\n") == f"{sent}\nJSON"


def test_whole_numbers_among_weights_keep_their_decimals(page: Page, shop: Any) -> None:
    page.goto("/?q=mug")
    expect(page.get_by_role("list", name="Products found").get_by_role("button").first).to_contain_text("mug")
    page.get_by_role("slider").press("Home")
    page.get_by_text("The request OpenSearch got").click()
    expect(page.locator("pre")).to_contain_text(re.compile(r"1\.0,\s+0\.0,\s+0\.0"))


def test_text_of_a_hit_stays_text(page: Page, shop: Any) -> None:
    page.goto("/?q=script")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert "owned" not in page.title()
    assert page.locator("script").count() == 1


def test_text_of_the_address_stays_text(page: Page, shop: Any) -> None:
    hostile = "%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D'owned'%22%3E"
    page.goto(f"/?q={hostile}&brand={hostile}&price_min={hostile}")
    expect(page.get_by_text("No product fits.")).to_be_visible()
    assert page.title().startswith("<img")
    assert page.locator("img[src=x]").count() == 0


def test_neither_address_nor_login_of_the_cluster_reaches_the_browser(page: Page, shop: Any) -> None:
    seen: list[str] = []
    page.on("response", lambda response: seen.append(json.dumps([response.url, dict(response.headers)])))
    page.on("response", lambda response: seen.append("" if "picture" in response.url else response.text()))
    page.goto("/?q=red+teapot")
    expect(page.get_by_text("Plain red teapot").first).to_be_visible()
    shop.engine.away = True
    page.get_by_role("searchbox").fill("blue mug")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    everything = " ".join([*seen, page.content()])
    assert "api/search" in everything
    for secret in (ADDRESS, "cluster.internal", PASSWORD, "authorization", str(shop.engine.folder)):
        assert secret not in everything, secret


def test_a_cluster_that_is_away_is_one_line_with_the_next_step_and_can_be_retried(page: Page, shop: Any) -> None:
    shop.engine.away = True
    page.goto("/?q=red+teapot")
    expect(page.get_by_role("alert")).to_contain_text("OpenSearch doesn't answer")
    expect(page.get_by_role("alert")).to_contain_text("neuralshelf up")
    box = page.get_by_role("alert").bounding_box()
    assert box is not None
    assert box["height"] < 80, "one line"
    shop.engine.away = False
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Plain red teapot").first).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_without_models_words_are_searched_alone_and_the_page_says_so(page: Page, shop: Any) -> None:
    page.goto("/")
    shop.engine.models_away = True
    page.get_by_role("searchbox").fill("red teapot")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Plain red teapot").first).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("keywords alone")
    assert "neural" not in shop.engine.searches[-1]


def test_without_models_a_picture_alone_is_an_error(page: Page, shop: Any) -> None:
    page.goto("/")
    shop.engine.models_away = True
    page.locator("input[type=file]").set_input_files(shop.engine.folder / "images/mug-12.jpg")
    expect(page.get_by_role("alert")).to_contain_text("models")
    assert page.get_by_role("list", name="Products found").get_by_role("listitem").count() == 0


def test_without_models_the_picture_beside_words_is_left_out_and_the_page_says_so(page: Page, shop: Any) -> None:
    page.goto("/")
    page.get_by_role("searchbox").fill("red teapot")
    shop.engine.models_away = True
    page.locator("input[type=file]").set_input_files(shop.engine.folder / "images/mug-12.jpg")
    expect(page.get_by_text("Plain red teapot").first).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Your picture was left out")
    expect(page.get_by_text("by keywords in")).to_be_visible()
    assert "query_image" not in shop.engine.searches[-1]


def test_models_that_go_away_between_two_pages_leave_no_page_of_both_kinds(page: Page, shop: Any) -> None:
    page.goto("/?q=plain")
    cards = page.get_by_role("list", name="Products found").get_by_role("button")
    expect(cards).to_have_count(24)
    shop.engine.models_away = True
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("alert")).to_contain_text("keywords alone")
    expect(cards).to_have_count(24)
    page.get_by_role("button", name="Show more").click()
    expect(cards).to_have_count(48)
    expect(page.get_by_role("alert")).to_contain_text("keywords alone")
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    names = cards.evaluate_all("(all) => all.map((card) => card.dataset.id)")
    assert len(set(names)) == 48
    assert all("neural" not in body for body in shop.engine.searches[-2:])


def test_a_product_of_several_pictures_says_how_many_there_are(page: Page) -> None:
    def with_views(route: Route) -> None:
        answer = route.fetch().json()
        for hit, views in zip(answer["hits"], (3, 1), strict=False):
            hit["views"] = views
        route.fulfill(json=answer)

    page.route("**/api/search", with_views)
    page.goto("/?q=teapot")
    cards = page.get_by_role("list", name="Products found").get_by_role("button")
    expect(cards.nth(0)).to_contain_text("3 views")
    expect(cards.nth(1)).not_to_contain_text("view")


def test_a_page_whose_server_is_gone_says_so(page: Page, shop: Any) -> None:
    page.goto("/")
    page.context.set_offline(True)
    page.get_by_role("searchbox").fill("red teapot")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("You are offline")
    page.context.set_offline(False)


def test_nothing_found_says_what_to_do(page: Page, shop: Any) -> None:
    page.goto("/?q=submarine")
    expect(page.get_by_role("alert")).to_contain_text("No product fits.")


def test_an_empty_catalogue_says_how_to_fill_it(page: Page, shop: Any) -> None:
    full, shop.engine.products = shop.engine.products, {}
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("neuralshelf ingest")
    shop.engine.products = full
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_text("Or look around")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["/", "/?q=plain&colour=red", "/?q=script"])
def test_nothing_sticks_out_at_any_width(page: Page, shop: Any, width: int, path: str) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(path)
    expect(page.get_by_role("list", name="Products found").get_by_role("button").first).to_be_visible()
    if "q=" in path:
        page.get_by_text("The request OpenSearch got").click()
    if width < 900:
        page.get_by_text("Filters", exact=False).first.click()
    inner, wide = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert wide <= inner


def test_dark_and_light_follow_the_system(page: Page, shop: Any) -> None:
    page.goto("/")
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds.append(sum(map(int, re.findall(r"\d+", colour)[:3])))
    assert grounds[0] > 600
    assert grounds[1] < 150


def test_nothing_moves_for_people_who_asked_for_that(page: Page, shop: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto("/?q=mug")
    card = page.get_by_role("list", name="Products found").get_by_role("button").first
    expect(card).to_contain_text("mug")
    card.hover()
    assert card.evaluate("(card) => [getComputedStyle(card).transform, getComputedStyle(card).transitionDuration]") == [
        "none",
        "0s",
    ]


def test_every_control_has_a_name(page: Page, shop: Any) -> None:
    page.goto("/?q=mug")
    expect(page.get_by_role("list", name="Products found").get_by_role("button").first).to_contain_text("mug")
    page.locator("input[type=file]").set_input_files(shop.engine.folder / "images/mug-12.jpg")
    expect(page.get_by_role("img", name="Your picture")).to_be_visible()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, summary, a, img")]
            .filter((element) => element.checkVisibility())
            .filter((element) => !(element.ariaLabel || element.innerText?.trim() || element.labels?.length
                || element.alt !== undefined && element.hasAttribute("alt")))
            .map((element) => element.outerHTML)"""
    )
    assert nameless == []
