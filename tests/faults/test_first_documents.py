"""A model that gives something else than vectors of the configured size is found before a document is sent."""

from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from neuralshelf.cli import main
from neuralshelf.engine import Engine
from neuralshelf.errors import ProvisionError
from neuralshelf.local import provisioning
from neuralshelf.provision.guard import confirm
from tests.engine.provision.conftest import project_in_a_folder
from tests.engine.provision.deployment import SMALL
from tests.engine.provision.wire import wire_to
from tests.faults.conftest import Faulty, Shop
from tests.faults.faults import BREAKING, FAILING, GARBAGE, REFUSING, THROTTLING
from tests.faults.ledger import indexed, write_goods

SAID = {
    "wrong dimension": r"vectors of (383|511|255), the configuration says (384|512|256)",
    "zeros": "no usable vector",
    "1e39": "no usable vector",
}
NAMES = sorted({*THROTTLING, *FAILING, *REFUSING, *BREAKING, *GARBAGE} - {"trickle", "50 MB"})


@pytest.mark.parametrize("name", NAMES)
def test_the_probe_takes_nothing_for_a_vector_that_is_none(shop: Shop, name: str) -> None:
    shop.models.share(1.0, [name])
    with pytest.raises(ProvisionError, match=SAID.get(name)) as caught:
        confirm(shop.client, shop.project.deployment())
    assert caught.value.hint


@pytest.mark.parametrize("name", ["wrong dimension", "NaN"])
def test_apply_fails_and_the_next_one_goes_on(engine: Engine, client: OpenSearch, faulty: Faulty, name: str) -> None:
    server, models = faulty
    models.heal()
    models.share(1.0, [name])
    try:
        with wire_to(engine.url) as wire, project_in_a_folder(client, wire, server, SMALL) as project:
            with project.provisioner() as made, pytest.raises(ProvisionError, match="vector"):
                made.apply(made.plan(), show=lambda changed: None)
            models.heal()
            with project.provisioner() as made:
                made.apply(made.plan(), show=lambda changed: None)
            assert indexed(client, project.name) == {}
    finally:
        models.heal()


def test_an_ingest_asks_first_and_sends_no_document(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(provisioning, "_PATIENCE_SECONDS", 0)
    monkeypatch.setenv("NEURALSHELF_STATE", str(tmp_path))
    for name, value in shop.project.environ.items():
        monkeypatch.setenv(name, value)
    shop.models.share(1.0, ["wrong dimension"])
    goods = write_goods(tmp_path, 20)
    _, _, _, verb, *words = shop.project.command("ingest", str(goods.path))
    assert main([verb, *words]) == 1
    assert "the configuration says" in capsys.readouterr().err
    assert indexed(shop.client, shop.index) == {}
    assert shop.project.run("deadletters", "list", "--json").json["count"] == 0
