"""`backfill` on the real engine: vectors made in bulk are joined by id, compared with the models, not made again."""

import gzip
import json
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from neuralshelf.errors import InputError
from neuralshelf.ingestion.vectors.files import Given, VectorFiles, encoded
from neuralshelf.local.backfill import Backfilled, Vectors, backfill_catalogue, request_catalogue
from neuralshelf.local.loading import Options, ingest_catalogue
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.server.endpoints import CLIP_ENDPOINT, TEXT_ENDPOINT, standard_endpoints
from neuralshelf.model_packages.server.pictures import PictureLimits, decode
from neuralshelf.settings import Folders
from tests.engine.fixtures import ServeModels, ToyEncoder
from tests.engine.ingestion.catalogues import picture, written
from tests.engine.ingestion.test_ingest import letters, stored
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import ENVIRONMENT, FULL, SMALL, Project, slay

ROOT = Path(__file__).resolve().parents[3]
Row = dict[str, Any]
FIELDS = ("text_vector", "image_vector")


class Shop:
    """A deployment that is applied, and a catalogue; all in this process."""

    def __init__(self, project: Project) -> None:
        self.project = project
        with project.provisioner() as made:
            made.apply(made.plan())
        self.folder = project.folder
        self.stack = Stack(project.file, ENVIRONMENT, Folders(Folders.default(ROOT).cache, project.folder / "state"))
        self.catalogue = project.folder / "shop.jsonl"

    def ingest(self) -> None:
        ingest_catalogue(self.stack, self.project.deployment(), self.catalogue, Options(full_speed=True))

    def backfill(self, *files: Path, dry_run: bool = False, **more: Any) -> Backfilled:
        options = Options(full_speed=True, dry_run=dry_run)
        given = Vectors(files, **more)
        return backfill_catalogue(self.stack, self.project.deployment(), self.catalogue, given, options)

    def vectors(self, lines: Sequence[Any], name: str = "vectors.jsonl") -> Path:
        """A file of vectors; bytes as they stand, all else as JSON."""
        data = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
        path = self.folder / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path


class Teapots(Shop):
    """Every second product has a picture; `lines` are the vectors of all."""

    def __init__(self, project: Project, count: int) -> None:
        super().__init__(project)
        self.rows: list[Row] = []
        self.lines: list[Row] = []
        encoder = ToyEncoder()
        (self.folder / "images").mkdir()
        for number in range(count):
            row = {"id": f"p{number}", "title": f"teapot number {number}", "brand": "Acme"}
            line: Row = {
                "id": row["id"],
                "text_vector": encoder.encode([Sample(row["title"] + " Acme")], 384)[0].tolist(),
            }
            if number % 2:
                row["image"] = f"images/{number}.jpg"
                (self.folder / row["image"]).write_bytes(picture(number))
                pixels = decode(picture(number), PictureLimits())
                line["image_vector"] = encoder.encode([Sample(image=pixels)], 512)[0].tolist()
            self.rows.append(row)
            self.lines.append(line)
        written(self.catalogue, self.rows)

    def asked(self) -> tuple[int, int]:
        """For how many texts and pictures of this catalogue its models were asked so far."""
        texts = sum(text.startswith("teapot number") for text in self.project.server.text.texts)
        images = [sample.image for sample in self.project.server.multimodal.samples if sample.image is not None]
        return texts, sum(image.shape == (64, 64, 3) for image in images)


MakeShop = Callable[[int], Teapots]


@pytest.fixture
def make_shop(make_project: MakeProject) -> MakeShop:
    return lambda count: Teapots(make_project(FULL), count)


def count(project: Project) -> int:
    project.client.indices.refresh(index=project.name)
    return int(project.client.count(index=project.name)["count"])


def cosine(a: Any, b: Any) -> float:
    x, y = np.array(a, np.float64), np.array(b, np.float64)
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def test_shuffled_vectors_are_joined_by_id_not_made_again_and_like_those_of_an_ingest(make_shop: MakeShop) -> None:
    shop = make_shop(200)
    before = shop.asked()
    random.Random(5).shuffle(shop.lines)
    for line in shop.lines[:50]:
        line["text_vector"] = encoded(np.array(line["text_vector"], np.float32))
    files = [shop.vectors(shop.lines[:100], "one.jsonl"), shop.vectors(shop.lines[100:], "two.jsonl.gz")]
    done = shop.backfill(*files)
    assert (done.report.indexed, done.dead_letters) == (200, 0)
    assert (done.complete, done.compared) == (200, 32)
    asked = shop.asked()
    assert (asked[0] - before[0], asked[1] - before[1]) == (16, 16)
    given = {line["id"]: line for line in shop.lines}
    found = stored(shop.project)
    shop.ingest()
    online = stored(shop.project)
    assert found.keys() == online.keys() == given.keys()
    for identity, document in found.items():
        assert document.keys() == online[identity].keys()
        for name, value in document.items():
            if name in FIELDS:
                assert cosine(value, online[identity][name]) > 0.999999
            else:
                assert value == online[identity][name]


def test_vectors_on_wrong_ids_or_of_another_model_are_refused_before_anything_is_written(make_shop: MakeShop) -> None:
    shop = make_shop(40)
    for field in FIELDS:
        values = [line[field] for line in shop.lines if field in line]
        shifted = [*values[1:], values[0]]
        others = [[*value[1:], value[0]] for value in values]
        for wrong in (shifted, others):
            left = iter(wrong)
            lines = [line | ({field: next(left)} if field in line else {}) for line in shop.lines]
            with pytest.raises(InputError, match=f"{field} of 'p.*nothing was written"):
                shop.backfill(shop.vectors([*lines, b"{torn"]))
    strangers = [{**line, "id": f"x{line['id']}"} for line in shop.lines]
    with pytest.raises(InputError, match="no id of the vectors is in"):
        shop.backfill(shop.vectors(strangers))
    answers = [{"embedding": line["text_vector"]} for line in shop.lines]
    with pytest.raises(InputError, match="JoinSource Input"):
        shop.backfill(shop.vectors(answers), field="text_vector")
    assert stored(shop.project) == {}
    assert letters(shop.project) == {}


def test_what_is_not_given_is_embedded_online_or_left_out(make_shop: MakeShop) -> None:
    shop = make_shop(60)
    half = shop.lines[:30]
    for line in half[:10]:
        line.pop("image_vector", None)
    file = shop.vectors(half)
    done = shop.backfill(file, only_given=True)
    assert stored(shop.project).keys() == {f"p{n}" for n in range(30) if n >= 10 or n % 2 == 0}
    assert (done.complete, done.partly, done.without) == (25, 5, 30)
    before = shop.asked()
    done = shop.backfill(file)
    asked = shop.asked()
    assert done.report.indexed == 60
    found = stored(shop.project)
    assert all(document["text_vector"] for document in found.values())
    assert sum("image_vector" in document for document in found.values()) == 30
    assert asked[0] - before[0] + asked[1] - before[1] == 30 + 15 + 5 + done.compared


def test_faulty_lines_end_as_letters_and_every_document_is_accounted_for(make_shop: MakeShop) -> None:
    shop = make_shop(40)
    by_id = {line["id"]: line for line in shop.lines}
    by_id["p0"]["text_vector"] = [1.0, 2.0]
    by_id["p2"]["text_vector"] = [0.0] * 384
    by_id["p4"]["text_vector"] = [float("nan")] * 384
    by_id["p6"]["text_vector_from"] = "shop-test-v1 0123456789abcdef0123456789abcdef"
    by_id["p8"]["image_vector"] = by_id["p1"]["image_vector"]
    by_id["p10"] = {"id": "p10", "vector": "text_vector", "SageMakerOutput": {"error": "out of memory"}}
    by_id["p12"] = {"id": "p12"}
    more: list[Any] = [
        {"id": "p14", "text_vector": by_id["p16"]["text_vector"]},
        by_id["p18"],
        {"id": "stranger", "text_vector": by_id["p16"]["text_vector"]},
        [1, 2, 3],
        b'{"id": "p20", "text_vector": [0.1, 0.',
    ]
    file = shop.vectors([*by_id.values(), *more])
    dry = shop.backfill(file, dry_run=True)
    assert stored(shop.project) == {}
    done = shop.backfill(file)
    expected = {
        "p0": "WrongDimension",
        "p2": "ZeroVector",
        "p4": "NotFinite",
        "p6": "StaleVector",
        "p8": "NoInput",
        "p10": "ModelError",
        "p12": "BadVectorLine",
        "p14": "DuplicateVector",
    }
    for each in (dry, done):
        report = each.report
        assert (report.documents, report.indexed, report.dead_letters, each.dead_letters) == (40, 32, 8, 10)
        assert (each.repeated, each.nobodys, each.unknown, each.unknown_ids) == (2, 2, 1, ("stranger",))
        assert set(report.codes) == set(expected.values())
    found = letters(shop.project)
    assert {key: letter["code"] for key, letter in found.items() if key} == expected
    assert (found[None]["code"], found[None]["source"]) == ("BadVectorLine", "vectors.jsonl")
    assert stored(shop.project).keys() == {row["id"] for row in shop.rows} - expected.keys()
    shop.ingest()
    assert len(stored(shop.project)) == 40
    assert letters(shop.project).keys() == {None}


def test_a_killed_run_goes_on_after_the_last_settled_row(make_project: MakeProject) -> None:
    shop = Shop(make_project(SMALL))
    encoder = ToyEncoder()
    rows = [{"id": f"p{number}", "title": f"cup number {number}"} for number in range(4000)]
    vectors = encoder.encode([Sample(row["title"]) for row in rows], 384)
    written(shop.catalogue, rows)
    lines = [{"id": row["id"], "text_vector": encoded(v)} for row, v in zip(rows, vectors, strict=True)]
    file = shop.vectors(lines[::-1])
    process = shop.project.start("backfill", str(shop.catalogue), str(file), "--full-speed")
    while not list((shop.project.folder / "state").rglob("ingest/*.json")):  # the checkpoint is written every second
        assert process.poll() is None, "it was quicker than this test"
        time.sleep(0.05)
    slay(process.pid)
    process.communicate()
    if count(shop.project) < len(rows):
        assert shop.backfill(file).report.resumed_after > 0
    found = stored(shop.project)
    assert found.keys() == {row["id"] for row in rows}
    assert all(cosine(found[row["id"]]["text_vector"], v) > 0.999999 for row, v in zip(rows, vectors, strict=True))


def test_the_commands_say_what_was_done(make_shop: MakeShop) -> None:
    shop = make_shop(10)
    shop.lines[0]["text_vector"] = [1.0]
    file = str(shop.vectors([*shop.lines, {"id": "stranger", "text_vector": shop.lines[1]["text_vector"]}]))
    done = shop.project.run("backfill", str(shop.catalogue), file, "--seed", "5", code=3)
    assert "15 vectors (0 repeated), 1 faulty lines, 1 ids that are not in the catalogue: stranger" in done.out
    assert "--seed 5" in done.err
    assert len(stored(shop.project)) == 9
    found = shop.project.run("backfill", str(shop.catalogue), file, "--dry-run", "--json", code=3).json
    assert (found["indexed"], found["codes"], found["given"]["unknown"]) == (9, {"WrongDimension": 1}, 1)
    done = shop.project.run("backfill", str(shop.catalogue), "--requests", "requests")
    assert "10 text, 5 picture requests below requests" in done.out
    assert "give VECTORS or --requests DIR" in shop.project.run("backfill", str(shop.catalogue), code=2).err


def test_requests_answered_by_the_models_themselves_come_back_as_the_vectors_of_an_ingest(make_shop: MakeShop) -> None:
    shop = make_shop(20)
    folder = shop.folder
    requested = request_catalogue(shop.project.deployment(), shop.catalogue, folder / "requests", Options())
    assert requested.made == {"text": 20, "picture": 10}
    endpoints = standard_endpoints(ToyEncoder(), ToyEncoder())
    (folder / "answers").mkdir()
    for connector, name in (("text", TEXT_ENDPOINT), ("picture", CLIP_ENDPOINT)):
        endpoint = endpoints[name]
        for part in sorted((folder / "requests" / connector).iterdir()):
            lines = []
            for line in part.read_text("utf-8").splitlines():
                request = json.loads(line)
                work = endpoint.contract.read(json.dumps(request.pop("input")).encode(), endpoint.encoder)
                rows = list(endpoint.encoder.encode(work.samples, work.dimension))
                lines.append(request | {"SageMakerOutput": json.loads(endpoint.contract.answer(work, rows))})
            random.Random(1).shuffle(lines)
            written(folder / "answers" / f"{connector}-{part.name}.out", lines)
    done = shop.backfill(folder / "answers")
    assert (done.report.indexed, done.complete) == (20, 20)
    given = {line["id"]: line for line in shop.lines}
    for identity, document in stored(shop.project).items():
        for field in FIELDS:
            if field in given[identity]:
                assert cosine(document[field], given[identity][field]) > 0.999999


def test_a_vector_of_text_and_picture_together_is_taken_too(make_project: MakeProject) -> None:
    config: Mapping[str, Any] = {
        "connectors": {"picture": FULL["connectors"]["picture"]},
        "index": {
            "fields": {"title": "text"},
            "vectors": {"both_vector": {"connector": "picture", "text": ["title"], "image": "image"}},
        },
        "search": {"keyword": ["title"], "weights": {"keyword": 0.5, "both_vector": 0.5}},
    }
    shop = Shop(make_project(config))
    (shop.folder / "a.jpg").write_bytes(picture(9))
    rows = [{"id": "both", "title": "joint teapot", "image": "a.jpg"}, {"id": "text", "title": "joint cup"}]
    written(shop.catalogue, rows)
    samples = [Sample("joint teapot", decode(picture(9), PictureLimits())), Sample("joint cup")]
    vectors = ToyEncoder().encode(samples, 512)
    file = shop.vectors([{"id": row["id"], "both_vector": encoded(v)} for row, v in zip(rows, vectors, strict=True)])
    server = shop.project.server.multimodal
    before = len([text for text in server.texts if text.startswith("joint")])
    assert shop.backfill(file).compared == 2
    assert len([text for text in server.texts if text.startswith("joint")]) - before == 2
    found = stored(shop.project)
    shop.ingest()
    online = stored(shop.project)
    assert found.keys() == online.keys() == {"both", "text"}
    for identity, document in found.items():
        assert document.keys() == online[identity].keys()
        for name, value in document.items():
            same = (
                cosine(value, online[identity][name]) > 0.999999
                if name == "both_vector"
                else value == online[identity][name]
            )
            assert same, name


def test_real_models_give_the_same_vectors_in_bulk_and_online(
    make_project: MakeProject, serve_models: ServeModels
) -> None:
    """All texts of the sample catalogue and 60 of its pictures, by the models of the local server."""
    lite = pytest.importorskip("neuralshelf.model_packages.lite")
    minilm = pytest.importorskip("neuralshelf.model_packages.minilm")
    config = yaml.safe_load((ROOT / "neuralshelf.yaml").read_text("utf-8"))
    config = {key: config[key] for key in ("connectors", "index", "search")}
    del config["index"]["name"], config["search"]["template"]
    served = serve_models(lite.LiteEncoder.load(Folders.default(ROOT).cache), minilm.MiniLmEncoder.load())
    shop = Shop(make_project(config, served))
    rows = [json.loads(line) for line in (ROOT / "samples" / "catalogue.jsonl").read_text("utf-8").splitlines()]
    (shop.folder / "images").mkdir()
    chosen = random.Random(7).sample(range(len(rows)), 60)
    for number, row in enumerate(rows):
        image = row.pop("image", None)
        if number in chosen:
            shutil.copy(ROOT / "samples" / image, shop.folder / "images")
            row["image"] = f"images/{Path(image).name}"
    written(shop.catalogue, rows)
    file = shop.folder / "vectors.jsonl"
    made = shop.project.run("embed", str(shop.catalogue), "--out", str(file), "--json").json
    assert made["made"] == {"text_vector": len(rows), "image_vector": 60}
    shop.ingest()
    online = stored(shop.project)
    for line in VectorFiles([file], {"text_vector": 384, "image_vector": 512}):
        assert isinstance(line, Given)
        document = online[line.id]
        assert cosine(line.vector, document[line.field]) >= 0.9999, (line.id, line.field)
        assert line.made_from == document[f"{line.field}_from"]
    done = shop.backfill(file)
    assert (done.report.indexed, done.complete, done.compared) == (len(rows), len(rows), 32)
