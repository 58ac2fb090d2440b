"""A project on disk with archives to deploy, worked on through the command line in this process."""

import copy
import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuralshelf.cli import main
from neuralshelf.deploy.calls import Aws
from neuralshelf.deploy.deployer import Deployer
from neuralshelf.deploy.desired import Desired
from neuralshelf.deployment import Deployment
from tests.aws.account import ACCOUNT, REGION

Json = Any

BUCKET = "shop-models"

CONFIG: Mapping[str, Json] = {
    "project": "shop",
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "shop-minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "shop-clip", "dimension": 512},
        "titan": {"kind": "bedrock-titan-multimodal"},
    },
    "index": {
        "name": "shop",
        "fields": {"title": "text"},
        "vectors": {"text_vector": {"connector": "text", "text": ["title"]}},
    },
    "search": {"template": "shop-search", "keyword": ["title"], "weights": {"keyword": 0.5, "text_vector": 0.5}},
}
ENVIRONMENT: Mapping[str, Json] = {
    "name": "aws",
    "cluster": {
        "provider": "url",
        "url": f"https://search-shop-{'a' * 26}.{REGION}.es.amazonaws.com",
        "auth": "sigv4",
        "region": REGION,
    },
    "runtime": {"provider": "aws", "region": REGION},
    "hosting": {
        "bucket": BUCKET,
        "endpoints": {
            "shop-minilm": {"package": "minilm", "model": "build/minilm.tar.gz", "mode": "serverless"},
            "shop-clip": {"package": "clip", "model": "build/clip.tar.gz", "instance_type": "ml.m5.large"},
        },
    },
}


def archive(content: bytes) -> bytes:
    """A `model.tar.gz` with one weight file, of one tensor."""
    buffer = io.BytesIO()
    tensor = {"weight": {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}}
    head = json.dumps(tensor).encode()
    weights = len(head).to_bytes(8, "little") + head + content
    files = {"model.safetensors": weights, "code/inference.py": b"\n", "code/requirements.txt": b"\n"}
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, body in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(body)
            tar.addfile(item, io.BytesIO(body))
    return gzip.compress(buffer.getvalue(), mtime=0)


@dataclass
class Shop:
    """The project.

    Attributes:
        config, environment: as they will be written by `write`.
    """

    folder: Path
    config: dict[str, Json] = field(default_factory=lambda: copy.deepcopy(dict(CONFIG)))
    environment: dict[str, Json] = field(default_factory=lambda: copy.deepcopy(dict(ENVIRONMENT)))

    @property
    def endpoints(self) -> dict[str, Json]:
        """Section `hosting.endpoints`."""
        found: dict[str, Json] = self.environment["hosting"]["endpoints"]
        return found

    def write(self) -> None:
        """Put both files on disk."""
        (self.folder / "environments").mkdir(parents=True, exist_ok=True)
        (self.folder / "neuralshelf.yaml").write_text(yaml.safe_dump(self.config), encoding="utf-8")
        (self.folder / "environments" / "aws.yaml").write_text(yaml.safe_dump(self.environment), encoding="utf-8")

    def pack(self, package: str, content: bytes) -> None:
        """Put an archive on disk."""
        file = self.folder / "build" / f"{package}.tar.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(archive(content))

    def deployer(self, **options: Any) -> Deployer:
        """The same as the verbs, without preflight and waiting."""
        deployment = Deployment.load(self.folder / "neuralshelf.yaml", "aws")
        return Deployer(Aws(REGION), Desired.of(deployment, ACCOUNT, self.folder), every=0.01, **options)

    def run(self, verb: str, *words: str) -> int:
        """A verb; the exit code."""
        return main([verb, "--config", str(self.folder / "neuralshelf.yaml"), "-e", "aws", *words])

    def json(self, capsys: pytest.CaptureFixture[str], verb: str, *words: str, code: int = 0) -> Json:
        """What a verb prints with --json."""
        capsys.readouterr()
        assert self.run(verb, *words, "--json") == code
        return json.loads(capsys.readouterr().out)
