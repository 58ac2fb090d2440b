"""One input has one vector, made in bulk or online, by the models of the local server."""

import json
import random
import shutil
from pathlib import Path

import pytest
import yaml
from opensearchpy import OpenSearch

from neuralshelf.engine import Engine
from neuralshelf.settings import Folders
from tests.aws_batch.conftest import Open, place
from tests.aws_batch.test_batch import vectors
from tests.engine.fixtures import ServeModels
from tests.engine.ingestion.test_backfill import cosine
from tests.engine.provision.conftest import settings_put_away

ROOT = Path(__file__).resolve().parents[2]


def test_real_models_give_the_same_vectors_in_a_batch_and_online(
    client: OpenSearch, engine: Engine, serve_models: ServeModels, open_shop: Open
) -> None:
    lite = pytest.importorskip("neuralshelf.model_packages.lite")
    minilm = pytest.importorskip("neuralshelf.model_packages.minilm")
    config = yaml.safe_load((ROOT / "neuralshelf.yaml").read_text("utf-8"))
    config = {key: config[key] for key in ("connectors", "index", "search")}
    del config["index"]["name"], config["search"]["template"]
    served = serve_models(lite.LiteEncoder.load(Folders.default(ROOT).cache), minilm.MiniLmEncoder.load())
    lines = (ROOT / "samples" / "catalogue.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in random.Random(3).sample(lines, 24)]
    with settings_put_away(client), place(client, engine, served, config) as where:
        for row in rows:
            target = where.project.folder / row["image"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "samples" / row["image"], target)
        shop = open_shop(where, rows)
        done = shop.batch_json()
        assert (done["indexed"], done["given"]["complete"]) == (24, 24)
        made = vectors(shop)
        shop.project.run("ingest", str(shop.catalogue), "--restart")
        online = vectors(shop)
        assert made.keys() == online.keys() == {row["id"] for row in rows}
        for identity, found in made.items():
            assert set(found) == {"text_vector", "image_vector"}
            for name, value in found.items():
                assert cosine(value, online[identity][name]) >= 0.9999, (identity, name)
