"""The whole chain through the command line: from an empty account to hits and back to an empty account, twice.

The control plane is moto's, as a server; in the place of SageMaker Runtime there is the project's own model server with
its real encoders; the cluster is a real OpenSearch. It calls the models with keys, since only Amazon OpenSearch
Service takes on roles; tests/aws/test_role.py holds that its connectors would name the deployed one.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from opensearchpy import OpenSearch

from neuralshelf.engine import Engine
from neuralshelf.model_packages import lite, minilm
from neuralshelf.settings import Folders
from tests.aws.account import everything
from tests.aws.conftest import somebody
from tests.aws.gaps import filled
from tests.aws.shop import archive
from tests.engine.conftest import ServeModels
from tests.engine.provision.conftest import project_in_a_folder, settings_put_away
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.wire import wire_to

ROOT = Path(__file__).parents[2]
PRODUCTS = ("teapot-00", "wine-glass-00", "sofa-00", "drum-00")


@pytest.fixture
def moto(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An empty account behind an address; variables that lead boto3 there."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with filled(), somebody(tmp_path) as environ:
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield environ | {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
        finally:
            server.stop()


@pytest.fixture
def project(engine: Engine, client: OpenSearch, serve_models: ServeModels, moto: dict[str, str]) -> Iterator[Project]:
    """The sample's connectors, called by a cluster that has keys."""
    served = serve_models(lite.LiteEncoder.load(Folders.default(ROOT).cache), minilm.MiniLmEncoder.load())
    with (
        settings_put_away(client),
        wire_to(engine.url) as wire,
        project_in_a_folder(client, wire, served, FULL) as made,
    ):
        made.environ |= moto
        made.environment["hosting"] = {
            "bucket": f"{made.name}-models",
            "endpoints": {
                "neuralshelf-minilm": {"package": "minilm", "model": "minilm.tar.gz", "mode": "serverless"},
                "neuralshelf-clip": {"package": "clip", "model": "clip.tar.gz", "instance_type": "ml.m5.large"},
            },
        }
        made.write()
        for package in ("minilm", "clip"):
            (made.folder / f"{package}.tar.gz").write_bytes(archive(package.encode()))
        _catalogue(made.folder)
        yield made


def _catalogue(folder: Path) -> None:
    (folder / "images").mkdir()
    rows: list[dict[str, Any]] = []
    for line in (ROOT / "samples" / "catalogue.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["id"] in PRODUCTS:
            shutil.copy(ROOT / "samples" / row["image"], folder / "images")
            rows.append({key: row[key] for key in ("id", "title", "brand", "price", "image")})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "catalogue.jsonl").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_from_an_empty_account_to_hits_and_back_twice(project: Project, moto: dict[str, str]) -> None:
    url = moto["AWS_ENDPOINT_URL"]
    for _ in range(2):
        assert everything(url) == set()
        made = project.run("deploy", "--json").json
        assert len(made["calls"]) > 10
        there = everything(url)
        assert project.run("deploy", "--json").json["calls"] == []
        assert everything(url) == there

        project.run("apply")
        project.run("ingest", str(project.folder / "catalogue.jsonl"))
        hits = project.run("search", "a glass for wine", "--json").json["hits"]
        assert hits[0]["id"] == "wine-glass-00"
        picture = str(project.folder / "images" / "drum-00.jpg")
        assert project.run("search", "--image", picture, "--json").json["hits"][0]["id"] == "drum-00"

        project.run("destroy", "--yes")
        gone = project.run("undeploy", "--yes", "--json").json
        assert gone["left"] == []
        assert everything(url) == set()
