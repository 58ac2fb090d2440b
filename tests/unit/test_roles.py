"""The roles as files; what they allow and refuse is held by tests/engine/security."""

import json
from pathlib import Path

import pytest

from neuralshelf.deployment import Deployment
from neuralshelf.errors import InputError
from neuralshelf.provision.roles import PURPOSES, roles, write_roles

SAMPLE = Path(__file__).parents[2] / "neuralshelf.yaml"


@pytest.fixture(scope="module")
def local() -> Deployment:
    return Deployment.load(SAMPLE, "local")


def test_a_role_is_called_after_the_deployment_and_its_purpose(local: Deployment) -> None:
    assert list(roles(local)) == [f"sample-shop-local-{purpose}" for purpose in PURPOSES]


def test_no_role_reaches_beyond_the_indexes_of_its_deployment(local: Deployment) -> None:
    for role in roles(local).values():
        for part in role["index_permissions"]:
            own = (["products", "products-*"], ["sample-shop-local-lock"], ["sample-shop-local-deadletters"])
            assert part["index_patterns"] in own


def test_no_role_may_do_everything_of_a_kind(local: Deployment) -> None:
    for role in roles(local).values():
        actions = [*role["cluster_permissions"], *(a for p in role["index_permissions"] for a in p["allowed_actions"])]
        wide = {action for action in actions if action.endswith("*")}
        assert wide <= {"indices:admin/refresh*", "indices:data/read/mget*", "indices:data/write/bulk*"}


def test_only_who_has_settings_to_change_may_change_settings(local: Deployment) -> None:
    aws = Deployment.load(SAMPLE, "aws")
    assert "cluster:admin/settings/update" in roles(local)["sample-shop-local-provision"]["cluster_permissions"]
    assert "cluster:admin/settings/update" not in roles(aws)["sample-shop-aws-provision"]["cluster_permissions"]


def test_files_hold_what_the_security_plugin_takes(local: Deployment, tmp_path: Path) -> None:
    written = write_roles(local, tmp_path / "new" / "roles")
    assert [file.stem for file in written] == list(roles(local))
    for file in written:
        assert json.loads(file.read_text(encoding="utf-8")) == roles(local)[file.stem]
    assert write_roles(local, tmp_path / "new" / "roles") == written


def test_a_folder_that_is_a_file_is_one_line(local: Deployment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        write_roles(local, tmp_path / "file")
