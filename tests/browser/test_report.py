"""The pages of `evaluate` and `cluster` in a real Chromium: they ask for nothing, complain of nothing, and fit."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.reports import HOSTILE, clusters_page, report

PAGES: Mapping[str, Callable[[], str]] = {"Search quality": report, "Clusters": clusters_page}


@pytest.fixture(scope="module", params=PAGES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Called as the first words of its title."""
    path = tmp_path_factory.mktemp("report") / f"{request.param}.html"
    path.write_text(PAGES[request.param](), encoding="utf-8")
    return path


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def opened(context: BrowserContext, file: Path, scheme: str = "light") -> tuple[Page, list[str]]:
    """The page, and all that it asked for or complained about."""
    said: list[str] = []
    tab = context.new_page()
    tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    tab.on("console", lambda line: said.append(line.text))
    tab.on("pageerror", lambda fault: said.append(str(fault)))
    tab.on("request", lambda request: None if request.url.startswith("data:") else said.append(request.url))
    tab.goto(file.as_uri())
    return tab, said


def test_the_page_asks_for_nothing_and_hostile_texts_stay_texts(context: BrowserContext, file: Path) -> None:
    tab, said = opened(context, file)
    tab.wait_for_load_state("networkidle")
    assert said == [file.as_uri()]
    assert tab.title() == f"{file.stem}: {HOSTILE}"
    assert HOSTILE in tab.inner_text("h1")
    assert HOSTILE in tab.locator("h3").first.inner_text()
    assert tab.evaluate("document.scripts.length") == 0
    broken = "[...document.images].filter((image) => !image.complete || !image.naturalWidth).length"
    assert tab.evaluate("document.images.length") > 10
    assert tab.evaluate(broken) == 0


def test_what_the_policy_forbids_is_not_fetched(context: BrowserContext, file: Path, tmp_path: Path) -> None:
    """Were something to get through, it could still reach nobody: the same page with a picture of elsewhere in it."""
    spoilt = tmp_path / "spoilt.html"
    html = file.read_text(encoding="utf-8")
    spoilt.write_text(html.replace("</main>", '<img src="http://127.0.0.1:9/x"><script>1</script></main>'), "utf-8")
    tab, said = opened(context, spoilt)
    tab.wait_for_load_state("networkidle")
    assert len([line for line in said if "Content Security Policy" in line]) == 2


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_it_fits_the_screen(context: BrowserContext, file: Path, width: int) -> None:
    tab, _ = opened(context, file)
    tab.set_viewport_size({"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_it_follows_light_and_dark_plots_included(context: BrowserContext, file: Path) -> None:
    colours = []
    for scheme in ("light", "dark"):
        tab, _ = opened(context, file, scheme)
        colours.append(
            tab.evaluate(
                "() => { const plotted = document.querySelector('figure svg text');"
                " const written = getComputedStyle(plotted ?? document.querySelector('h1'));"
                " return [getComputedStyle(document.body).backgroundColor, plotted ? written.fill : written.color]; }"
            )
        )
    (light, ink), (dark, pale) = colours
    assert light != dark
    assert ink != pale


def test_a_bar_leads_to_its_cluster(context: BrowserContext, file: Path) -> None:
    tab, said = opened(context, file)
    bars = tab.locator(".bars a")
    assert bars.count() == (7 if file.stem == "Clusters" else 0)
    if bars.count():
        label = str(bars.last.get_attribute("aria-label"))
        bars.last.click()
        assert tab.locator("article:target h3").inner_text().casefold() in label.casefold()
        assert len(said) <= 2  # the page, and its anchor
