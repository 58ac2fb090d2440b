"""The DINO package: the same vectors and the same refusals, whichever way a picture comes."""

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient
from torchvision.transforms import InterpolationMode, v2
from transformers import ViTModel

from neuralshelf.model_packages import stored
from neuralshelf.model_packages.dino.encoder import AT_ONCE, DinoEncoder
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.functions import PICTURES as MEDIA
from neuralshelf.model_packages.server.handler import Handler, create_package_app
from tests import awkward
from tests.model_packages import small_dino
from tests.model_packages.inputs import BAD, PICTURES, UNUSABLE, body
from tests.model_packages.stores import BUCKET, OTHER, buckets
from tests.model_packages.ways import PACKAGES, Functions, Served, handler, served

SCENE = awkward.encoded(awkward.scene(), "PNG")
VECTORS: dict[str, bytes] = {
    **{f"picture: {name}": body(picture=found.make()) for name, found in PICTURES.items()},
    "text of null": b'{"inputText": null, "inputImage": "%s"}' % base64.b64encode(SCENE),
    "the model's length": body(picture=SCENE, embeddingConfig={"outputEmbeddingLength": 48}),
    "no length": body(picture=SCENE, embeddingConfig={"outputEmbeddingLength": None}),
    "base64 in lines": json.dumps({"inputImage": base64.encodebytes(SCENE).decode()}).encode(),
    "a sample": body(picture=(PACKAGES.parent / "samples/images/chair-00.jpg").read_bytes()),
}
REFUSED: dict[str, bytes] = {
    **{name: sent for name, sent in BAD.items() if name != "too many bytes"},
    "a text": body("a red mug"),
    "a text with a picture": body("a red mug", SCENE),
    "half an object": b'{"bucket": "shop-pictures"}',
    "a number as bucket": b'{"bucket": 5, "file_name": "a.png"}',
    "an object and a picture": b'{"bucket": "b", "file_name": "a.png", "inputImage": "AA=="}',
    "any bucket": b'{"bucket": "shop-invoices", "file_name": "a.png"}',
    "no bucket": b'{"bucket": "", "file_name": "a.png"}',
    "a URL as bucket": b'{"bucket": "https://example.com", "file_name": "a.png"}',
}


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Functions:
    module = handler("dino")
    return Functions(module, module.model_fn(str(small_dino.save_vit(tmp_path_factory.mktemp("model")))))


@pytest.fixture(scope="module")
def ways(functions: Functions) -> Iterator[Served]:
    with served(functions.model) as found:
        yield found


@pytest.fixture(scope="module")
def encoder(functions: Functions) -> DinoEncoder:
    assert isinstance(functions.model.encoder, DinoEncoder)
    return functions.model.encoder


def vector(answer: Any) -> NDArray[np.float32]:
    assert list(answer) == ["embedding", "inputTextTokenCount", "message"]
    assert (answer["inputTextTokenCount"], answer["message"]) == (0, None)
    return np.asarray(answer["embedding"], np.float32)


def samples(*sizes: tuple[int, int]) -> list[Sample]:
    chance = np.random.default_rng(1)
    return [Sample(image=chance.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def test_each_way_gives_the_same_unit_vector_for_every_picture(functions: Functions, ways: Served) -> None:
    for name, sent in VECTORS.items():
        found = vector(functions.answer(sent))
        assert found.shape == (48,), name
        assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5), name
        for other in (ways.container(sent), ways.endpoint(sent), functions.answer(sent.decode())):
            assert np.abs(vector(other) - found).max() <= 1e-6, name


def test_each_way_refuses_bad_bodies_in_the_same_words(functions: Functions, ways: Served) -> None:
    assert len(VECTORS) + len(REFUSED) >= 50
    for name, sent in REFUSED.items():
        said = functions.refusal(sent)
        assert said[:2] == ((413, "BodyTooLarge") if "25 MB" in name else (400, "InputRefused")), name
        assert "\n" not in said[2], name
        assert ways.container_refusal(sent) == said, name
        assert ways.endpoint_refusal(sent) == (said[0], said[2]), name


@pytest.mark.parametrize("name", UNUSABLE)
def test_pictures_are_refused_with_the_servers_codes(functions: Functions, name: str) -> None:
    data = UNUSABLE[name].make()
    for sent, media in ((data, "application/x-image"), (body(picture=data), "application/json")):
        if data or media != "application/json":
            status, code, message = functions.refusal(sent, media)
            if "25 MB" in name:
                assert (status, code) == (413, "BodyTooLarge")
            else:
                assert status == 400
                assert f"{UNUSABLE[name].refused}: " in message


@pytest.mark.parametrize("media", [*MEDIA, "IMAGE/JPEG; q=1"])
def test_a_body_may_be_the_picture(functions: Functions, media: str) -> None:
    assert np.array_equal(vector(functions.answer(SCENE, media)), vector(functions.answer(body(picture=SCENE))))


@pytest.mark.parametrize("media", ["text/plain", "image/svg+xml", "text/csv", "application/x-npy"])
def test_other_media_types_are_refused(functions: Functions, media: str) -> None:
    assert functions.refusal(SCENE, media)[:2] == (415, "MediaTypeRefused")


def test_the_package_behind_the_container_contract(functions: Functions, tmp_path: Path) -> None:
    loaded = Handler.load(PACKAGES / "dino" / "code", small_dino.save_vit(tmp_path))
    with TestClient(create_package_app(loaded)) as client:
        for sent, media in ((SCENE, "application/x-image"), (body(picture=SCENE), "application/json")):
            answer = client.post("/invocations", content=sent, headers={"content-type": media})
            assert answer.status_code == 200, answer.text
            assert np.abs(vector(answer.json()) - vector(functions.answer(sent, media))).max() <= 1e-6
        refused = client.post("/invocations", content=body("a mug"), headers={"content-type": "application/json"})
        assert (refused.status_code, refused.json()["code"]) == (400, "InputRefused")


def test_several_in_one_call_have_the_vectors_of_each_alone(functions: Functions) -> None:
    asked = [functions.module.input_fn(sent, "application/json") for sent in VECTORS.values()]
    assert len(asked) > AT_ONCE
    answers = functions.module.output_fn(functions.module.predict_fn(asked, functions.model), "application/json")
    for sent, answer in zip(VECTORS.values(), answers, strict=True):
        assert np.abs(vector(json.loads(answer)) - vector(functions.answer(sent))).max() <= 1e-5


def test_pictures_in_s3(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(bucket: str, key: str) -> tuple[int, str, str]:
        return functions.refusal(json.dumps({"bucket": bucket, "file_name": key}).encode())

    large = b"x" * (6_291_456 + 1)
    with buckets({"a/тапок 1.png": SCENE, "page.html": b"<html>", "large.jpg": large, "empty.png": b""}) as s3:
        sent = json.dumps({"bucket": BUCKET, "file_name": "a/тапок 1.png", "inputImage": None}).encode()
        assert np.array_equal(vector(functions.answer(sent)), vector(functions.answer(body(picture=SCENE))))
        assert "#/file_name: UnsupportedFormat" in said(BUCKET, "page.html")[2]
        assert "#/file_name: EmptyPicture" in said(BUCKET, "empty.png")[2]
        assert "#/file_name: TooManyBytes: 6291457 bytes; at most 6291456" in said(BUCKET, "large.jpg")[2]
        assert "#/file_name: ObjectNotFound" in said(BUCKET, "no.png")[2]
        assert "#/file_name: ObjectNotFound" in said("gone-pictures", "a/тапок 1.png")[2]
        assert "#/file_name: ObjectNotFound" in said(BUCKET, "x" * 1025)[2]
        assert "#/bucket: BucketNotAllowed" in said(OTHER, "a/тапок 1.png")[2]
        assert {said(BUCKET, key)[:2] for key in ("page.html", "large.jpg", "no.png")} == {(400, "InputRefused")}
        monkeypatch.delenv("ALLOWED_BUCKETS")
        assert "BucketNotAllowed" in said(BUCKET, "a/тапок 1.png")[2]
        assert "BucketNotAllowed" in said(" ", "a/тапок 1.png")[2]
        del s3


def test_a_store_that_fails_is_not_the_clients_fault(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free.getsockname()[1]}")  # nobody listens there
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("ALLOWED_BUCKETS", BUCKET)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        stored._client.cache_clear()
        said = functions.refusal(json.dumps({"bucket": BUCKET, "file_name": "a.png"}).encode())
    stored._client.cache_clear()
    assert said == (500, "ModelFailed", "S3 can't be reached from the endpoint; try again later")


def test_the_vector_is_the_cls_token_of_a_bicubic_648(tmp_path: Path) -> None:
    folder = small_dino.save_vit(tmp_path, size=None, patch_size=16)
    picture = awkward.scene(300, 200)
    look = v2.Compose(
        [
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    model = ViTModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        pixels = look(v2.functional.resize(picture, [648, 648], InterpolationMode.BICUBIC))[None]
        states = model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state
    assert states.shape == (1, 1 + 40 * 40, 48)
    wanted = torch.nn.functional.normalize(states[0, 0], dim=0).numpy()
    found = DinoEncoder.load(folder, "cpu").encode([Sample(image=np.asarray(picture))])
    assert found.dtype == np.float32
    assert np.abs(found[0] - wanted).max() <= 1e-5


def test_it_is_an_encoder(encoder: DinoEncoder) -> None:
    assert (encoder.name, encoder.dimensions, encoder.default_dimension) == ("dino", (48,), 48)
    assert len(bytes.fromhex(encoder.fingerprint)) == 8
    assert encoder.count_tokens("a red mug") == 0
    found = encoder.encode(samples((10, 20), (300, 5), (1, 1)), 48)
    assert found.dtype == np.float32
    assert found.shape == (3, 48)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)
    assert encoder.encode([], 48).shape == (0, 48)
    for bad in ([Sample(text="a")], [Sample(text="a", image=np.zeros((2, 2, 3), np.uint8))], [Sample()]):
        with pytest.raises(ValueError, match="pictures only"):
            encoder.encode(bad, 48)
    with pytest.raises(ValueError, match="gives 48 dimensions, not 384"):
        encoder.encode(samples((10, 20)), 384)


def test_it_falls_back_to_pretrained_weights(tmp_path: Path) -> None:
    pretrained = DinoEncoder.load(small_dino.save_vit(tmp_path / "public", "pretrained.safetensors"))
    both = small_dino.save_vit(tmp_path / "both", "pretrained.safetensors")
    own = small_dino.save_vit(tmp_path / "own", seed=2)
    (own / "model.safetensors").rename(both / "model.safetensors")
    tuned = DinoEncoder.load(both)
    picture = samples((30, 30))
    assert np.abs(tuned.encode(picture) - pretrained.encode(picture)).max() > 0.01
    assert tuned.fingerprint != pretrained.fingerprint
    (both / "model.safetensors").unlink()
    again = DinoEncoder.load(both)
    assert np.array_equal(again.encode(picture), pretrained.encode(picture))
    assert again.fingerprint == pretrained.fingerprint


def test_another_size_is_another_space(tmp_path: Path) -> None:
    folder = small_dino.save_vit(tmp_path, size=32)
    first = DinoEncoder.load(folder)
    (folder / "recipe.json").write_text('{"size": 48}')
    second = DinoEncoder.load(folder)
    assert first.fingerprint != second.fingerprint
    assert np.abs(first.encode(samples((30, 30))) - second.encode(samples((30, 30)))).max() > 1e-4


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("{", "recipe.json: not JSON"),
        ("[]", "not a JSON object"),
        ('{"width": 5}', "unknown key 'width'; known are size"),
        ('{"size": 0}', "size must be a positive whole number"),
        ('{"size": 64.5}', "size must be a positive whole number"),
        ('{"size": true}', "size must be a positive whole number"),
        ('{"size": "64"}', "size must be a positive whole number"),
    ],
)
def test_a_bad_recipe_is_named(tmp_path: Path, recipe: str, said: str) -> None:
    folder = small_dino.save_vit(tmp_path)
    (folder / "recipe.json").write_text(recipe)
    with pytest.raises(ValueError, match=said):
        DinoEncoder.load(folder)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = small_dino.save_vit(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(ValueError, match=r"model\.safetensors: lacks 16 tensors of the model"):
        DinoEncoder.load(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "dinov2"}))
    with pytest.raises(ValueError, match="model_type is not vit"):
        DinoEncoder.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither model\.safetensors nor pretrained\.safetensors"):
        DinoEncoder.load(folder)


def test_loading_asks_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    folder = small_dino.save_vit(tmp_path)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert DinoEncoder.load(folder).encode([Sample(image=np.asarray(Image.new("RGB", (9, 9))))]).shape == (1, 48)
