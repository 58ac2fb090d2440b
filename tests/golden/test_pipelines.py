"""Every body that pipelines render, against files that people have read. NEURALSHELF_GOLDEN=write writes them anew."""

import json
import os
from pathlib import Path

import pytest

from neuralshelf import yamlfile
from neuralshelf.deployment import Config
from neuralshelf.pipelines import pipeline_resources
from neuralshelf.pipelines.ranking import Ranking
from neuralshelf.settings import VectorStore

FOLDER = Path(__file__).parent / "pipelines"
STORES = {
    **dict.fromkeys(("shop", "views", "ranked", "liked"), VectorStore()),
    "joint": VectorStore(engine="faiss", shards=3, replicas=1),
}


def rendered(shop: str) -> dict[str, str]:
    """Address -> body as text; mustache as it is, everything else as indented JSON."""
    config = Config.parse(yamlfile.load(FOLDER / f"{shop}.yaml"), f"{shop}.yaml")
    found, prefix = {}, f"{shop}-test"
    for resource in pipeline_resources(
        config.index,
        config.search,
        config.connectors,
        store=STORES[shop],
        prefix=prefix,
        ranking=Ranking.of(config.ranking, prefix),
    ):
        name = f"{resource.kind}-{resource.name}"
        if "script" in resource.body:
            found[f"{name}.mustache"] = resource.body["script"]["source"] + "\n"
        else:
            found[f"{name}.json"] = json.dumps(resource.body, indent=2) + "\n"
    return found


@pytest.mark.parametrize("shop", STORES)
def test_bodies_are_the_golden_ones(shop: str) -> None:
    bodies = rendered(shop)
    folder = FOLDER / shop
    if os.environ.get("NEURALSHELF_GOLDEN") == "write":
        folder.mkdir(exist_ok=True)
        for name, text in bodies.items():
            (folder / name).write_text(text, encoding="utf-8")
    assert sorted(bodies) == sorted(file.name for file in folder.iterdir())
    for name, text in bodies.items():
        assert text == (folder / name).read_text(encoding="utf-8"), f"{name} changed; is that meant?"


@pytest.mark.parametrize("shop", STORES)
def test_rendering_twice_gives_the_same_fingerprints(shop: str) -> None:
    assert rendered(shop) == rendered(shop)
