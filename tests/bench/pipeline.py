"""`_bulk` through the ingest pipeline against embedding in the client and then `_bulk` with ready vectors."""

import base64
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from opensearchpy import OpenSearch
from ratio import Ratio, compare, seconds

DOCUMENTS = 192
BULK = 64
CLIENTS = 16


def measure(client: OpenSearch, runtime: Any, index: str, catalogue: Path, rounds: int = 5) -> Ratio:
    """`runtime`: a boto3 client of SageMaker Runtime at the model server; `index`: a provisioned index to copy."""
    rows = [json.loads(line) for line in catalogue.read_text(encoding="utf-8").splitlines()]
    rows = (rows * (DOCUMENTS // len(rows) + 1))[:DOCUMENTS]
    pictures = [base64.b64encode((catalogue.parent / row["image"]).read_bytes()).decode() for row in rows]
    name = f"{index}-bench"
    live = next(iter(client.indices.get(index=index).values()))
    ready_made = {"settings": {"index": {"knn": True}}, "mappings": live["mappings"]}
    piped = {
        "settings": {"index": {"knn": True, "default_pipeline": live["settings"]["index"]["default_pipeline"]}},
        "mappings": live["mappings"],
    }

    def through_pipeline() -> None:
        documents = [_fields(row) | {"image": picture} for row, picture in zip(rows, pictures, strict=True)]
        _fill(client, name, piped, documents)

    def in_client() -> None:
        documents = _embedded(runtime, rows, pictures)
        _fill(client, name, ready_made, documents)

    return compare(
        f"{DOCUMENTS} documents with text and picture: embedded by the pipeline ÷ by the client",
        "s",
        lambda: seconds(through_pipeline),
        lambda: seconds(in_client),
        rounds,
    )


def runtime_client(url: str, region: str, access_key: str, secret_key: str) -> Any:
    """SageMaker Runtime at the model server."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(max_pool_connections=CLIENTS, retries={"mode": "standard"}),
    )


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("id", "image")}


def _text(row: Mapping[str, Any]) -> str:
    return " ".join((row["title"], row["brand"], row["description"]))


def _embedded(runtime: Any, rows: Sequence[Mapping[str, Any]], pictures: Sequence[str]) -> list[dict[str, Any]]:
    """What a careful client does: texts in batches of 16, pictures one a request, 16 requests at once."""
    groups = [rows[start : start + 16] for start in range(0, len(rows), 16)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        texts = pool.map(lambda group: _invoke(runtime, "neuralshelf-minilm", [_text(row) for row in group]), groups)
        images = pool.map(lambda p: _invoke(runtime, "neuralshelf-clip", {"inputImage": p})["embedding"], pictures)
        vectors = [vector for group in texts for vector in group]
        return [
            _fields(row) | {"text_vector": text, "image_vector": image}
            for row, text, image in zip(rows, vectors, images, strict=True)
        ]


def _invoke(runtime: Any, endpoint: str, body: Any) -> Any:
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps(body).encode()
    )
    return json.loads(answer["Body"].read())


def _fill(client: OpenSearch, name: str, body: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> None:
    client.indices.delete(index=name, ignore_unavailable=True)
    client.indices.create(index=name, body=body)
    for start in range(0, len(documents), BULK):
        lines: list[Any] = []
        for number, document in enumerate(documents[start : start + BULK], start):
            lines += [{"index": {"_id": str(number)}}, document]
        answer = client.bulk(body=lines, index=name, request_timeout=120)
        if answer["errors"]:
            raise RuntimeError(str(answer)[:500])
    client.indices.delete(index=name)
