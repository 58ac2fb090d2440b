"""Policies and bodies of calls, against files that people have read. NEURALSHELF_GOLDEN=write writes them anew."""

import json
import os
from pathlib import Path

import pytest

from neuralshelf.deploy.desired import Desired
from neuralshelf.deployment import Config, Deployment
from neuralshelf.settings import Environment
from tests.aws.shop import CONFIG, archive

FOLDER = Path(__file__).parent / "deploy"
MODEL = {"package": "one", "model": "one.tar.gz"}  # packages without a manifest, which would choose the image
ENVIRONMENT = {
    "name": "aws",
    "cluster": {"provider": "url", "url": "https://search.example.com", "auth": "sigv4", "region": "eu-central-1"},
    "runtime": {"provider": "aws", "region": "eu-central-1"},
    "hosting": {
        "bucket": "shop-models",
        "endpoints": {
            "shop-clip": MODEL | {"batching": {"size": 8, "delay_ms": 5}, "workers": 2, "instances": 2},
            "shop-minilm": {"package": "two", "model": "two.tar.gz", "mode": "serverless", "memory_mb": 3072},
            "shop-all": MODEL | {"mode": "multi-model", "targets": {"two": "two.tar.gz"}},
        },
    },
}


@pytest.fixture
def desired(tmp_path: Path) -> Desired:
    for package in ("one", "two"):
        (tmp_path / f"{package}.tar.gz").write_bytes(archive(package.encode()))
    deployment = Deployment(Config.parse(CONFIG, "config"), Environment.parse(ENVIRONMENT, "environment"))
    return Desired.of(deployment, "123456789012", tmp_path)


def test_policies_and_bodies_are_the_golden_ones(desired: Desired) -> None:
    found = {f"policy-{name}": policy for name, policy in desired.policies.items()}
    found |= {"bucket": desired.bucket, "roles": [role.create for role in desired.roles]}
    for endpoint in desired.endpoints:
        found[endpoint.name] = {"model": endpoint.model, "config": endpoint.config, "endpoint": endpoint.create}
    texts = {f"{name}.json": json.dumps(body, indent=2) + "\n" for name, body in found.items()}
    if os.environ.get("NEURALSHELF_GOLDEN") == "write":
        for name, text in texts.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
    assert sorted(texts) == sorted(file.name for file in FOLDER.iterdir())
    for name, text in texts.items():
        assert text == (FOLDER / name).read_text(encoding="utf-8"), f"{name} changed; is that meant?"
