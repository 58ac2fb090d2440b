"""What DINO's and Grounding DINO's manifests list goes along whole, and the contract of detection needs no torch."""

import subprocess
import sys

import pytest

from neuralshelf.model_packages.packaging import sources
from neuralshelf.model_packages.packaging.manifest import Manifest, PackageError

CONTRACT = """
import sys
for name in ("torch", "transformers", "tokenizers", "boto3", "starlette", "orjson", "pydantic", "opensearchpy"):
    sys.modules[name] = None
import neuralshelf.model_packages.grounding_dino.contract
"""


@pytest.mark.parametrize("name", ["dino", "grounding_dino"])
def test_the_sources_of_the_manifest_are_enough(name: str) -> None:
    package = sources.ROOT / name
    manifest = Manifest.read(package)
    assert manifest.name == name
    files = sources.modules(manifest)
    sources.require_closed(name, {**files, "code/inference.py": package / "code" / "inference.py"})
    reached = {f"code/neuralshelf/model_packages/{source}" for source in manifest.sources}
    for left_out in sorted(reached):
        fewer = {inside: path for inside, path in files.items() if inside != left_out}
        with pytest.raises(PackageError, match="does not go along"):
            sources.require_closed(name, {**fewer, "code/inference.py": package / "code" / "inference.py"})


@pytest.mark.parametrize("name", ["dino", "grounding_dino"])
def test_requirements_are_pinned_and_without_torch(name: str) -> None:
    lines = (sources.ROOT / name / "code" / "requirements.txt").read_text().splitlines()
    assert lines == sorted(lines)
    assert all(len(line.split("==")) == 2 for line in lines)
    assert not any(line.startswith("torch") for line in lines)


def test_the_contract_of_detection_is_free_of_torch() -> None:
    subprocess.run([sys.executable, "-c", CONTRACT], check=True)
