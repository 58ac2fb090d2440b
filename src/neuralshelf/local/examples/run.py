"""A system of `examples/` from end to end: start, provision, ingest, ask, and hold the answers to its file."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuralshelf.deployment import Deployment
from neuralshelf.ingestion.account import Report
from neuralshelf.local.demo import standing
from neuralshelf.local.examples.parts import Asking, Told, clustered, question, rows_of, second_views, self_match
from neuralshelf.local.examples.scene import scene
from neuralshelf.local.examples.spec import Example, Views
from neuralshelf.local.loading import Options, ingest_catalogue
from neuralshelf.local.provisioning import apply_deployment
from neuralshelf.local.stack import Stack

FAILED = 1


def run_example(stack: Stack, deployment: Deployment, example: Example, *, once: bool, as_json: bool) -> int:
    """Run an example; the stack is as `demo.standing` says.

    Returns:
        0, or 1 when something is not as the example's file says.

    Raises:
        NeuralshelfError: as `ingest_catalogue` and `search`.
    """
    catalogue = example.path(example.spec.catalogue)
    rows = rows_of(catalogue)
    with standing(stack, once=once) as running:
        apply_deployment(stack, deployment)
        views, asked = _views(example.spec.views, example, rows)
        report = _ingest(stack, deployment, catalogue, rows, views)
        missed = [f"{example.folder.name}: {report.dead_letters} dead letters"] * bool(report.dead_letters)
        data: dict[str, Any] = {"format_version": 1, "example": example.folder.name}
        data |= {"indexed": report.indexed, "dead_letters": report.dead_letters, "questions": []}
        if not as_json:
            print(f"\n{example.spec.about}\n\n{report.indexed} documents indexed with their vectors\n")
        for told in _parts(stack, deployment, example, rows, asked):
            missed += told.missed
            if told.name == "questions":
                data["questions"].append(told.data)
            else:
                data[told.name] = told.data
            if not as_json:
                print(f"{told.text}\n", flush=True)
        for line in missed:
            print(f"neuralshelf: not as {example.folder.name} says: {line}", file=sys.stderr)
        print(json.dumps(data | {"missed": missed}, ensure_ascii=False) if as_json else f"page: {running.page_url}")
        sys.stdout.flush()
    return FAILED if missed else 0


def _parts(
    stack: Stack,
    deployment: Deployment,
    example: Example,
    rows: Sequence[Mapping[str, Any]],
    asked: Sequence[Mapping[str, Any]],
) -> Iterator[Told]:
    spec, pictures = example.spec, example.path(example.spec.catalogue).parent
    asking = Asking(stack.client(deployment), deployment)
    for each in spec.questions:
        yield question(asking, each, example.path(each.image) if each.image else None)
    if spec.self_match:
        yield self_match(asking, rows, pictures)
    if spec.views is not None:
        yield second_views(asking, spec.views, asked, example.path(spec.views.file).parent)
    if spec.clusters:
        yield clustered(stack, deployment)
    if spec.scene is not None:
        yield scene(asking, spec.scene, rows, pictures, stack.folders.state / "example", stack.folders.cache)


def _views(
    views: Views | None, example: Example, rows: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Product -> its pictures that are indexed beside its own, and the pictures that are asked."""
    indexed: dict[str, list[str]] = {str(row["id"]): [] for row in rows}
    asked: list[dict[str, Any]] = []
    if views is None:
        return indexed, asked
    for view in rows_of(example.path(views.file)):
        known = indexed.get(view["id"])
        if known is not None and len(known) < views.indexed:
            known.append(view["image"])
        elif known is not None:
            asked.append(view)
    return indexed, asked


def _ingest(
    stack: Stack,
    deployment: Deployment,
    catalogue: Path,
    rows: Sequence[Mapping[str, Any]],
    views: Mapping[str, Sequence[str]],
) -> Report:
    """The catalogue, products with further pictures as a row with all of them. Nobody searches meanwhile."""
    if not any(views.values()):
        return ingest_catalogue(stack, deployment, catalogue, Options(full_speed=True))
    several = stack.folders.state / "example" / catalogue.name
    several.parent.mkdir(parents=True, exist_ok=True)
    with several.open("w", encoding="utf-8") as file:
        for row in rows:
            fields = {key: value for key, value in row.items() if key != "image"}
            file.write(json.dumps(fields | {"images": [row["image"], *views[row["id"]]]}) + "\n")
    return ingest_catalogue(stack, deployment, several, Options(pictures=str(catalogue.parent), full_speed=True))
