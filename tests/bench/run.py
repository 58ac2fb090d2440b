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
from stack import CATALOGUE, CONFIG, ENVIRONMENT, ROOT, Up

HEAD = "Each row is a ratio of two things run in turn: the median of five rounds, of three for `ingest` and p95."


def main() -> int:
    """Measure, print, write."""
    up = Up.find()
    index, template = up.deployment.config.index.name, up.deployment.config.search.template
    pictures = sorted((ROOT / "samples" / "images").glob("*.jpg"))
    ratios = [
        server.measure(pictures),
        pipeline.measure(up.client, up.runtime, index, CATALOGUE),
        latency.measure(up.client, up.runtime, index, template),
        plan.measure(CONFIG, ENVIRONMENT),
        *tempo.measure(up),
    ]
    found = table(ratios)
    print(found)
    (Path(__file__).parent / "RESULTS.md").write_text(
        f"# Benchmarks\n\n{HEAD}\n\n`./inv bench`, {found}", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
