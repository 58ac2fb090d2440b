"""What `up`, `apply` and `ingest` do on a stack: provisioning and ingesting against its addresses."""

import hashlib
import sys
from pathlib import Path

from neuralshelf.client import connect
from neuralshelf.connectors.probe import probe
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.catalogue import Catalogue
from neuralshelf.ingestion.ingest import WRITERS, Report, ingest
from neuralshelf.local.stack import Stack
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.provision.apply import apply
from neuralshelf.provision.deployment import Deployment
from neuralshelf.provision.observe import observe
from neuralshelf.provision.plan import Action, Change, plan
from neuralshelf.relevance.evaluate import Evaluator


def apply_deployment(stack: Stack, deployment: Deployment) -> tuple[Change, ...]:
    """Provision, then probe every model with a known input: DEPLOYED is no proof that it answers."""
    client = connect(deployment.environment.cluster, stack.engine_url(deployment))
    desired = deployment.resources(stack.runtime(deployment))
    changes = plan(desired, observe(client, desired))
    ids = apply(client, changes, prefix=deployment.prefix, tell=_tell)
    for name, spec in deployment.config.connectors.items():
        for address in deployment.model_addresses(name):
            probe(client, ids[address], spec, name=address)
    written = sum(change.action is not Action.KEEP for change in changes)
    print(f"neuralshelf: {len(changes)} objects, {written} written, all models answer", file=sys.stderr)
    return changes


def ingest_catalogue(stack: Stack, deployment: Deployment, path: Path, *, dry_run: bool = False) -> Report:
    """Index a catalogue file and let the page show its pictures. A dry run needs nothing to be up."""
    index = deployment.config.index
    catalogue = Catalogue(path, index.fields)
    client = None if dry_run else connect(deployment.environment.cluster, stack.engine_url(deployment), pool=WRITERS)
    key = f"{catalogue.folder.name}-{hashlib.sha256(str(catalogue.folder).encode()).hexdigest()[:8]}"
    if not dry_run:
        stack.state.add_picture_folder(key, catalogue.folder)
    return ingest(client, index.name, catalogue, picture_field=_picture_field(index), picture_key=key)


def evaluate_deployment(
    stack: Stack, deployment: Deployment, *, catalogue: Path, data: Path | None
) -> dict[str, dict[str, float]]:
    """Measures of the sample catalogue, and of the judged sets below `data`, asked of the running engine."""
    index = deployment.config.index
    vector = next((name for name, made_of in index.vectors.items() if made_of.image is not None), None)
    field = _picture_field(index)
    if vector is None or field is None:
        raise ConfigError("the index has no picture vector", hint="add one under index.vectors in the configuration")
    client = connect(deployment.environment.cluster, stack.engine_url(deployment))
    evaluator = Evaluator(client, index.name, vector=vector, picture_field=field)
    found: dict[str, dict[str, float]] = {}
    if catalogue.is_file():
        found["sample"] = evaluator.sample(catalogue)
    if data is not None:
        found["clothing-cc0 test"] = evaluator.clothing(data / "clothing-cc0")
        found["products-mit"] = evaluator.products(data / "products-mit")
    if not found:
        raise InputError("nothing to evaluate", hint="run in a clone with samples/, or give judged sets with --data")
    return found


def _picture_field(index: IndexSpec) -> str | None:
    return next(iter(index.images), None)


def _tell(change: Change) -> None:
    print(f"neuralshelf: {change.action} {change.resource.address}", file=sys.stderr)
