"""The search page in a real Chromium, over a gateway whose cluster is a small one in memory.

Chromium is the one on the PATH, or the one that the environment variable CHROMIUM names. These tests are skipped, with
the reason, where there is none.
"""

import io
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright

from neuralshelf import yamlfile
from neuralshelf.connectors.ranking import RankingSpec
from neuralshelf.deployment import Config
from neuralshelf.gateway import create_gateway
from neuralshelf.objects import Finder
from tests.engine.provision.conftest import settings_put_away

from .engine import Engine
from .stack import PageStack, make_folder

CONFIG = Path(__file__).resolve().parents[2] / "neuralshelf.yaml"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
COLOURS = {"red": (200, 30, 30), "green": (30, 150, 60), "blue": (40, 60, 210), "yellow": (240, 200, 30)}
KINDS = ("teapot", "mug", "chair", "lamp")
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> shelf"


@dataclass(frozen=True)
class Shop:
    """A page that is being served, and the cluster behind it."""

    url: str
    engine: Any


def jpeg(colour: tuple[int, int, int], seed: int, side: int = 128) -> bytes:
    """A picture that no other product has."""
    image = Image.new("RGB", (side, side), (236, 236, 236))
    draw = ImageDraw.Draw(image)
    draw.ellipse((side * 0.2, side * 0.25, side * 0.8, side * 0.85), fill=colour)
    draw.rectangle((0, 0, 2 + seed, 3), fill=(seed * 5 % 255, 80, 120))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def products(folder: Path) -> dict[str, dict[str, Any]]:
    """48 products with a picture each, and one whose title is markup."""
    (folder / "images").mkdir()
    found: dict[str, dict[str, Any]] = {}
    for number in range(48):
        kind, colour = KINDS[number // 12], list(COLOURS)[number % 4]
        identity = f"{kind}-{number:02}"
        (folder / "images" / f"{identity}.jpg").write_bytes(jpeg(COLOURS[colour], number))
        found[identity] = {
            "title": f"Plain {colour} {kind}",
            "description": f"A {kind}, finished in {colour}.",
            "brand": ("Amber Ridge", "Ostrelle", "Vantrow")[number % 3],
            "kind": kind,
            "colour": colour,
            "material": ("oak", "tin")[number % 2],
            "price": 5.0 + number,
            "image_path": f"sample/images/{identity}.jpg",
        }
    (folder / "images" / "hostile.jpg").write_bytes(jpeg((90, 90, 90), 48))
    found["hostile"] = {**found["lamp-47"], "title": HOSTILE, "image_path": "sample/images/hostile.jpg"}
    return found


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None or not Path(found).is_file():
        pytest.skip(f"no Chromium: {named or 'none on the PATH'} (install one, or name it in CHROMIUM)")
    return found


@pytest.fixture(scope="module")  # not longer: playwright keeps an event loop running, which other tests trip over
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for the tests of a file."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The gateway on a free port."""
    with serving(tmp_path_factory.mktemp("catalogue")) as shop:
        yield shop


@pytest.fixture(scope="package")
def stack(chromium: str, request: pytest.FixtureRequest) -> Iterator[PageStack]:
    """A page over a real stack, on the engine of the session, with the products of `stack.KINDS` and three people."""
    engine, client = request.getfixturevalue("engine"), request.getfixturevalue("client")
    folder = Path(tempfile.mkdtemp(prefix="neuralshelf-page-"))
    make_folder(folder, engine.url)
    verbs = PageStack("", folder)
    try:
        with settings_put_away(client):
            verbs.run("up")
            verbs.run("ingest", "catalogue.jsonl")
            verbs.run("interactions", "import", "interactions.jsonl")
            yield PageStack(json.loads(verbs.run("status", "--json"))["page"]["url"], folder)
            verbs.run("destroy", "--yes")
    finally:
        verbs.run("down")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(folder: Path, finder: Finder | None = None, ranking: RankingSpec | None = None) -> Iterator[Shop]:
    """The gateway over a shop of its own, on a free port."""
    config = Config.parse(yamlfile.load(CONFIG), CONFIG.name)
    engine = Engine(products(folder), folder)
    gateway = create_gateway(
        engine.client(),
        index=config.index,
        search=config.search,
        pictures=lambda: {"sample": folder},
        finder=finder,
        ranking=ranking,
    )
    server = uvicorn.Server(uvicorn.Config(gateway, log_level="warning", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Shop(f"http://127.0.0.1:{listener.getsockname()[1]}", engine)
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def shop(served: Shop) -> Shop:
    """The page with a healthy cluster that was asked nothing yet."""
    served.engine.away = served.engine.models_away = False
    served.engine.searches.clear()
    return served


@pytest.fixture
def page(browser: Browser, shop: Shop) -> Iterator[Page]:
    """An empty tab that must end without an error on its console and without a request to anywhere else."""
    with tab_of(browser, shop) as tab:
        yield tab


@contextmanager
def tab_of(browser: Browser, shop: Shop, **look: Any) -> Iterator[Page]:
    """The same; `look`: options of the browser's context."""
    look = {"viewport": {"width": 1280, "height": 900}, **look}
    context = browser.new_context(base_url=shop.url, service_workers="block", **look)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(15_000)
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda fault: wrong.append(str(fault)))
    # A status other than 200 is logged by the browser itself: tests of error states look at it on their own.
    tab.on("console", lambda line: wrong.append(line.text) if is_fault(line.type, line.text) else None)
    tab.on("request", lambda request: None if ours(request.url, shop.url) else wrong.append(request.url))
    yield tab
    context.close()
    assert not wrong


def is_fault(kind: str, text: str) -> bool:
    return kind == "error" and "Failed to load resource" not in text


def ours(url: str, base: str) -> bool:
    return url.startswith((base, "blob:", "data:"))
