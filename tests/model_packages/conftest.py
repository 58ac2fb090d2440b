"""Tests of the packages that run on SageMaker: they need torch, so they have an environment of their own.

    python tests/model_packages/run.py

makes it and runs them in it. Elsewhere they are skipped with the reason.
"""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("torch"):
    import torch

    torch.set_num_threads(1)


TOOLKIT = ("sagemaker_inference", "sagemaker_inference.errors")


class _Elsewhere(pytest.Module):
    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip("torch is not installed here: python tests/model_packages/run.py", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Nothing is imported where torch is not."""
    return None if find_spec("torch") else _Elsewhere.from_parent(parent, path=module_path)


@pytest.fixture(autouse=True)
def _no_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without SageMaker's toolkit: handlers raise the server's own refusals. The tests of the toolkit
    take this back."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "sagemaker_inference"]:
        monkeypatch.delitem(sys.modules, name)
    for name in TOOLKIT:
        monkeypatch.setitem(sys.modules, name, None)
