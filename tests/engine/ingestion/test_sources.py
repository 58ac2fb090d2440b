"""Catalogues in every format, with several pictures a product from an archive, end as the same documents."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.engine.ingestion.catalogues import picture
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, Project

ROWS: list[dict[str, Any]] = [
    {"id": "cup", "title": 'a "blue" cup, big', "price": 3.5, "images": ["cup/1.jpg", "cup/2.jpg", "cup/3.jpg"]},
    {"id": "pot", "title": "teapot", "price": 12.0, "images": ["pot.jpg"]},
    {"id": "bare", "title": "without a picture", "price": 1.0, "images": []},
]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";")
    writer.writerow(rows[0])
    writer.writerows(["|".join(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in rows)
    return text.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def shop(make_project: MakeProject) -> Project:
    """An index that takes several pictures a product, and an archive of them."""
    project = make_project(FULL)
    project.edit("index.fields", {**FULL["index"]["fields"], "sku": "keyword", "image_path": "keyword"})
    project.edit("index.product", "sku")
    project.apply()
    with zipfile.ZipFile(project.folder / "pictures.zip", "w") as archive:
        for number, name in enumerate(("cup/1.jpg", "cup/2.jpg", "cup/3.jpg", "pot.jpg")):
            archive.writestr(name, picture(number))
    return project


def ingest(shop: Project, name: str, data: bytes) -> dict[str, dict[str, Any]]:
    """Every document that is there afterwards, with hashes of its vectors instead of them."""
    file = shop.folder / name
    file.write_bytes(data)
    shop.run("ingest", str(file), "--pictures", str(shop.folder / "pictures.zip"))
    shop.client.indices.refresh(index=shop.name)
    found = shop.client.search(index=shop.name, body={"size": 100}, params={"search_pipeline": "_none"})
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


def test_every_format_ends_as_the_same_documents_and_lost_pictures_go(shop: Project) -> None:
    first = ingest(shop, "shop.jsonl", as_jsonl(ROWS))
    assert first.keys() == {"cup", "cup/2", "cup/3", "pot", "bare"}
    assert {identity: found["sku"] for identity, found in first.items()} == {
        "cup": "cup", "cup/2": "cup", "cup/3": "cup", "pot": "pot", "bare": "bare"
    }  # fmt: skip
    assert Path(first["cup/2"]["image_path"]).parts[1:] == ("cup", "2.jpg")
    vectors = [tuple(found["image_vector"]) for found in first.values() if "image_vector" in found]
    assert len(set(vectors)) == len(vectors) == 4
    assert ingest(shop, "shop.csv", as_csv(ROWS)) == first
    fewer = [{**ROWS[0], "images": ["cup/3.jpg"]}, *ROWS[1:]]
    second = ingest(shop, "shop.parquet", as_parquet(fewer))
    assert second.keys() == {"cup", "pot", "bare"}
    assert second["cup"]["image_vector"] == first["cup/3"]["image_vector"]
