"""The stack of this clone that is up, as the benchmarks ask it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipeline
from opensearchpy import OpenSearch

from neuralshelf.client import connect
from neuralshelf.deployment import Deployment
from neuralshelf.local.stack import Stack
from neuralshelf.settings import Folders

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "neuralshelf.yaml"
CATALOGUE = ROOT / "samples" / "catalogue.jsonl"
ENVIRONMENT = "local"


@dataclass(frozen=True)
class Up:
    """`client` of the engine, `runtime`: a boto3 client of the model server."""

    client: OpenSearch
    runtime: Any
    deployment: Deployment

    @classmethod
    def find(cls) -> "Up":
        """Raises ServerError when nothing is up."""
        stack = Stack(CONFIG, ENVIRONMENT, Folders.default(CONFIG.parent / "local"))
        deployment = Deployment.load(CONFIG, ENVIRONMENT)
        running = stack.running()
        access_key, secret_key = stack.state.keys()
        region = deployment.environment.runtime.region
        return cls(
            connect(deployment.environment.cluster, running.engine_url),
            pipeline.runtime_client(str(running.server_url), region, access_key, secret_key),
            deployment,
        )
