"""Migrations that are cut off, refused, or need more than texts; each with few documents."""

import base64
import io
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from opensearchpy import OpenSearch
from PIL import Image

from neuralshelf.client import connect
from neuralshelf.errors import ProvisionError
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.provision.migration import Choices, finish, migrate, rollback, status
from neuralshelf.provision.migration.journal import Phase
from neuralshelf.provision.migration.swap import move_alias, put_transitional
from tests.engine.conftest import ServeModels, ToyEncoder
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, Project
from tests.engine.provision.encoders import Weighted
from tests.engine.provision.test_migrate import TEXT, apply, next_generation
from tests.engine.provision.traffic import Json, assert_same, fill, held

# OpenSearch says so at the first _update of an index with a pipeline.
pytestmark = pytest.mark.filterwarnings("ignore:the index .* has a default ingest pipeline")


def run(project: Project, choices: Choices | None = None) -> Json:
    return migrate(project.client, project.deployment(), project.runtime(), choices or Choices()).as_dict()


def alias_of(client: OpenSearch, name: str) -> list[str]:
    return list(client.indices.get_alias(name=name))


def picture(number: int) -> str:
    image = Image.new("RGB", (16, 16), (number * 37 % 256, number * 91 % 256, number * 53 % 256))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


# The first of each kind, in the order in which a migration comes to them.
KINDS_OF_WRITES = ("_register", "_bulk", "-2/_mapping", "_scripts", "_aliases")


@pytest.mark.parametrize(
    "moments",
    [KINDS_OF_WRITES, pytest.param((4, 13, *range(3, 40)), marks=pytest.mark.extended)],
    ids=["each-kind", "each-number"],
)
def test_a_migration_killed_at_any_write_goes_on_and_loses_nothing(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch, moments: Sequence[int | str]
) -> None:
    """Same dimension, other weights, two shards; documents change and go between the kills."""
    old, new = Weighted(), Weighted(seed=1)
    project = make_project(TEXT, server=serve_models(text=old))
    project.environment["store"] = {"shards": 2}
    project.write()
    apply(project)
    documents = fill(client, project.name, 400)
    next_generation(project, serve_models(text=new))
    killed = []
    for number, at in enumerate(moments):
        changed, gone = f"p{number}", f"p{100 + number}"
        documents[changed] |= {"title": f"changed before kill {number}"}
        client.index(index=project.name, id=changed, body=documents[changed])
        if documents.pop(gone, None):
            client.delete(index=project.name, id=gone)
        done = project.kill(at, "after", "migrate", writes=True)
        killed.append((at, done.code, str(project.wire.writes[-1])[:80]))
        if done.code == 0:
            break
    print(*killed, sep="\n")
    assert any("_aliases" in request for _, _, request in killed), "killed before the swap only"
    project.run("migrate")
    assert alias_of(client, project.name) == [f"{project.name}-2"]
    assert_same(client, f"{project.name}-2", documents, new)
    assert status(client, project.deployment()).phase is Phase.LIVE


def test_what_clients_wrote_since_comes_back_with_a_rollback_and_goes_over_again(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch
) -> None:
    old, new = ToyEncoder(), ToyEncoder(default_dimension=256)
    servers = serve_models(text=old), serve_models(text=new)
    project = make_project(TEXT, server=servers[0])
    apply(project)
    documents = fill(client, project.name, 200)
    template = client.get_script(id=f"{project.name}-search")["script"]["source"]
    next_generation(project, servers[1], 256)
    run(project)
    assert_same(client, f"{project.name}-2", documents, new)
    _change(client, project.name, documents, "first")
    back = rollback(project.client, project.deployment(), project.runtime())
    assert back.live == f"{project.name}-1"
    assert_same(client, back.live, documents, old)
    assert client.get_script(id=f"{project.name}-search")["script"]["source"] == template
    _change(client, project.name, documents, "second")
    assert run(project)["live"] == f"{project.name}-2"
    assert_same(client, f"{project.name}-2", documents, new)
    done = finish(project.client, project.deployment(), project.runtime())
    assert done.live == f"{project.name}-2"
    assert not client.indices.exists(index=f"{project.name}-1")
    with project.provisioner() as made:
        left = made.plan()
        assert left.writes == left.blocked == ()
        assert not [address for address in left.ids if "-v1-" in address]
    assert status(client, project.deployment()).phase is None


def _change(client: OpenSearch, index: str, documents: dict[str, Json], word: str) -> None:
    ids = sorted(documents)
    client.update(index=index, id=ids[0], body={"doc": {"title": f"{word} update"}})
    documents[ids[0]] |= {"title": f"{word} update"}
    client.delete(index=index, id=ids[1])
    again = documents.pop(ids[1])
    client.index(index=index, id=ids[1], body=again | {"title": f"{word} again"})
    documents[ids[1]] = again | {"title": f"{word} again"}
    client.delete(index=index, id=ids[2])
    del documents[ids[2]]
    documents[f"new {word}"] = {"title": f"{word} new", "brand": "x", "price": 1.0}
    client.index(index=index, id=f"new {word}", body=documents[f"new {word}"])


@dataclass
class Blind(ToyEncoder):
    """Gives nearly the same vector to every text."""

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        rows = super().encode(samples, dimension) * 1e-3
        rows[:, 0] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True) * np.sign(rows[:, 1:2]), dtype=np.float32)


def test_a_model_that_finds_less_is_not_swapped_in_unless_somebody_wants_it(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch
) -> None:
    config = TEXT | {"search": TEXT["search"] | {"weights": {"keyword": 0.0, "text_vector": 1.0}}}
    project = make_project(config, server=serve_models(text=Exact()))
    apply(project)
    documents = fill(client, project.name, 300)
    next_generation(project, serve_models(text=Blind()))
    with pytest.raises(ProvisionError, match="finds less") as refused:
        run(project)
    assert "nothing was swapped" in str(refused.value)
    assert alias_of(client, project.name) == [f"{project.name}-1"]
    done = run(project, Choices(accept_worse=True))
    assert done["verdict"]["worse"]
    assert alias_of(client, project.name) == [f"{project.name}-2"]
    assert held(client, f"{project.name}-2").keys() == documents.keys()


@dataclass
class Exact(ToyEncoder):
    """Texts that share words are near."""

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        rows = []
        for sample in samples:
            words = (sample.text or "x").split()
            parts = super().encode([Sample(text=word) for word in words], dimension)
            rows.append(parts.sum(0) / np.linalg.norm(parts.sum(0)))
        return np.asarray(np.stack(rows), dtype=np.float32)


@dataclass
class Brighter(ToyEncoder):
    """Other vectors for pictures, of the same length."""

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        rows = super().encode(samples, dimension)
        signs = np.random.default_rng(5).choice((-1.0, 1.0), dimension)
        return np.asarray(rows * signs, dtype=np.float32)


def test_another_model_of_pictures_gets_the_pictures_from_a_catalogue(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch
) -> None:
    old, new = ToyEncoder(default_dimension=512), Brighter(default_dimension=512)
    text = ToyEncoder()
    project = make_project(FULL, server=serve_models(multimodal=old, text=text))
    apply(project)
    documents = fill(client, project.name, 60, lambda i: {"image": picture(i)} if i % 2 else {})
    before = held(client, f"{project.name}-1")
    next_generation(project, serve_models(multimodal=new, text=text))
    with pytest.raises(ProvisionError, match="pictures of 30 documents"):
        run(project)
    assert alias_of(client, project.name) == [f"{project.name}-1"]
    # Since it began the old index keeps what it is sent; this picture is in no catalogue.
    documents["late"] = {"title": "late", "brand": "b", "price": 2.0}
    client.index(index=project.name, id="late", body=documents["late"] | {"image": picture(99)})
    assert "image" in held(client, f"{project.name}-1")["late"]
    choices = Choices(pictures=lambda identity: picture(int(identity[1:])) if identity[1:].isdigit() else None)
    assert run(project, choices)["live"] == f"{project.name}-2"
    assert_same(client, f"{project.name}-2", documents, text)
    after = held(client, f"{project.name}-2")
    pictured = [i for i in documents if i == "late" or (i.startswith("p") and int(i[1:]) % 2)]
    assert {i for i in after if "image_vector" in after[i]} == set(pictured)
    signs = np.random.default_rng(5).choice((-1.0, 1.0), 512)
    for identity in pictured:
        assert "image" not in after[identity]
        if identity != "late":
            wanted = np.asarray(before[identity]["image_vector"]) * signs
            assert float(np.asarray(after[identity]["image_vector"]) @ wanted) > 0.9999
    # Back again: the old model's vectors of pictures are still right, for they came with the old index.
    client.update(index=project.name, id="p1", body={"doc": {"title": "changed"}})
    documents["p1"]["title"] = "changed"
    back = rollback(project.client, project.deployment(), project.runtime())
    assert back.to_send_again == ("p1",)
    restored = held(client, f"{project.name}-1")
    assert restored["p1"]["title"] == "changed"
    assert all(np.allclose(restored[i]["image_vector"], before[i]["image_vector"]) for i in pictured if i != "late")


def test_vectors_of_pictures_go_along_while_their_model_stays(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch
) -> None:
    pictures, new = ToyEncoder(default_dimension=512), Weighted(seed=3)
    project = make_project(FULL, server=serve_models(multimodal=pictures, text=ToyEncoder()))
    apply(project)
    documents = fill(client, project.name, 40, lambda i: {"image": picture(i)})
    before = held(client, f"{project.name}-1")
    next_generation(project, serve_models(multimodal=pictures, text=new))
    calls = len(pictures.samples)
    run(project)
    assert_same(client, f"{project.name}-2", documents, new)
    after = held(client, f"{project.name}-2")
    assert all(np.allclose(after[i]["image_vector"], before[i]["image_vector"]) for i in documents)
    sent = [sample for sample in pictures.samples[calls:] if sample.image is not None]
    assert len(sent) < 10, "only the known picture is embedded"


@dataclass
class Slow(ToyEncoder):
    """Takes its time."""

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        time.sleep(0.4)
        return super().encode(samples, dimension)


def test_requests_under_way_while_the_alias_moves_keep_to_the_model_of_their_index(
    make_project: MakeProject, serve_models: ServeModels
) -> None:
    models = Slow(), Slow(default_dimension=256)
    project = make_project(TEXT, server=serve_models(text=models[0]))
    apply(project)
    client = connect(project.deployment().environment.cluster, pool=40)
    name = project.name
    fill(client, name, 3)
    next_generation(project, serve_models(text=models[1]), 256)
    apply(project)
    for identity in ("p0", "p1"):
        client.index(index=f"{name}-2", id=identity, body={"title": f"second {identity}"}, params={"refresh": "true"})
    indexes = (f"{name}-1", f"{name}-2")
    put_transitional(client, project.deployment(), indexes)

    def write(number: int) -> None:
        time.sleep(number / 20)
        client.index(index=name, id=f"w{number}", body={"title": f"title {number}", "brand": "b", "price": 1.0})

    def search(number: int) -> Json:
        time.sleep(number / 20)
        body = {"id": f"{name}-search", "params": {"text": f"title {number}"}}
        answer: Json = client.transport.perform_request("POST", f"/{name}/_search/template", body=body)
        assert answer["_shards"]["failed"] == 0
        assert answer["hits"]["hits"]
        return answer

    with ThreadPoolExecutor(40) as threads:
        futures = [threads.submit(call, number) for number in range(20) for call in (write, search)]
        for source, target in (indexes, indexes[::-1], indexes):
            time.sleep(0.3)
            move_alias(client, name, source, target, lambda: None)
        for future in futures:
            future.result()
    found = [held(client, index) for index in indexes]
    written = [{i for i in documents if i.startswith("w")} for documents in found]
    assert all(written), "none was under way"
    assert written[0] | written[1] == {f"w{number}" for number in range(20)}
    for documents, index, model in zip(found, indexes, models, strict=True):
        plain = {i: {k: v for k, v in d.items() if "_vector" not in k} for i, d in documents.items()}
        assert_same(client, index, plain, model)
    client.close()


@dataclass
class SlowBatches(ToyEncoder):
    """Takes its time over more than one text."""

    pause: float = 0.4

    def encode(self, samples: Sequence[Sample], dimension: int) -> NDArray[np.float32]:
        time.sleep(self.pause if len(samples) > 1 else 0)
        return super().encode(samples, dimension)


def test_an_interrupted_migration_says_how_to_go_on(
    make_project: MakeProject, serve_models: ServeModels, client: OpenSearch
) -> None:
    new = SlowBatches()
    project = make_project(TEXT, server=serve_models(text=ToyEncoder()))
    apply(project)
    documents = fill(client, project.name, 600)
    next_generation(project, serve_models(text=new))
    process = project.start("migrate")
    until = time.monotonic() + 60
    while not any(request.path.startswith(f"/{project.name}-2/_bulk") for request in project.wire.requests):
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "goes on from here" in err
    assert "Traceback" not in err
    assert status(client, project.deployment()).phase is Phase.COPYING
    new.pause = 0
    project.run("migrate")
    assert_same(client, f"{project.name}-2", documents, new)
