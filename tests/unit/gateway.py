"""The page's gateway before an engine that answers as OpenSearch does, with five mugs in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from neuralshelf import yamlfile
from neuralshelf.deployment import Config
from neuralshelf.gateway import create_gateway
from tests.browser.engine import Engine

CONFIG = Path(__file__).resolve().parents[2] / "neuralshelf.yaml"


def product(number: int) -> dict[str, Any]:
    return {
        "title": f"Mug {number}",
        "brand": "Ostrelle",
        "kind": "mug",
        "colour": "red" if number % 2 else "blue",
        "material": "tin",
        "price": 1.0 + number,
        "image_path": "key/images/mug.jpg",
    }


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """With pictures, and some files that are none."""
    catalogue = tmp_path / "catalogue"
    (catalogue / "images").mkdir(parents=True)
    for name in ("images/mug.jpg", "images/UPPER.JPG", "images/notes.txt", "images/page.svg", "../outside.jpg"):
        (catalogue / name).write_bytes(b"bytes of " + name.encode())
    (catalogue / "images" / "folder.jpg").mkdir()
    (catalogue / "images" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (catalogue / "images" / "inner.jpg").symlink_to(catalogue / "images" / "mug.jpg")
    return Engine({f"mug-{number}": product(number) for number in range(5)}, catalogue)


def served(engine: Engine, *, picture_weights: Mapping[str, float] | None = None, **options: Any) -> TestClient:
    values = yamlfile.load(CONFIG)
    values["search"]["weights"] = {"keyword": 0.3, "text_vector": 0.3, "image_vector": 0.4}
    values["search"]["picture_weights"] = dict(picture_weights or {})
    config = Config.parse(values, CONFIG.name)
    gateway = create_gateway(
        engine.client(), index=config.index, search=config.search, pictures=lambda: {"key": engine.folder}, **options
    )
    return TestClient(gateway, raise_server_exceptions=False)


def ask(browser: TestClient, **question: Any) -> Any:
    return browser.post("/api/search", json=question)
