"""All benchmarks against the stack that is up; prints the table and writes it to RESULTS.md beside this file.

Run: ./inv up && ./inv ingest samples/catalogue.jsonl && ./inv bench

Those that take hours are started by themselves: scale.py, pgvector.py, loading.py and ingesting.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import latency
import pipeline
import plan
import server
import tempo
from ratio import table

from neuralshelf.client import connect
from neuralshelf.deployment import Deployment
from neuralshelf.local.stack import Stack
from neuralshelf.settings import Folders

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Measure, print, write."""
    config = ROOT / "neuralshelf.yaml"
    stack = Stack(config, "local", Folders.default(config.parent / "local"))
    deployment = Deployment.load(config, "local")
    running = stack.running()
    client = connect(deployment.environment.cluster, running.engine_url)
    access_key, secret_key = stack.state.keys()
    region = deployment.environment.runtime.region
    runtime = pipeline.runtime_client(str(running.server_url), region, access_key, secret_key)
    index, template = deployment.config.index.name, deployment.config.search.template
    catalogue = ROOT / "samples" / "catalogue.jsonl"
    pictures = sorted((ROOT / "samples" / "images").glob("*.jpg"))
    ratios = [
        server.measure(pictures),
        pipeline.measure(client, runtime, index, catalogue),
        latency.measure(client, runtime, index, template),
        plan.measure(config, "local"),
        *tempo.measure(client, deployment, runtime, catalogue),
    ]
    found = table(ratios)
    print(found)
    (Path(__file__).parent / "RESULTS.md").write_text(f"# Benchmarks\n\n`./inv bench`, {found}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
