"""AWS's control plane is moto's, in this process: an empty account a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto import mock_aws

from neuralshelf.deploy import calls
from tests.aws.account import client
from tests.aws.gaps import filled
from tests.aws.shop import Shop
from tests.aws.wiretap import Wiretap, tapped


@contextmanager
def somebody(folder: Path) -> Iterator[dict[str, str]]:
    """Log somebody in, and nobody whom this machine knows; the variables that do it."""
    files = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    environ = dict.fromkeys(files, str(folder / "none")) | dict.fromkeys(keys, "testing")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        for name, value in environ.items():
            patch.setenv(name, value)
        yield environ


@contextmanager
def account(folder: Path) -> Iterator[None]:
    """An empty account, with somebody logged in."""
    with somebody(folder), pytest.MonkeyPatch.context() as patch, filled(), mock_aws():
        patch.setattr(calls, "service_client", lambda service, what, region: client(service))
        yield


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[None]:
    """An empty account."""
    with account(tmp_path):
        yield


@pytest.fixture
def tap(aws: None) -> Iterator[Wiretap]:
    """All calls to AWS."""
    with tapped() as found:
        yield found


@pytest.fixture
def shop(aws: None, tmp_path: Path) -> Shop:
    """A project with two archives, not deployed yet."""
    made = Shop(tmp_path / "shop")
    made.write()
    made.pack("minilm", b"minilm, first")
    made.pack("clip", b"clip, first")
    return made
