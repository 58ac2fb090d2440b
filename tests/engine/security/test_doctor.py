"""Doctor on OpenSearch 2.19.1 with TLS and logins: what a login, its role and a certificate can do wrong."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from opensearchpy import OpenSearch

from neuralshelf.client import connect
from neuralshelf.provision.doctor import Diagnosis, diagnose
from neuralshelf.settings import ClusterConfig
from tests.engine.provision.clinic import Clinic, open_clinic
from tests.engine.provision.deployment import SMALL

from .node import SecuredNode, User


@pytest.fixture(scope="module")
def clinic(engine: SecuredNode, client: OpenSearch) -> Iterator[Clinic]:
    with open_clinic(client, engine.cluster(engine.admin), "secured", SMALL) as made:
        made.apply()
        yield made


def examined(clinic: Clinic, cluster: ClusterConfig) -> Diagnosis:
    """By somebody else, or in another way."""
    with closing(connect(cluster)) as client:
        return diagnose(cluster, client, clinic.deployment, clinic.runtime)


def test_a_healthy_deployment_has_no_findings(clinic: Clinic) -> None:
    assert clinic.codes() == []


def test_a_closed_endpoint_is_named_once_for_both_roles(clinic: Clinic) -> None:
    with clinic.gate.closed():
        (found,) = clinic.diagnose().findings
    assert found.code == "endpoint-down"
    assert found.subject == f"{clinic.gate.url} (connector text)"


def test_a_wrong_password_is_a_refused_login(clinic: Clinic, engine: SecuredNode) -> None:
    wrong = replace(User.new("wrong", engine.folder), name=engine.admin.name)
    (found,) = examined(clinic, engine.cluster(wrong)).findings
    assert found.code == "login-refused"


def test_a_role_that_lacks_something_is_told_what(clinic: Clinic, engine: SecuredNode) -> None:
    role = {"cluster_permissions": ["cluster:monitor/main", "cluster:monitor/health"]}
    user = engine.add_user(clinic.client, "doctor-visitor", "doctor-visitor", role)
    try:
        found = examined(clinic, engine.cluster(user))
    finally:
        for kind in ("internalusers", "roles"):
            clinic.ask("DELETE", f"/_plugins/_security/api/{kind}/doctor-visitor")
    (lacking,) = found.findings
    assert lacking.code == "role-lacks-permission"
    assert "cluster:admin/opensearch/ml/connectors/search" in lacking.cause
    assert "cluster:monitor/nodes/info" in lacking.cause
    assert {"plugins", "models", "configuration"} <= set(found.unchecked)


def test_a_certificate_that_is_not_trusted(clinic: Clinic, engine: SecuredNode) -> None:
    (found,) = examined(clinic, engine.cluster(engine.admin).model_copy(update={"ca_certs": None})).findings
    assert found.code == "cluster-certificate-untrusted"


def test_http_where_the_cluster_speaks_https(clinic: Clinic, engine: SecuredNode) -> None:
    plain = engine.url.replace("https://", "http://")
    (found,) = examined(clinic, engine.cluster(engine.admin).model_copy(update={"url": plain})).findings
    assert found.code == "cluster-wrong-scheme"
