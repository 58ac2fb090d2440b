"""Stacks and variables, against files that people have read. NEURALSHELF_GOLDEN=write writes them anew."""

import os

import pytest

from neuralshelf.deploy.stacks import Stacks
from neuralshelf.deploy.terraform import terraform_files
from neuralshelf.files import write_files
from tests.stack_deployments import GOLDEN, deployments

NAMES = sorted(deployments())


def texts(name: str) -> dict[str, str]:
    """File -> text. Of most deployments the models: what differs between them."""
    stacks = Stacks(deployments()[name])
    found = stacks.texts()
    if name != "quick":
        return {
            file: text for file, text in found.items() if file in ("models.yaml", "access.yaml", "personalize.yaml")
        }
    return found | {f"terraform/{file}": text for file, text in terraform_files(stacks).items()}


@pytest.mark.parametrize("name", NAMES)
def test_stacks_are_the_golden_ones(name: str) -> None:
    found, folder = texts(name), GOLDEN / name
    if os.environ.get("NEURALSHELF_GOLDEN") == "write":
        write_files(found, folder)
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert there == set(found)
    for file, text in found.items():
        assert text == (folder / file).read_text(encoding="utf-8"), f"{name}/{file} changed; is that meant?"


@pytest.mark.parametrize("name", NAMES)
def test_rendering_twice_gives_the_same(name: str) -> None:
    assert texts(name) == texts(name)
