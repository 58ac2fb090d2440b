"""The first catalogue of quality.py through `_search` of a real OpenSearch: are its figures those of exact ranking?

    python tests/bench/quality_search.py --folder DIR [--url URL] [--out results/quality-search.json]

Starts the embedded engine with its data below DIR, or takes an OpenSearch without login that may be written to.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from opensearch import FIELD, Opensearch
from quality import DEEPEST, DIMENSIONS, HERE, ROOT, SIZES, Found, Pictures, asked
from scale import opened

from neuralshelf.model_packages.lite import LiteEncoder
from neuralshelf.settings import Folders


def through_search(
    engine: Opensearch, encoder: LiteEncoder, gallery: Pictures, queries: Pictures, dimension: int
) -> Found:
    """The same by kNN of `_search`, DEEPEST hits a query; what is not among them counts as found nowhere."""
    engine.create("quality", "float", dimension, {"index.refresh_interval": "1s"})
    vectors = gallery.vectors(encoder, dimension)
    for start in range(0, len(vectors), 200):
        lines: list[dict[str, Any]] = []
        for place in range(start, min(start + 200, len(vectors))):
            lines += [{"index": {"_id": gallery.ids[place]}}, {FIELD: vectors[place].tolist()}]
        answer = engine.client.bulk(body=lines, index="quality", params={"pipeline": "_none"})
        assert not answer["errors"], answer["items"][0]
    engine.client.indices.refresh(index="quality")
    before = []
    for vector, wanted in zip(queries.vectors(encoder, dimension), queries.ids, strict=True):
        body = {"query": {"knn": {FIELD: {"vector": vector.tolist(), "k": DEEPEST}}}, "size": DEEPEST, "_source": False}
        answer = engine.client.search(index="quality", body=body, params={"search_pipeline": "_none"})
        hits = [hit["_id"] for hit in answer["hits"]["hits"]]
        before.append(hits.index(wanted) if wanted in hits else DEEPEST)
    engine.client.indices.delete(index="quality")
    return Found(np.array(before), queries.ids)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--url")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quality-search.json")
    words = parser.parse_args()
    encoder = LiteEncoder.load(Folders.default(ROOT).cache)
    pictures = Pictures.read(words.folder / "catalogue.jsonl", encoder, SIZES[0])
    gallery, queries = pictures.where(role="catalogue"), pictures.where(role="query")
    out: list[dict[str, Any]] = []
    with opened(words.url, "512m", words.folder / "engine") as engine:
        for dimension in DIMENSIONS:
            exact = asked(encoder, dimension, gallery, queries)
            found = through_search(engine, encoder, gallery, queries, dimension)
            same = np.minimum(exact.before, DEEPEST) == found.before
            shares = {f"rank_{k}": [found.share(k), exact.share(k)] for k in (1, 5, 10, DEEPEST)}
            out.append({"products": SIZES[0], "dimension": dimension, "queries": len(queries.rows), **shares,
                        "same_rank": float(same.mean())})  # fmt: skip
            print(json.dumps(out[-1]))
    result = {"search_then_exact": out, "load": [round(value, 1) for value in os.getloadavg()]}
    words.out.write_text(json.dumps(result) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
