"""Roles of the sample deployment, against files that people have read. NEURALSHELF_GOLDEN=write writes them anew."""

import os
from pathlib import Path

import pytest

from neuralshelf.deployment import Deployment
from neuralshelf.provision.roles import write_roles

FOLDER = Path(__file__).parent / "roles"
SAMPLE = Path(__file__).parents[2] / "neuralshelf.yaml"


@pytest.mark.parametrize("environment", ["local", "aws"])
def test_roles_are_the_golden_ones(environment: str, tmp_path: Path) -> None:
    deployment = Deployment.load(SAMPLE, environment)
    if os.environ.get("NEURALSHELF_GOLDEN") == "write":
        write_roles(deployment, FOLDER)
    for file in write_roles(deployment, tmp_path):
        golden = (FOLDER / file.name).read_text(encoding="utf-8")
        assert file.read_text(encoding="utf-8") == golden, f"{file.name} changed; is that meant?"
