"""Environments: what is accepted, what is refused, and that secrets stay references."""

import json
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.errors import ConfigError
from neuralshelf.settings import Environment, Folders, SecretRef


def parse(**parts: Any) -> Environment:
    return Environment.parse({"name": "local", **parts}, "environments/local.yaml")


def test_the_smallest_environment_is_the_embedded_engine_with_the_local_server() -> None:
    environment = parse()
    assert (environment.cluster.provider, environment.runtime.provider) == ("embedded", "local")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"clustre": {}}, "unknown key 'clustre'; next: did you mean 'cluster'?"),
        ({"cluster": {"provider": "embeded"}}, "cluster.provider: Input should be 'url', 'container' or 'embedded'"),
        ({"cluster": {"java_heep": "1g"}}, "unknown key 'cluster.java_heep'; next: did you mean 'java_heap'?"),
        ({"cluster": {"provider": "url"}}, "provider url needs url"),
        ({"cluster": {"url": "http://x"}}, "url is only for provider url"),
        ({"cluster": {"provider": "url", "url": "ftp://x"}}, "must begin with http:// or https://"),
        ({"cluster": {"provider": "url", "url": "https://me:hunter2@x"}}, "holds a user name or password"),
        ({"cluster": {"provider": "url", "url": "https://x", "auth": "basic"}}, "needs username and password"),
        ({"cluster": {"auth": "basic", "username": "u", "password": "hunter2"}}, "a secret in clear text"),
        ({"cluster": {"http_port": 80}}, "cluster.http_port: Input should be greater than or equal to 1024"),
        ({"cluster": {"http_port": "9200"}}, "cluster.http_port: Input should be a valid integer"),
        ({"runtime": {"provider": "aws"}}, "needs role_arn, profile, or access_key and secret_key"),
        ({"runtime": {"region": "mars"}}, "runtime.region: String should match pattern"),
        ({"runtime": {"region": "cn-north-1"}}, "runtime.region: regions of AWS China"),
        ({"runtime": {"url": "http://x", "detector": True}}, "detector is of the model server that up starts"),
        ({"store": {"shards": 0}}, "store.shards: Input should be greater than or equal to 1"),
    ],
)
def test_a_bad_environment_is_refused_with_file_and_key(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(**parts)
    message = str(caught.value)
    assert message.startswith("environments/local.yaml: ")
    assert words in message
    assert "hunter2" not in message


def test_a_secret_is_read_from_the_environment_or_a_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n", encoding="utf-8")
    assert SecretRef(env="KEY").read({"KEY": "s3cret"}).get_secret_value() == "s3cret"
    from_file = SecretRef(file=str(tmp_path / "key")).read()
    assert from_file.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(from_file) + str(from_file) + json.dumps(str(from_file))


def test_a_missing_secret_names_the_variable() -> None:
    with pytest.raises(ConfigError, match="variable KEY is not set; next: export KEY"):
        SecretRef(env="KEY").read({})


def test_two_checkouts_have_two_state_folders_and_one_cache(tmp_path: Path) -> None:
    one, two = Folders.default(tmp_path / "one", {"HOME": "/h"}), Folders.default(tmp_path / "two", {"HOME": "/h"})
    assert one.state != two.state
    assert one.cache == two.cache
    # Java's options can't hold white space or colons
    assert Folders.default(tmp_path / "my shop: new", {"HOME": "/h"}).state.name.endswith("my-shop-new")
    chosen = Folders.default(tmp_path, {"HOME": "/h", "NEURALSHELF_CACHE": "/c", "NEURALSHELF_STATE": "/s"})
    assert (chosen.cache, chosen.state) == (Path("/c"), Path("/s"))
