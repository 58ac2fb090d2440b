"""In whose order the page shows hits, and why each stands where it stands: over OpenSearch, the lite model and the
local ranker, with the three people of `samples/personas.py`."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from neuralshelf.connectors.ranking import RankingSpec

from .conftest import Shop, serving, tab_of
from .stack import MARKUP, PEOPLE, PageStack, rows

QUERY = "/?q=something+red"
KIND = {row["id"]: row["kind"] for row in rows()}
LIKED = {
    "gardener": {"plant pot", "birdhouse", "park bench"},
    "musician": {"acoustic guitar", "drum"},
    "host": {"teapot", "wine glass"},
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
COUNT_MOVES = """
    window.moves = 0;
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (...words) { window.moves++; return animate.apply(this, words); };
"""
CONTRAST = """(element) => {
    const channels = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const light = (colour) => channels(colour)
        .map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
    let ground = element;
    while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    const both = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor].map(light);
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
}"""

pytestmark = pytest.mark.slow


@pytest.fixture
def page(browser: Browser, stack: PageStack) -> Iterator[Page]:
    with tab_of(browser, Shop(stack.url.rstrip("/"), None), reduced_motion="reduce") as tab:
        yield tab


def person(page: Page) -> Locator:
    return page.get_by_role("combobox", name="As")


def preference(page: Page) -> Locator:
    return page.get_by_role("slider", name="preference")


def summary(page: Page) -> Locator:
    return page.locator("#summary")


def choose(page: Page, name: str) -> dict[str, Any]:
    """Choose a person; the answer that the page gets."""
    with page.expect_response("**/api/search") as response:
        person(page).select_option(name)
    return shown(page, response.value.json())


def press(page: Page, key: str) -> dict[str, Any]:
    """Press a key on the slider of preference; the answer that the page gets."""
    with page.expect_response("**/api/search") as response:
        preference(page).press(key)
    return shown(page, response.value.json())


def opened(page: Page, path: str) -> dict[str, Any]:
    """Go there; the answer that the page gets."""
    with page.expect_response("**/api/search") as response:
        page.goto(path)
    return shown(page, response.value.json())


def shown(page: Page, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, when its hits are on the page."""
    for hit, card in zip(answer["hits"][:5], ids(page, answer["hits"][0]["id"])[:5], strict=True):
        assert hit["id"] == card
    return answer


def ids(page: Page, first: str) -> list[str]:
    """Of the cards, as soon as `first` is the first."""
    expect(page.locator(".card").first).to_have_attribute("data-id", first)
    found: list[str] = page.locator(".card").evaluate_all("(all) => all.map((card) => card.dataset.id)")
    return found


def order(answer: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in answer["hits"]]


def test_three_people_see_three_first_pages_and_nobody_the_order_of_the_search(page: Page) -> None:
    base = opened(page, QUERY)
    expect(page.get_by_text("Why here")).to_have_count(0)
    expect(preference(page)).to_be_disabled()
    assert base["took"] > 1, "OpenSearch's own figure, which is wrong where hits are reranked"
    answers = {name: choose(page, name) for name in PEOPLE}
    pages = {name: order(answer)[:5] for name, answer in {"": base, **answers}.items()}
    assert len(set(map(frozenset, pages.values()))) == 4
    for name in PEOPLE:
        liked = {other: sum(KIND[identity] in LIKED[name] for identity in page) for other, page in pages.items()}
        assert all(liked[name] > liked[other] for other in pages if other != name), (name, pages)
    expect(summary(page)).to_have_text(re.compile(r"in the order of host$"))
    expect(page.get_by_text("Why here")).to_have_count(len(answers["host"]["hits"]))
    again = choose(page, "")
    assert [(hit["id"], hit["score"]) for hit in again["hits"]] == [(hit["id"], hit["score"]) for hit in base["hits"]]
    expect(summary(page)).to_have_text(re.compile(r"by text in \d+ ms$"))
    expect(page.get_by_text("Why here")).to_have_count(0)


def test_the_weight_goes_by_keyboard_from_the_order_of_the_search_to_that_of_preference(page: Page) -> None:
    base = opened(page, QUERY)
    choose(page, "gardener")
    expect(preference(page)).to_have_value("60")
    nothing = press(page, "Home")
    assert order(nothing) == order(base)
    expect(summary(page)).to_have_text(re.compile(r"in the order of the search$"))
    assert preference(page).get_attribute("aria-valuetext") == "0 % preference, 100 % relevance"
    everything = press(page, "End")
    preferences = [hit["why"]["preference"] for hit in everything["hits"]]
    assert preferences == sorted(preferences, reverse=True)
    assert len(set(preferences)) > 1
    for liked in set(preferences):  # equally liked ones in the order of the search, as far as the page shows it
        group = [hit["why"]["search"] for hit in everything["hits"] if hit["why"]["preference"] == liked]
        assert group == sorted(group, reverse=True)
    expect(page.locator("#preference-value")).to_have_text("100 %")


def test_why_here_says_the_parts_in_numbers_and_words_and_their_mean_is_the_score(page: Page) -> None:
    answer = opened(page, f"{QUERY}&user=host&user_weight=0.4")
    for hit in answer["hits"]:
        parts = hit["why"]
        assert parts["weight"] == 0.4
        assert hit["score"] == pytest.approx(parts["relevance"] ** 0.6 * parts["preference"] ** 0.4, abs=1e-5)
        assert parts["search"] == pytest.approx(hit["source"]["search_score"])
    first, parts = answer["hits"][0], answer["hits"][0]["why"]
    page.locator(".card").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    why = page.locator(".why").first
    expect(why.locator("dl")).to_be_visible()
    words = " ".join(why.locator("dl").inner_text().split())
    for part in (
        f"Relevance {percent(parts['relevance'])} how well it fits the question",
        f"the search gave it {parts['search']:.3f}",
        f"Preference {percent(parts['preference'])} how much host likes such products; 50 % is as much as any",
        "Weight 40 % of preference",
        f"Score {first['score']:.3f} = {percent(parts['relevance'])} ^ 0.60 × {percent(parts['preference'])} ^ 0.40",
    ):
        assert part in words
    page.keyboard.press("Escape")
    expect(why.locator("dl")).to_be_hidden()
    expect(why.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator(".why summary").nth(1).click()
    expect(why.locator("dl")).to_be_hidden()
    press(page, "End")
    page.locator(".why summary").first.click()
    expect(page.locator(".why dl").first).to_contain_text("among equals, the order of the search")


def percent(share: float) -> str:
    return f"{int(share * 100 + 0.5)} %"


def test_a_link_shows_the_same_page_and_back_leads_back(page: Page) -> None:
    opened(page, QUERY)
    choose(page, "musician")
    press(page, "ArrowRight")
    answer = press(page, "ArrowRight")
    expect(page).to_have_url(re.compile(r"\?q=something\+red&user=musician&user_weight=0\.7$"))
    for again in (opened(page, page.url), reloaded(page)):
        assert order(again) == order(answer)
        expect(person(page)).to_have_value("musician")
        expect(preference(page)).to_have_value("70")
    page.go_back()  # the weights on the way are no stations
    expect(person(page)).to_have_value("")
    expect(page).to_have_url(re.compile(r"\?q=something\+red$"))


def reloaded(page: Page) -> dict[str, Any]:
    with page.expect_response("**/api/search") as response:
        page.reload()
    return shown(page, response.value.json())


@pytest.mark.parametrize("weight", ["2", ""])
def test_a_weight_in_a_link_that_is_none_is_the_configured_one(page: Page, weight: str) -> None:
    opened(page, f"{QUERY}&user=host&user_weight={weight}")
    expect(preference(page)).to_have_value("60")


def test_somebody_unknown_sees_the_order_of_the_search(page: Page) -> None:
    base = opened(page, QUERY)
    answer = opened(page, f"{QUERY}&user=somebody+else")
    assert order(answer) == order(base)
    expect(person(page)).to_have_value("somebody else")
    expect(summary(page)).to_contain_text("in the order of the search: somebody else likes all of these alike")
    expect(page.locator(".why .liked").first).to_have_text("50 % liked")
    expect(page.get_by_label("Learn from clicks")).to_be_disabled()


def test_without_a_ranker_hits_come_in_the_order_of_the_search_and_the_page_says_so(
    page: Page, stack: PageStack
) -> None:
    base = opened(page, QUERY)
    with stack.ranker_broken():
        answer = choose(page, "gardener")
        assert order(answer) == order(base)
        expect(page.get_by_role("alert")).to_contain_text("The ranker gave no order")
        expect(page.get_by_role("alert")).to_contain_text("in the order of the search")
        expect(page.get_by_text("Why here")).to_have_count(0)
        page.get_by_label("Learn from clicks").check()
        page.locator(".card").first.click()
        expect(page.get_by_role("alert")).to_contain_text("The view was not kept")
        expect(page.get_by_text("products by picture")).to_be_visible()
    page.get_by_role("button", name="Remove the picture").click()
    answer = opened(page, f"{QUERY}&user=gardener")
    assert order(answer) != order(base)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_ranker_that_goes_away_between_two_pages_leaves_no_page_of_both_orders(page: Page, stack: PageStack) -> None:
    opened(page, f"{QUERY}&user=gardener")
    with stack.ranker_broken():
        page.get_by_role("button", name="Show more").click()
        expect(page.get_by_role("alert")).to_contain_text("The ranker gave no order")
        expect(page.locator(".card")).to_have_count(24)
        expect(page.get_by_text("Why here")).to_have_count(0)


def test_more_shows_everything_once(page: Page) -> None:
    answer = opened(page, f"{QUERY}&user=host")
    more = page.get_by_role("button", name="Show more")
    for count in range(24, answer["total"], 24):
        expect(page.locator(".card")).to_have_count(count)
        more.click()
    expect(page.locator(".card")).to_have_count(answer["total"])
    expect(more).to_be_hidden()
    assert len(set(ids(page, order(answer)[0]))) == answer["total"] == answer["ranked"]


def test_what_is_clicked_on_counts_in_the_next_search_when_it_is_to_be_kept(page: Page, stack: PageStack) -> None:
    before = opened(page, f"{QUERY}&user=musician")
    sofa = next(hit for hit in before["hits"] if KIND[hit["id"]] == "sofa")
    known = stack.interactions("musician")
    page.locator(f'[data-id="{sofa["id"]}"]').click()
    expect(page.get_by_text("products by picture")).to_be_visible()
    assert stack.interactions("musician") == known
    opened(page, f"{QUERY}&user=musician")
    page.get_by_label("Learn from clicks").check()
    expect(page.get_by_text("kept as views of musician")).to_be_visible()
    with page.expect_response("**/api/search") as response:
        page.locator(f'[data-id="{sofa["id"]}"]').click()
    assert response.value.json()["ranked"]
    assert stack.interactions("musician") == [*known, ("view", "sofa")]
    page.get_by_role("button", name="Remove the picture").click()
    after = opened(page, f"{QUERY}&user=musician")
    liked = {hit["id"]: hit["why"]["preference"] for hit in after["hits"]}
    assert liked[sofa["id"]] > sofa["why"]["preference"]


def test_a_view_is_known_to_the_next_search_within_a_second(page: Page) -> None:
    ask = {"text": "something red", "user": MARKUP, "user_weight": 1}
    before = page.request.post("/api/search", data=ask).json()["hits"]
    assert {round(hit["why"]["preference"], 9) for hit in before} == {0.5}
    begun = time.monotonic()
    kept = page.request.post("/api/views", data={"user": MARKUP, "id": "umbrella-00"})
    seconds = time.monotonic() - begun
    assert kept.json() == {"kept": True}
    first = page.request.post("/api/search", data=ask).json()["hits"][0]
    assert KIND[first["id"]] == "umbrella"
    assert seconds < 1


def test_a_name_that_is_markup_stays_text(page: Page) -> None:
    opened(page, QUERY)
    choose(page, MARKUP)
    expect(summary(page)).to_contain_text(MARKUP)
    page.get_by_label("Learn from clicks").check()
    expect(page.locator("#kept")).to_contain_text(MARKUP)
    page.locator(".why summary").first.click()
    expect(page.locator(".why dl").first).to_contain_text(MARKUP)
    assert page.locator("img[src=x]").count() == 0
    assert "owned" not in page.title()


def test_every_control_has_a_name_and_changes_are_announced(page: Page) -> None:
    opened(page, f"{QUERY}&user=host")
    page.get_by_role("group", name="In whose order").get_by_label("Learn from clicks").check()
    names = page.evaluate(
        """() => [...document.querySelectorAll("#people :is(select, input), .why summary")]
            .map((element) => element.ariaLabel || element.labels?.[0]?.innerText || element.innerText)"""
    )
    assert len(names) == 3 + 24
    assert all(name.strip() for name in names)
    for announced in ("#summary", "#kept"):
        assert page.locator(announced).get_attribute("role") == "status"


def test_it_fits_and_can_be_read(page: Page) -> None:
    opened(page, f"{QUERY}&user=musician")
    page.get_by_label("Learn from clicks").check()
    for width in (320, 360, 1280):
        page.set_viewport_size({"width": width, "height": 740})
        for place in (0, 1):
            page.locator(".why summary").nth(place).click()
            expect(page.locator(".why dl").nth(place)).to_be_visible()
            inner, wide = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
            assert wide <= inner == width
        page.locator(".why summary").nth(1).click()
    page.locator(".why summary").first.click()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for text in (".why .liked", ".why[open] dd", ".why summary span", "#kept", "#summary"):
            assert page.locator(text).first.evaluate(CONTRAST) >= 4.5, (scheme, text)


def test_the_head_of_the_page_stays_where_it_is(page: Page) -> None:
    opened(page, QUERY)
    before = page.locator("#hits").bounding_box()
    choose(page, "host")
    after = page.locator("#hits").bounding_box()
    assert before is not None
    assert after is not None
    assert before["y"] == after["y"]


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_cards_glide_to_their_new_places_unless_somebody_asked_for_no_motion(
    browser: Browser, stack: PageStack, motion: Any
) -> None:
    with tab_of(browser, Shop(stack.url.rstrip("/"), None), reduced_motion=motion) as tab:
        tab.add_init_script(COUNT_MOVES)
        opened(tab, QUERY)
        choose(tab, "gardener")
        assert (tab.evaluate("window.moves") > 0) is (motion == "no-preference")


def test_the_command_line_finds_the_same(page: Page, stack: PageStack) -> None:
    answer = opened(page, f"{QUERY}&user=host&user_weight=0.7")
    words = ("search", "something red", "--user", "host", "--user-weight", "0.7")
    found = json.loads(stack.run(*words, "--json"))
    assert [hit["id"] for hit in found["hits"]] == order(answer)[:10]
    assert [hit["why"] for hit in found["hits"]] == [hit["why"] for hit in answer["hits"][:10]]
    assert found["ranked"] is True
    table = stack.run(*words)
    assert "relevance" in table
    assert "in the order of host: score = relevance ^ 0.3 × preference ^ 0.7" in table


def test_words_alone_are_in_nobodys_order_and_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    ranking = RankingSpec(item="kind", people=("host",))
    with serving(tmp_path, ranking=ranking) as shop, tab_of(browser, shop) as tab:
        shop.engine.models_away = True
        tab.goto("/?q=red+teapot&user=host")
        expect(tab.get_by_text("Plain red teapot").first).to_be_visible()
        expect(tab.get_by_role("alert")).to_contain_text("by keywords alone, not in the order of host.")
        tab.goto("/?q=plain&user=host")
        tab.get_by_role("button", name="Show more").click()
        expect(tab.locator(".card")).to_have_count(48)
        expect(tab.get_by_role("alert")).to_contain_text("not in the order of host")


def test_a_page_that_ranks_nothing_shows_nothing_of_this(browser: Browser, served: Shop) -> None:
    with tab_of(browser, served) as tab:
        served.engine.searches.clear()
        tab.goto("/?q=mug&user=host&user_weight=0.5")
        expect(tab.locator(".card").first).to_contain_text("mug")
        for part in ("In whose order", "Why here", "Learn from clicks", "liked", "in the order of"):
            expect(tab.get_by_text(part).filter(visible=True)).to_have_count(0)
        expect(tab.get_by_role("combobox")).to_have_count(0)
        expect(tab.get_by_role("slider")).to_have_count(1)
        assert not {"user", "user_weight"} & set(json.loads(served.engine.searches[-1])["_asked"])
        refused = tab.request.post("/api/views", data={"user": "host", "id": "mug-12"})
        assert refused.status == 403
