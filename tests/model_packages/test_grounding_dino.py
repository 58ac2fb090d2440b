"""The Grounding DINO package: what the model says becomes boxes, phrases, crops or a refusal."""

import base64
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient
from transformers import BertTokenizer, GroundingDinoForObjectDetection, GroundingDinoProcessor
from transformers.image_transforms import center_to_corners_format
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

from neuralshelf.model_packages.grounding_dino.contract import Request, crop
from neuralshelf.model_packages.grounding_dino.detector import GroundingDino
from neuralshelf.model_packages.grounding_dino.tokens import Captioner
from neuralshelf.model_packages.server.handler import Handler, create_package_app
from neuralshelf.model_packages.server.refusals import InputRefused
from tests import awkward
from tests.model_packages import small_dino
from tests.model_packages.inputs import NOT_JSON, PICTURES, UNUSABLE
from tests.model_packages.small import WORDS
from tests.model_packages.stores import BUCKET, OTHER, buckets
from tests.model_packages.ways import PACKAGES, Functions, handler

SCENE = awkward.encoded(awkward.scene(), "PNG")
PROMPTS = (
    "shoes",
    "running shoes . caps",
    "Кроссовки",
    "靴",
    "clothes . pants . hats . shoes",
    "a . b . c",
    "?!",
    "x" * 900,
)


def body(picture: bytes = SCENE, **fields: Any) -> bytes:
    return json.dumps({"inputImage": base64.b64encode(picture).decode(), **fields}).encode()


ANSWERED: dict[str, bytes] = {
    **{f"picture: {name}": body(found.make(), boxThreshold=0) for name, found in PICTURES.items()},
    **{f"prompt: {prompt[:20]}": body(prompt=prompt, boxThreshold=0) for prompt in PROMPTS},
    **{f"box: {box}": body(box=box) for box in ([0.5, 0.5, 0.2, 0.2], [0, 0, 1, 1], [1, 1, 1e-9, 1e-9])},
    "nulls": body(prompt=None, box=None, boxThreshold=0.0, textThreshold=None),
    "a sample": body((PACKAGES.parent / "samples/images/chair-00.jpg").read_bytes(), boxThreshold=0.0),
}
REFUSED: dict[str, bytes] = {
    **{name: sent for name, sent in NOT_JSON.items() if name != "too many bytes"},
    **{f"picture: {name}": body(found.make()) for name, found in UNUSABLE.items()},
    "no picture": b'{"prompt": "hats"}',
    "a text": body(inputText="hats"),
    "no prompt": body(prompt=" . "),
    "too many tokens": body(prompt="a," * 400),
    "a threshold as text": body(boxThreshold="0.3"),
    "a threshold of 2": body(textThreshold=2),
    "a box in pixels": body(box=[1, 2, 30, 40]),
    "a bucket": b'{"bucket": "shop-invoices", "file_name": "a.png"}',
    "nothing found": body(boxThreshold=1),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dino.save_grounding(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def detector(folder: Path) -> GroundingDino:
    return GroundingDino.load(folder, "cpu")


@pytest.fixture(scope="module")
def functions(folder: Path) -> Functions:
    module = handler("grounding_dino")
    return Functions(module, module.model_fn(str(folder)))


@pytest.fixture(scope="module")
def container(folder: Path) -> Iterator[TestClient]:
    with TestClient(create_package_app(Handler.load(PACKAGES / "grounding_dino" / "code", folder))) as client:
        yield client


def post(container: TestClient, sent: bytes) -> Any:
    return container.post("/invocations", content=sent, headers={"content-type": "application/json"})


def test_the_container_answers_as_the_functions_do(functions: Functions, container: TestClient) -> None:
    assert len(ANSWERED) + len(REFUSED) >= 50
    for name, sent in ANSWERED.items():
        answer = functions.answer(sent)
        keys = set(answer)
        if "crop" in keys:
            assert keys in ({"crop", "fileType", "box"}, {"crop", "fileType", "box", "score", "phrase"}), name
        else:
            assert keys == {"boxes", "scores", "phrases", "fileType"}, name
            assert len(answer["boxes"]) == len(answer["scores"]) == len(answer["phrases"]) > 1, name
            assert answer["scores"] == sorted(answer["scores"], reverse=True), name
            numbers = np.asarray(answer["boxes"], np.float32)
            assert numbers.shape[1] == 4, name
            assert ((numbers >= 0) & (numbers <= 1)).all(), name
        assert post(container, sent).json() == answer, name


def test_the_container_refuses_as_the_functions_do(functions: Functions, container: TestClient) -> None:
    for name, sent in REFUSED.items():
        said = functions.refusal(sent)
        assert said[:2] == ((413, "BodyTooLarge") if "25 MB" in name else (400, "InputRefused")), name
        assert "\n" not in said[2], name
        if name != "not UTF-8" and name != "UTF-16":  # the container decodes JSON before it calls, and fails
            answer = post(container, sent)
            assert (answer.status_code, answer.json()) == (said[0], {"code": said[1], "message": said[2]}), name


@pytest.mark.parametrize("name", UNUSABLE)
def test_pictures_are_refused_with_the_servers_codes(functions: Functions, name: str) -> None:
    odd = {"no bytes": "expected minLength: 1", "25 MB and a byte": "Request body is larger than 6291456 bytes"}
    assert odd.get(name, f"{UNUSABLE[name].refused}: ") in functions.refusal(body(UNUSABLE[name].make()))[2]


@pytest.mark.parametrize("media", ["image/png", "application/x-image", "text/plain"])
def test_other_media_types_are_refused(functions: Functions, media: str) -> None:
    assert functions.refusal(SCENE, media)[:2] == (415, "MediaTypeRefused")


def test_thresholds_lead_to_none_one_and_several(functions: Functions) -> None:
    several = functions.answer(body(boxThreshold=0))
    assert len(several["boxes"]) == 20
    first, second = several["scores"][:2]
    assert first > second
    status, _, message = functions.refusal(body(boxThreshold=first))
    assert (status, "NoObjectFound" in message) == (400, True)
    one = functions.answer(body(boxThreshold=(first + second) / 2))
    assert one["box"] == several["boxes"][0]
    assert (one["score"], one["phrase"]) == (first, several["phrases"][0])
    chosen = functions.answer(body(box=several["boxes"][0]))
    assert chosen == {name: one[name] for name in ("crop", "fileType", "box")}


def test_the_crop_is_that_of_the_box(functions: Functions) -> None:
    answer = functions.answer(body(box=[0.5, 0.5, 0.25, 0.5]))
    file = Image.open(io.BytesIO(base64.b64decode(answer["crop"])))
    assert (file.format, file.size) == ("PNG", (300, 400)) == (answer["fileType"].upper(), (300, 400))
    assert np.array_equal(np.asarray(file), crop(np.asarray(awkward.scene()), (0.5, 0.5, 0.25, 0.5)))


def test_the_recipe_says_how_crops_are_made(tmp_path: Path) -> None:
    module = handler("grounding_dino")
    made = Functions(module, module.model_fn(str(small_dino.save_grounding(tmp_path, scale=2.0, longer_side=50))))
    file = Image.open(io.BytesIO(base64.b64decode(made.answer(body(box=[0.5, 0.5, 0.25, 0.25]))["crop"])))
    assert file.size == (50, 33)


def test_several_in_one_call_are_answered_as_each_alone(functions: Functions) -> None:
    sent = list(ANSWERED.values())[:12]
    asked = [functions.module.input_fn(one, "application/json") for one in sent]
    answers = functions.module.output_fn(functions.module.predict_fn(asked, functions.model), "application/json")
    assert [json.loads(answer) for answer in answers] == [functions.answer(one) for one in sent]


def test_a_picture_in_s3_is_the_same_picture(functions: Functions) -> None:
    with buckets({"a.png": SCENE, "page.html": b"<html>"}):
        sent = json.dumps({"bucket": BUCKET, "file_name": "a.png", "boxThreshold": 0}).encode()
        assert functions.answer(sent) == functions.answer(body(boxThreshold=0))
        for bucket, key, code in ((OTHER, "a.png", "BucketNotAllowed"), (BUCKET, "b.png", "ObjectNotFound")):
            assert code in functions.refusal(json.dumps({"bucket": bucket, "file_name": key}).encode())[2]


@pytest.mark.parametrize("prompt", ["clothes . pants . hats . shoes", "running shoes . umbrellas", "sneakers"])
@pytest.mark.parametrize("size", [(96, 64), (300, 100), (50, 200)])
def test_the_model_is_asked_and_heard_as_transformers_does(
    folder: Path, detector: GroundingDino, prompt: str, size: tuple[int, int]
) -> None:
    picture = awkward.scene(*size)
    found = detector.detect(np.asarray(picture), prompt, 0.0, 0.5)
    tokenizer = BertTokenizer(tokenizer_object=None, vocab=json.loads(WORDS.read_text())["model"]["vocab"])
    looks = GroundingDinoImageProcessorPil(size={"shortest_edge": 96, "longest_edge": 160})
    model = GroundingDinoForObjectDetection.from_pretrained(folder, local_files_only=True).eval()
    given = GroundingDinoProcessor(looks, tokenizer)(images=picture, text=f"{prompt} .", return_tensors="pt")
    with torch.no_grad():
        said = model(**given)
    processor = GroundingDinoProcessor(looks, tokenizer)
    (wanted,) = processor.post_process_grounded_object_detection(said, given["input_ids"], 0.0, 0.5)
    assert len(found) == len(wanted["scores"]) == 20
    corners = center_to_corners_format(torch.tensor([detection.box for detection in found]))
    assert (corners - wanted["boxes"]).abs().max() <= 1e-5
    assert np.abs(np.asarray([one.score for one in found]) - wanted["scores"].numpy()).max() <= 1e-5
    for detection, label in zip(found, wanted["text_labels"], strict=True):
        whole = {word for word in prompt.split() if word != "."}
        assert set(detection.phrase.split()) <= whole
        assert {word for word in label.split() if word in whole} <= set(detection.phrase.split())


def test_phrases_are_whole_words_above_the_threshold() -> None:
    captions = Captioner.load(WORDS.parent, 256)
    caption = captions.caption("Red  Umbrellas.sneakers . ")
    text = ["[CLS]", "red", "umbrella", "##s", ".", "sneakers", ".", "[SEP]"]
    assert len(caption.ids) == len(text)
    assert caption.words == [None, 0, 1, 1, None, 3, None, None]

    def phrase(**shares: float) -> str:
        found = np.full(len(text), 0.1, np.float32)
        for token, share in shares.items():
            found[int(token[1:])] = share
        return caption.phrase(found, 0.25)

    assert phrase() == ""
    assert phrase(t0=0.9, t4=0.9, t6=0.9, t7=0.9) == ""  # marks and full stops are no words
    assert phrase(t3=0.26) == "umbrellas"
    assert phrase(t1=0.3, t3=0.3) == "red umbrellas"
    assert phrase(t5=0.25) == ""
    assert phrase(t5=0.3, t1=0.3) == "red sneakers"


@pytest.mark.parametrize("prompt", ["a\u0000b", "\ud800", "👟 . 👒", "e\u0301 . ﬀ", "don't . t-shirt", "İ . ẞ"])
def test_odd_letters_have_captions(prompt: str) -> None:
    caption = Captioner.load(WORDS.parent, 256).caption(prompt)
    assert len(caption.ids) == len(caption.words)
    every = caption.phrase(np.ones(len(caption.ids), np.float32), 0.5)
    assert "." not in every.split()


def test_a_long_prompt_is_refused_by_its_tokens() -> None:
    with pytest.raises(InputRefused, match="#/prompt: expected at most 10 tokens, found: 12"):
        Captioner.load(WORDS.parent, 10).caption("red " * 9)


@pytest.mark.parametrize(
    ("size", "resized"),
    [((640, 480), (1067, 800)), ((480, 640), (800, 1067)), ((4000, 1000), (1333, 333)), ((10, 10), (800, 800))],
)
def test_pictures_are_resized_to_800_and_at_most_1333(
    detector: GroundingDino, size: tuple[int, int], resized: tuple[int, int]
) -> None:
    usual = GroundingDino(detector._model, detector._captioner, type(detector.recipe)())
    assert usual._size(*size) == resized


def test_missing_files_and_foreign_weights_are_named(tmp_path: Path) -> None:
    folder = small_dino.save_grounding(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"decoder_layers": 3}))
    with pytest.raises(ValueError, match=r"model\.safetensors: lacks \d+ tensors"):
        GroundingDino.load(folder)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "model.safetensors", "config.json"):
        (folder / name).unlink()
        with pytest.raises(ValueError, match=f"{name}: no such file; put"):
            GroundingDino.load(folder)


def test_loading_asks_no_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    request = Request(np.asarray(awkward.scene()), "png")
    assert len(GroundingDino.load(folder).detect(request.image, request.prompt, 0.0, 0.5)) == 20
