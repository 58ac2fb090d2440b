"""Names, images, archives and the section `hosting`: what needs no AWS."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.deploy.archives import Archive, folder_of
from neuralshelf.deploy.calls import Denied, refused
from neuralshelf.deploy.image import OTHERS, image_uri, repository_arn
from neuralshelf.deploy.names import Names, digest
from neuralshelf.deploy.plan import same
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.hosting import Hosting
from neuralshelf.settings import Environment

ACCOUNT = "123456789012"
CLIP = {"package": "clip", "model": "clip.tar.gz"}


def names(prefix: str = "shop-aws", region: str = "us-east-1") -> Names:
    return Names(prefix, "shop", "aws", region, ACCOUNT)


@pytest.mark.parametrize("prefix", ["shop-aws", f"{'p' * 41}-{'e' * 31}"])
@pytest.mark.parametrize("endpoint", ["e", "e" * 63])
def test_names_fit_what_aws_takes(prefix: str, endpoint: str) -> None:
    found = names(prefix)
    versioned = found.versioned(endpoint, {"a": 1})
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", versioned)
    assert found.is_versioned(versioned)
    assert len(found.execution_role) <= 64
    assert len(found.invoke_role) <= 64


def test_long_prefixes_and_endpoints_do_not_meet() -> None:
    long = "p" * 60
    assert names(f"{long}-one").stem != names(f"{long}-two").stem
    one, two = (names().versioned(f"{'e' * 60}{end}", {}) for end in "ab")
    assert one != two


def test_the_same_content_has_the_same_name_in_any_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})
    assert re.fullmatch("[0-9a-f]{8}", digest({}))


def test_only_all_tags_make_it_ours() -> None:
    assert names().owns(names().tags("clip"))
    assert not names().owns({"managed-by": "neuralshelf", "project": "shop", "environment": "staging"})
    assert not names().owns({})


def test_govcloud_is_a_partition_of_its_own() -> None:
    assert names(region="us-gov-west-1").role_arn("r") == f"arn:aws-us-gov:iam::{ACCOUNT}:role/r"


@pytest.mark.parametrize(
    ("region", "instance", "framework", "expected"),
    [
        ("eu-central-1", "ml.c6i.xlarge", {}, "763104351884.dkr.ecr.eu-central-1.amazonaws.com/…:2.6.0-cpu-py312"),
        ("us-east-1", None, {}, "763104351884.dkr.ecr.us-east-1.amazonaws.com/…:2.6.0-cpu-py312"),
        ("af-south-1", "ml.g4dn.xlarge", {}, "626614931356.dkr.ecr.af-south-1.amazonaws.com/…:2.6.0-gpu-py312"),
        (
            "us-west-2",
            "ml.m5.large",
            {"pytorch": "2.5.1", "python": "3.11.9"},
            "763104351884.dkr.ecr.us-west-2.amazonaws.com/…:2.5.1-cpu-py311",
        ),
    ],
)
def test_the_image_is_awss_own(region: str, instance: str | None, framework: dict[str, str], expected: str) -> None:
    assert image_uri(region, instance, framework) == expected.replace("…", "pytorch-inference")


def test_a_region_that_nobody_knows_wants_an_image() -> None:
    with pytest.raises(ConfigError, match="xx-nowhere-1") as caught:
        image_uri("xx-nowhere-1", None, {})
    assert "image" in caught.value.hint
    assert not any(region.startswith("cn-") for region in OTHERS)


def test_an_image_in_ecr_has_a_repository_and_others_none() -> None:
    arn = repository_arn("1234.dkr.ecr.eu-west-1.amazonaws.com/a/b:tag", "aws")
    assert arn == "arn:aws:ecr:eu-west-1:1234:repository/a/b"
    assert repository_arn("docker.io/library/image:1", "aws") is None


def test_an_archive_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    found = Archive.read(tmp_path / "a")
    assert (found.sha256, found.bytes) == (hashlib.sha256(b"x" * 3_000_000).hexdigest(), 3_000_000)
    (tmp_path / "b").write_bytes(b"y")
    other = Archive.read(tmp_path / "b")
    assert folder_of({"a": found, "b": other}) == folder_of({"b": other, "a": found}) != folder_of({"a": found})
    with pytest.raises(InputError, match="can't be read"):
        Archive.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("hosted", "words"),
    [
        ({"targets": {"minilm": "m.tar.gz"}}, "targets are for mode multi-model, not real-time"),
        ({"mode": "multi-model", "model": "s3://b/k"}, "a multi-model endpoint wants files"),
        ({"mode": "serverless", "memory_mb": 1000}, "memory_mb 1000 is not one of"),
        ({"workers": 0}, "workers"),
    ],
)
def test_a_section_that_can_not_be_hosted_is_refused(hosted: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Hosting.parse({"bucket": "b-1", "endpoints": {"clip": CLIP | hosted}}, "environments/aws.yaml")


def test_the_deployed_role_is_used_where_nothing_else_is_said() -> None:
    hosting = {"bucket": "b-1", "endpoints": {"clip": CLIP}}
    given: dict[str, Any] = {"name": "aws", "hosting": hosting, "runtime": {"provider": "aws"}}
    assert Environment.parse(given, "aws.yaml").uses_deployed_role
    for runtime in ({"provider": "local"}, {"provider": "aws", "profile": "shop"}):
        assert not Environment.parse(given | {"runtime": runtime}, "aws.yaml").uses_deployed_role


def test_policies_are_the_same_whatever_iam_makes_of_their_lists() -> None:
    assert same({"Action": ["a"], "Resource": ["x", "y"]}, {"Action": "a", "Resource": ["y", "x"]})
    assert not same({"Action": ["a", "b"]}, {"Action": "a"})
    assert not same(None, {"Action": "a"})


@pytest.mark.parametrize(
    ("code", "step"),
    [("AccessDenied", "--policies"), ("ExpiredToken", "log in again"), ("ResourceLimitExceeded", "Service Quotas")],
)
def test_a_refusal_says_the_next_step(code: str, step: str) -> None:
    fault = refused("iam:CreateRole role/r", {"Error": {"Code": code, "Message": "no"}})
    assert step in fault.hint
    assert fault.message == f"iam:CreateRole role/r: {code}: no"
    assert isinstance(fault, Denied) == (code == "AccessDenied")
