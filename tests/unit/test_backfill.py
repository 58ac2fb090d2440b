"""Given vectors and documents: what is taken, what is a dead letter, and what is left to the models."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuralshelf.connectors.spec import BedrockTitanMultimodal, ConnectorSpec, SageMakerClip, SageMakerText
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.ingestion.admission import Refused
from neuralshelf.ingestion.catalogue import BadLine, Product
from neuralshelf.ingestion.documents import Document, documents
from neuralshelf.ingestion.vectors import transform
from neuralshelf.ingestion.vectors.backfill import SAMPLES, Filler, complete, match
from neuralshelf.ingestion.vectors.files import Faulty, Given, VectorFiles
from neuralshelf.ingestion.vectors.store import VectorStore
from neuralshelf.ingestion.vectors.transform import write_requests
from neuralshelf.local.backfill import Vectors, backfill_catalogue
from neuralshelf.local.loading import Options
from neuralshelf.local.stack import Stack
from neuralshelf.pipelines.spec import IndexSpec, VectorSpec
from neuralshelf.pipelines.stamps import digest, stamp, together
from neuralshelf.settings import Folders

GENERATION = "shop-test-v1"
SIZES = {"text_vector": 3, "image_vector": 2, "joint_vector": 2}
INDEX = IndexSpec(
    name="shop",
    fields={"title": "text", "brand": "keyword", "id_of_product": "keyword"},
    product="id_of_product",
    vectors={
        "text_vector": VectorSpec(connector="text", text=("title", "brand")),
        "image_vector": VectorSpec(connector="picture", image="image"),
        "joint_vector": VectorSpec(connector="picture", text=("title",), image="image"),
    },
)
PLAIN = INDEX.model_copy(update={"vectors": {k: v for k, v in INDEX.vectors.items() if k != "joint_vector"}})
CONNECTORS: Mapping[str, ConnectorSpec] = {
    "text": SageMakerText(kind="sagemaker-text", endpoint="words", dimension=3),
    "picture": SageMakerClip(kind="sagemaker-clip", endpoint="clip", dimension=2),
}


@dataclass(frozen=True)
class Held:
    """A picture in memory."""

    name: str
    data: bytes = b"picture"

    def read(self, limit: int) -> bytes:
        return self.data


def encoded(picture: Held) -> str:
    return base64.b64encode(picture.data).decode()


def prepare(document: Document) -> dict[str, Any]:
    """As an ingest does, without looking at the picture."""
    body = dict(document.fields)
    if document.picture is not None:
        if document.picture.name == "bad":
            raise Refused("DamagedPicture", "bad")
        body["image"] = base64.b64encode(document.picture.read(1000)).decode()
    return body


def product(identity: str = "a", *pictures: Held, title: str = "Red cup") -> Product:
    return Product(1, identity, {"title": title, "brand": "Acme"} if title else {}, pictures)


def given(field: str, *, identity: str = "a", value: float = 1.0, made_from: str | None = None, line: int = 1) -> Given:
    vector = np.array([value, *[1.0] * (SIZES[field] - 1)], np.float32)
    return Given("v.jsonl", line, identity, field, vector, made_from)


@pytest.fixture
def filled() -> Iterator[Callable[..., Filler]]:
    with VectorStore(SIZES) as store:

        def fill(*lines: Given | Faulty, index: IndexSpec = PLAIN) -> Filler:
            store.fill(lines)
            return Filler(prepare, store, index, GENERATION)

        yield fill


MakeFiller = Callable[..., Filler]


def only(made: Product, index: IndexSpec = PLAIN) -> Document:
    (document,) = documents(made, index)
    return document


def test_a_document_whose_vectors_are_all_given_brings_them_with_stamps_and_no_picture(filled: MakeFiller) -> None:
    picture = Held("p.jpg")
    body = filled(given("text_vector"), given("image_vector", value=5))(only(product("a", picture)))
    assert plain(body) == {
        "title": "Red cup",
        "brand": "Acme",
        "id_of_product": "a",
        "text_vector": [1, 1, 1],
        "text_vector_from": stamp(GENERATION, "Red cup Acme"),
        "image_vector": [5, 1],
        "image_vector_from": stamp(GENERATION, encoded(picture)),
    }


def test_what_is_not_given_is_left_to_the_models(filled: MakeFiller) -> None:
    filler = filled(given("text_vector"), given("image_vector", identity="b"))
    body = filler(only(product("a", Held("p.jpg"))))
    assert {"text_vector", "text_vector_from", "image"} <= body.keys()
    assert "image_vector" not in body
    body = filler(only(product("b", Held("p.jpg"))))
    assert {"image_vector", "image_vector_from"} <= body.keys()
    assert not {"text_vector", "image"} & body.keys()
    assert filler(only(product("c", Held("p.jpg")))) == prepare(only(product("c", Held("p.jpg"))))


def test_a_vector_of_text_and_picture_together_brings_both_stamps(filled: MakeFiller) -> None:
    picture = Held("p.jpg")
    filler = filled(given("joint_vector"), given("image_vector"), given("joint_vector", identity="b"), index=INDEX)
    body = filler(only(product("a", picture), INDEX))
    assert body["joint_vector_from"] == stamp(GENERATION, together("Red cup", digest(encoded(picture))))
    assert body["joint_vector_picture"] == digest(encoded(picture))
    assert "image" not in body
    body = filler(only(product("b"), INDEX))
    assert body["joint_vector_from"] == stamp(GENERATION, "Red cup")
    assert "joint_vector_picture" not in body
    # the picture is needed as long as one vector of it is missing
    assert "image" in filler(only(product("b", picture), INDEX))


def plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """With vectors as lists."""
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in body.items()}


def refused(filler: Filler, made: Product) -> tuple[str, str]:
    with pytest.raises(Refused) as fault:
        filler(only(made))
    return fault.value.code, str(fault.value)


def test_a_faulty_vector_makes_its_document_a_dead_letter_that_names_the_line(filled: MakeFiller) -> None:
    zero = Faulty("v.jsonl", 7, "a", "text_vector", "ZeroVector", "zero")
    code, cause = refused(filled(zero, given("image_vector")), product("a", Held("p")))
    assert (code, cause) == ("ZeroVector", "v.jsonl:7: zero")


def test_a_good_line_beside_a_faulty_one_is_taken(filled: MakeFiller) -> None:
    failed = Faulty("first.out", 7, "a", "text_vector", "ModelError", "throttled")
    nothing = Faulty("first.out", 8, "a", None, "BadVectorLine", "no vector")
    assert plain(filled(failed, nothing, given("text_vector"))(only(product())))["text_vector"] == [1, 1, 1]


def test_equal_repetitions_are_one_and_different_ones_a_dead_letter(filled: MakeFiller) -> None:
    again = given("text_vector", value=1.00001, line=2)
    filler = filled(given("text_vector"), again, given("text_vector", line=3), given("image_vector", identity="b"))
    assert plain(filler(only(product())))["text_vector"] == [1, 1, 1]
    with VectorStore(SIZES) as store:
        store.fill([given("text_vector"), given("text_vector", value=-3, line=9)])
        code, cause = refused(Filler(prepare, store, PLAIN, GENERATION), product())
    assert code == "DuplicateVector"
    assert "v.jsonl:1" in cause
    assert "v.jsonl:9" in cause


def test_a_vector_of_an_earlier_text_or_picture_is_stale_whatever_else_its_stamp_says(filled: MakeFiller) -> None:
    picture = Held("p.jpg")
    filler = filled(
        given("text_vector", made_from=stamp(GENERATION, "Red cup before")),
        given("image_vector", identity="b", made_from=digest("before")),
        given("text_vector", identity="c", made_from=stamp("shop-elsewhere-v7", "Red cup Acme")),
        given("image_vector", identity="c", made_from=digest(encoded(picture))),
    )
    assert refused(filler, product())[0] == "StaleVector"
    assert refused(filler, product("b", picture))[0] == "StaleVector"
    assert {"text_vector", "image_vector"} <= filler(only(product("c", picture))).keys()


def test_of_an_old_and_a_new_vector_the_new_one_is_taken(filled: MakeFiller) -> None:
    old = given("text_vector", value=-5, made_from=stamp(GENERATION, "before"))
    new = given("text_vector", value=5, made_from=stamp(GENERATION, "Red cup Acme"), line=2)
    assert plain(filled(old, new)(only(product())))["text_vector"] == [5, 1, 1]


def test_a_vector_of_nothing_is_a_dead_letter(filled: MakeFiller) -> None:
    filler = filled(given("image_vector"), given("text_vector", identity="b"))
    assert refused(filler, product("a"))[0] == "NoInput"
    assert refused(filler, product("b", Held("p"), title=""))[0] == "NoInput"


def test_a_picture_that_cant_be_taken_is_a_dead_letter_though_its_vector_is_given(filled: MakeFiller) -> None:
    assert refused(filled(given("image_vector")), product("a", Held("bad")))[0] == "DamagedPicture"


def test_matching_counts_documents_and_ids_and_picks_at_random_over_all(filled: MakeFiller) -> None:
    lines = [given(field, identity=f"p{n}") for n in range(500) for field in ("text_vector", "image_vector")]
    filler = filled(*lines, given("text_vector", identity="partly"), given("text_vector", identity="away"))
    rows: list[Product | BadLine] = [product(f"p{n}", Held("p")) for n in range(400)]
    rows += [product("partly", Held("p")), product("none"), BadLine(9, "p499", "bad"), BadLine(10, None, "bad")]
    found = match(rows, filler.store, PLAIN, seed=3)
    assert (found.complete, found.partly, found.without) == (400, 1, 1)
    assert filler.store.unknown(2) == (100, ["away", "p400"])
    assert {name: len(sampled) for name, sampled in found.samples.items()} == dict.fromkeys(PLAIN.vectors, SAMPLES)
    numbers = [int(document.id[1:]) for document in found.samples["image_vector"]]
    assert len(set(numbers)) == SAMPLES
    assert max(numbers) > 100
    again = match(rows, filler.store, PLAIN, seed=3)
    assert again.samples == found.samples
    assert match(rows, filler.store, PLAIN, seed=4).samples != found.samples


def test_only_given_leaves_rows_out_that_lack_a_vector_of_one_of_their_pictures(filled: MakeFiller) -> None:
    lines = [given(field, identity=i) for i in ("a", "a/2", "b") for field in ("text_vector", "image_vector")]
    fault = Faulty("v.jsonl", 7, "e", "text_vector", "ZeroVector", "zero")
    filler = filled(*lines, given("text_vector", identity="c"), fault)
    bad = BadLine(4, None, "bad")
    whole, half = product("a", Held("1"), Held("2")), product("b", Held("1"), Held("2"))
    rows: list[Product | BadLine] = [whole, half, product("c"), product("d"), product("e"), bad]
    assert list(complete(rows, filler.store, PLAIN)) == [whole, product("c"), product("e"), bad]


def test_requests_hold_what_the_endpoint_gets_and_their_answers_join_by_id_in_any_order(tmp_path: Path) -> None:
    picture = Held("p.jpg")
    rows: list[Product | BadLine] = [
        product("a", picture),
        BadLine(2, None, "no"),
        product("b"),
        product("c", title=""),
    ]
    rows.append(product("d", Held("bad")))
    done = write_requests(rows, tmp_path, index=INDEX, connectors=CONNECTORS, prepare=prepare)
    assert done.made == {"text": 2, "picture": 3}
    assert done.refused == {"BadLine": 1, "DamagedPicture": 1}
    config = {"embeddingConfig": {"outputEmbeddingLength": 2}}
    lines = [json.loads(line) for line in (tmp_path / "picture" / "00001.jsonl").read_text().splitlines()]
    assert [(line["id"], line["vector"], line["input"]) for line in lines] == [
        ("a", "image_vector", {"inputImage": encoded(picture), **config}),
        ("a", "joint_vector", {"inputText": "Red cup", "inputImage": encoded(picture), **config}),
        ("b", "joint_vector", {"inputText": "Red cup", **config}),
    ]
    texts = [json.loads(line) for line in (tmp_path / "text" / "00001.jsonl").read_text().splitlines()]
    assert [(line["id"], line["input"]) for line in texts] == [("a", ["Red cup Acme"]), ("b", ["Red cup Acme"])]

    answers = [{**line, "SageMakerOutput": {"embedding": [n, 1]}} for n, line in enumerate(lines, 1)]
    (tmp_path / "x.out").write_text("".join(json.dumps(answer) + "\n" for answer in reversed(answers)))
    with VectorStore(SIZES) as store:
        store.fill(VectorFiles([tmp_path / "x.out"], SIZES))
        filler = Filler(prepare, store, INDEX, GENERATION)
        body = filler(only(product("a", picture), INDEX))
        assert (plain(body)["image_vector"], plain(body)["joint_vector"]) == ([1, 1], [2, 1])
        assert plain(filler(only(product("b"), INDEX)))["joint_vector"] == [3, 1]


def test_requests_come_in_parts_and_never_into_a_folder_that_holds_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transform, "PART_LINES", 4)
    rows = [product(f"p{n}") for n in range(10)]
    write_requests(rows, tmp_path, index=PLAIN, connectors=CONNECTORS, prepare=prepare)
    sizes = [len(path.read_text().splitlines()) for path in sorted((tmp_path / "text").iterdir())]
    assert sizes == [4, 4, 2]
    for lines, expected in ((3, 4), (9, 3)):
        folder = tmp_path / str(lines)
        write_requests(rows, folder, index=PLAIN, connectors=CONNECTORS, prepare=prepare, lines=lines)
        assert len(list((folder / "text").iterdir())) == expected
    with pytest.raises(InputError, match="not empty"):
        write_requests(rows, tmp_path, index=PLAIN, connectors=CONNECTORS, prepare=prepare)
    monkeypatch.setattr(transform, "PART_BYTES", 300)
    write_requests(rows, tmp_path / "small", index=PLAIN, connectors=CONNECTORS, prepare=prepare)
    parts = list((tmp_path / "small" / "text").iterdir())
    assert len(parts) > 3
    assert all(path.stat().st_size <= 300 for path in parts)


def test_requests_of_some_vectors_alone(tmp_path: Path) -> None:
    done = write_requests(
        [product("a")], tmp_path, index=INDEX, connectors=CONNECTORS, prepare=prepare, only=["text_vector"]
    )
    lines = [json.loads(line) for file in tmp_path.rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert [line["vector"] for line in lines] == ["text_vector"]
    assert sum(done.made.values()) == 1


def test_requests_for_bedrock_alone_are_refused(tmp_path: Path) -> None:
    titan = BedrockTitanMultimodal(kind="bedrock-titan-multimodal")
    with pytest.raises(ConfigError, match="Bedrock"):
        write_requests([], tmp_path, index=PLAIN, connectors={"text": titan, "picture": titan}, prepare=prepare)


def test_a_run_is_marked_by_its_files_as_they_are_and_by_how_they_are_used(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in files:
        file.write_text("{}\n")
    given = Vectors(files)
    marks = [given.mark(files), given.mark(files[:1]), Vectors(files, only_given=True).mark(files)]
    marks.append(Vectors(files, field="text_vector").mark(files))
    assert given.mark(files) == Vectors([tmp_path], seed=5).mark(files) == marks[0]
    files[0].write_text("{}\n\n")
    marks.append(given.mark(files))
    assert len(set(marks)) == 5


def test_vectors_that_are_all_of_another_size_are_refused_with_the_reason(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    shutil.copy(root / "neuralshelf.yaml", tmp_path)
    shutil.copytree(root / "environments", tmp_path / "environments")
    (tmp_path / "c.jsonl").write_text('{"id": "a", "title": "Cup"}\n')
    (tmp_path / "v.jsonl").write_text('{"id": "a", "text_vector": [1, 2, 3]}\n')
    stack = Stack(tmp_path / "neuralshelf.yaml", "local", Folders(tmp_path, tmp_path / "state"))
    shop = Deployment.load(stack.config, "local")
    with pytest.raises(InputError, match=r"v\.jsonl:1: WrongDimension: text_vector has 3 numbers, the index takes 384"):
        backfill_catalogue(stack, shop, tmp_path / "c.jsonl", Vectors([tmp_path / "v.jsonl"]), Options(dry_run=True))
    (tmp_path / "v.jsonl").write_text("\n")
    with pytest.raises(InputError, match="no vector that can be used"):
        backfill_catalogue(stack, shop, tmp_path / "c.jsonl", Vectors([tmp_path / "v.jsonl"]), Options(dry_run=True))
