"""Every body that connectors render, against files that people have read. NEURALSHELF_GOLDEN=write writes them anew."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from neuralshelf import yamlfile
from neuralshelf.connectors.policy import iam_policy
from neuralshelf.connectors.ranking import RankingSpec, ranking_resources
from neuralshelf.connectors.resources import cluster_settings, connector_resources, model_group
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ConnectorName, ConnectorSpec
from neuralshelf.frozen import Frozen
from neuralshelf.resource import Resource

FOLDER = Path(__file__).parent / "connectors"
SECRET = "a-secret-that-no-body-may-hold"
ROLE = "arn:aws:iam::123456789012:role/opensearch-invokes-models"
RUNTIMES: Mapping[str, Runtime] = {
    "local": Runtime("us-east-1").at("http://127.0.0.1:8181", "AKIALOCAL", SecretStr(SECRET)),
    "aws": Runtime("eu-central-1", role_arn=ROLE),
}


class Specs(Frozen):
    """The `connectors:` part of a configuration."""

    connectors: dict[ConnectorName, ConnectorSpec]


def specs() -> Mapping[str, ConnectorSpec]:
    """The connectors of `connectors.yaml`: each kind, one of them with tuning of its own."""
    path = FOLDER / "connectors.yaml"
    return Specs.parse(yamlfile.load(path), path.name).connectors


def shown(resources: list[Resource]) -> str:
    """Address -> body as indented JSON, with the paths (not the values) of what is secret."""
    found: dict[str, Any] = {}
    for resource in resources:
        found[resource.address] = {"body": resource.body, "secrets": sorted(resource.secrets)}
    return json.dumps(found, indent=2) + "\n"


def rendered() -> dict[str, str]:
    """File name -> text."""
    found = {"iam-policy.json": iam_text()}
    for place, runtime in RUNTIMES.items():
        prefix = f"shop-{place}"
        found[f"{place}-deployment.json"] = shown([cluster_settings(runtime), model_group(prefix)])
        for logical, spec in specs().items():
            made = connector_resources(logical, spec, runtime=runtime, prefix=prefix, group=model_group(prefix).name)
            found[f"{place}-{logical}.json"] = shown(made)
            found[f"{logical}.painless"] = made[0].body["actions"][0]["pre_process_function"] + "\n"
        for method in ("rerank", "leg"):
            ranking = RankingSpec(method=method, campaign="taste")
            made = ranking_resources(ranking, runtime=runtime, prefix=prefix, group=model_group(prefix).name)
            found[f"{place}-ranking-{method}.json"] = shown(made)
            for stage in ("pre", "post"):
                script = made[0].body["actions"][0][f"{stage}_process_function"]
                found[f"ranking-{method}-{stage}.painless"] = script + "\n"
    return found


def iam_text() -> str:
    """The policy for all connectors."""
    return json.dumps(iam_policy(specs().values(), region="eu-central-1", account="123456789012"), indent=2) + "\n"


def test_bodies_are_the_golden_ones() -> None:
    texts = rendered()
    if os.environ.get("NEURALSHELF_GOLDEN") == "write":
        for name, text in texts.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
    assert sorted([*texts, "connectors.yaml"]) == sorted(file.name for file in FOLDER.iterdir())
    for name, text in texts.items():
        assert text == (FOLDER / name).read_text(encoding="utf-8"), f"{name} changed; is that meant?"


def test_rendering_twice_gives_the_same() -> None:
    assert rendered() == rendered()


@pytest.mark.parametrize("text", [SECRET, "AKIALOCAL"])
def test_no_body_holds_a_credential(text: str) -> None:
    assert all(text not in body for body in rendered().values())
