"""Rotation under load, with a model server that takes old keys away at once."""

import json
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from neuralshelf.engine import Engine
from neuralshelf.errors import LockedError, ProvisionError
from neuralshelf.provision.lock import locked
from neuralshelf.provision.provisioner import Provisioner
from neuralshelf.provision.rotate import plan_rotation
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import ACCESS_KEY, FULL, SECRET_KEY, SMALL, Project
from tests.engine.provision.keys import Key, KeyServer, key_server
from tests.engine.provision.load import load_on
from tests.engine.provision.rotation.rotating import applied, owned, shown, since, turned
from tests.engine.provision.snapshot import changes, snapshot


@pytest.mark.slow
@pytest.mark.parametrize("times", [5, pytest.param(20, marks=pytest.mark.extended)])
def test_rotations_under_load_fail_no_request(shop: Project, server: KeyServer, key: Key, times: int) -> None:
    with load_on(shop.wire.target, shop.name) as load:
        for number in range(times):
            new = server.keys.issue(temporary=number % 2 == 1)
            done = turned(shop, server.runtime(new))
            assert (len(done.connectors), len(done.models)) == (2, 2)
            server.keys.revoke(key)  # at once: nothing may use it any more
            key = new
    assert load.failures == []
    assert server.refused() == []
    assert load.searches >= 20 * times  # over ten a second, where the machine has nothing else to do
    assert load.writes >= 4 * times
    assert len(owned(shop, "connectors")) == 2
    assert turned(shop, server.runtime(key)).connectors == ()


def test_both_kinds_of_connectors_are_rotated_and_nothing_else_is_touched(
    make_project: MakeProject, server: KeyServer, key: Key
) -> None:
    project = applied(make_project(FULL, server.served(key)), server.runtime(key))
    before = snapshot(project.client)
    done = turned(project, server.runtime(server.keys.issue()))
    assert len(done.connectors) == len(done.models) == 4
    assert done.as_dict()["connectors"] == list(done.connectors)
    assert done.revoke_after == 10 + 60  # the pool's wait, and the retry_timeout of ingest
    differing = since(before, project)
    kinds = {(where.split("/")[0], how) for where, how in differing.items()}
    assert kinds == {("connectors", "added"), ("connectors", "removed"), ("models", "changed")}


@pytest.mark.parametrize("wrong", ["secret", "access key", "token", "endpoint"])
def test_wrong_credentials_change_nothing_and_the_cause_is_named(
    shop: Project, server: KeyServer, key: Key, wrong: str
) -> None:
    good = server.runtime(server.keys.issue(temporary=True))
    bad, words = {
        "secret": (replace(good, secret_key=SecretStr("PLANTED-wrong")), "signature"),
        "access key": (replace(good, access_key=SecretStr("AKIAPLANTED")), "security token"),
        "token": (replace(good, session_token=SecretStr("PLANTED-wrong")), "security token"),
        "endpoint": (replace(good, url="http://127.0.0.1:9"), "communicating with remote model"),
    }[wrong]
    before = snapshot(shop.client)
    with load_on(shop.wire.target, shop.name) as load, pytest.raises(ProvisionError, match=words) as caught:
        turned(shop, bad)
    assert load.failures == []
    assert caught.value.hint
    assert "PLANTED" not in shown(caught.value)
    assert since(before, shop) == {}


def test_an_endpoint_that_moved_is_followed_without_a_failed_request(
    engine: Engine, shop: Project, server: KeyServer, key: Key
) -> None:
    with key_server(engine.host_address, server.keys) as moved, load_on(shop.wire.target, shop.name) as load:
        done = turned(shop, moved.runtime(key))
        assert len(done.connectors) == 2
        ended = time.monotonic()
        time.sleep(1)
        assert server.last(key) < ended
        assert moved.last(key) > ended
    assert load.failures == []


def test_changed_client_settings_reach_the_connector_without_a_failed_request(
    shop: Project, server: KeyServer, key: Key
) -> None:
    shop.edit("connectors.text.search", {"read_timeout": 7})
    with load_on(shop.wire.target, shop.name) as load:
        done = turned(shop, server.runtime(key))
    assert load.failures == []
    assert [address.rsplit("-", 1)[1] for address in done.connectors] == ["search"]
    timeouts = [body["client_config"]["read_timeout"] for body in owned(shop, "connectors").values()]
    assert sorted(timeouts) == [7, 60]


def test_connectors_that_are_up_to_date_are_left_unless_forced(shop: Project, server: KeyServer, key: Key) -> None:
    before = set(owned(shop, "connectors"))
    assert turned(shop, server.runtime(key)).connectors == ()
    assert set(owned(shop, "connectors")) == before
    assert len(turned(shop, server.runtime(key), force=True).connectors) == 2
    assert not set(owned(shop, "connectors")) & before


def test_lent_credentials_are_written_by_rotate_and_never_planned_by_apply(
    shop: Project, server: KeyServer, key: Key
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    assert len(turned(shop, server.runtime(server.keys.issue(temporary=True), ends)).connectors) == 2
    others = server.runtime(server.keys.issue(temporary=True), ends)  # as the next process would get
    assert Provisioner(shop.client, shop.deployment(), others).plan().writes == ()
    done = turned(shop, others)
    assert len(done.connectors) == 2
    assert done.as_dict()["expires"] == ends.isoformat()


def test_a_rotation_of_what_is_not_applied_is_refused(make_project: MakeProject, server: KeyServer, key: Key) -> None:
    project = make_project(SMALL, server.served(key))
    with pytest.raises(ProvisionError, match="nothing to rotate") as caught:
        turned(project, server.runtime(key))
    assert caught.value.hint == "neuralshelf apply"


def test_a_rotation_waits_for_nobody_who_holds_the_lock(shop: Project, server: KeyServer) -> None:
    before = snapshot(shop.client)
    with locked(shop.client, shop.prefix, "migrate"), pytest.raises(LockedError, match="migrate"):
        turned(shop, server.runtime(server.keys.issue()))
    assert changes(before, snapshot(shop.client)) == {}


def test_a_model_that_could_not_stay_is_not_rotated(shop: Project, server: KeyServer) -> None:
    model = next(iter(owned(shop, "models")))
    limit = {"rate_limiter": {"limit": "1000", "unit": "SECONDS"}}
    shop.client.transport.perform_request("PUT", f"/_plugins/_ml/models/{model}", body=limit)
    with pytest.raises(ProvisionError, match="was edited and can't be kept") as caught:
        turned(shop, server.runtime(server.keys.issue()))
    assert "apply" in caught.value.hint


def test_another_version_of_the_index_is_left_alone_and_said_so(shop: Project, server: KeyServer, key: Key) -> None:
    shop.edit("index.version", 2)
    new = server.runtime(server.keys.issue())
    applied(shop, new)
    connectors = owned(shop, "connectors")
    told: list[str] = []
    done = turned(shop, server.runtime(server.keys.issue()), say=told.append)
    assert [address.split("-v")[1][0] for address in done.connectors] == ["2", "2"]
    left = connectors.keys() & owned(shop, "connectors").keys()
    assert sorted(connectors[identity]["name"].split("-v")[1][0] for identity in left) == ["1", "1"]
    assert any("version 1 of the index keeps the credentials" in line for line in told)
    shop.edit("index.version", 1)
    assert len(turned(shop, server.runtime(server.keys.issue())).connectors) == 2


def test_planted_secrets_show_nowhere(
    shop: Project, server: KeyServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    new = server.runtime(server.keys.issue(temporary=True))
    planned = plan_rotation(shop.client, shop.deployment(), new)
    told: list[str] = []
    done = turned(shop, new, say=told.append, tell=lambda change: told.append(f"{change} {change.as_dict()}"))
    seen = [json.dumps(planned.as_dict()), repr(planned), *told, repr(done), json.dumps(done.as_dict()), repr(new)]
    seen += [caplog.text, *capfd.readouterr(), json.dumps(snapshot(shop.client))]
    assert planned.writes
    assert told
    assert "PLANTED" not in "".join(seen)


def test_the_command_rotates_once_and_then_finds_nothing_to_do(shop: Project, server: KeyServer, key: Key) -> None:
    new = server.keys.issue()
    shop.environ |= {ACCESS_KEY: new.access, SECRET_KEY: new.secret}
    first = shop.run("rotate", "--json")
    assert len(first.json["connectors"]) == 2
    again = shop.run("rotate")
    assert "nothing to rotate" in again.out
    assert shop.run("plan", "--detailed-exitcode").code == 0
    shop.environ[SECRET_KEY] = "PLANTED-wrong"
    refused = shop.run("rotate", code=1)
    assert "signature" in refused.err
    assert "PLANTED" not in "".join((first.out, first.err, again.out, again.err, refused.out, refused.err))
