"""What the page is told about the things in a picture: none, one, several, a box of one's own, and refusals by code."""

import base64
import io
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from neuralshelf.local.detect import Detected, read_picture
from neuralshelf.model_packages.grounding_dino.contract import Detection
from neuralshelf.objects import MOST_OBJECTS, MOST_WAITING, Finder
from tests.unit.gateway import engine, served

__all__ = ["engine"]

LEFT, RIGHT = Detection((0.25, 0.5, 0.5, 1.0), 0.5, "shoes"), Detection((0.75, 0.5, 0.5, 1.0), 0.75, "mug")


class Given:
    """Finds what it is given, once `free` is set."""

    def __init__(self, found: Sequence[Detection]) -> None:
        self.found = list(found)
        self.free = threading.Event()
        self.free.set()
        self.under_way = self.most_under_way = 0

    def detect(
        self, image: NDArray[np.uint8], prompt: str, box_threshold: float, text_threshold: float
    ) -> list[Detection]:
        assert prompt == "all"
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        assert self.free.wait(20)
        self.under_way -= 1
        return self.found


@contextmanager
def page(engine: Any, *found: Detection) -> Iterator[tuple[TestClient, Given]]:
    detector = Given(found)
    with served(engine, finder=Finder(detector, "all")) as client:
        yield client, detector


def half() -> bytes:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def ask(client: TestClient, picture: bytes = half(), **more: Any) -> Any:
    return client.post("/api/objects", json={"image": base64.b64encode(picture).decode(), **more})


def test_none_one_and_several(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "half.png").write_bytes(half())
    with page(engine) as (client, _):
        assert ask(client).json() == {"objects": [], "crop": None}
    with page(engine, RIGHT) as (client, _):
        one = ask(client).json()
        assert one["objects"] == [{"box": list(RIGHT.box), "score": 0.75, "phrase": "mug"}]
        assert base64.b64decode(one["crop"]) == Detected((), read_picture(tmp_path / "half.png")).crop(RIGHT.box)
    with page(engine, LEFT, RIGHT) as (client, _):
        several = ask(client).json()
        assert [found["phrase"] for found in several["objects"]] == ["mug", "shoes"], "the best first"
        assert several["crop"] is None


def test_no_more_boxes_than_people_can_choose_from(engine: Any) -> None:
    with page(engine, *[LEFT] * 30) as (client, _):
        assert len(ask(client).json()["objects"]) == MOST_OBJECTS


def test_a_box_is_cropped_without_looking(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "half.png").write_bytes(half())
    with page(engine, LEFT, RIGHT) as (client, detector):
        found = ask(client, box=list(RIGHT.box)).json()
    assert base64.b64decode(found["crop"]) == Detected((), read_picture(tmp_path / "half.png")).crop(RIGHT.box)
    assert (found["objects"], detector.most_under_way) == ([], 0)


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({"image": "####"}, 400, "bad_picture", "InvalidBase64"),
        ({"image": "http://shop.example/a.jpg"}, 400, "bad_picture", "UrlNotFetched"),
        ({"image": base64.b64encode(b"no picture").decode()}, 400, "bad_picture", "UnsupportedFormat"),
        ({"image": base64.b64encode(half()[:60]).decode()}, 400, "bad_picture", "Picture"),
        ({}, 400, "bad_request", "image"),
        ({"image": ""}, 400, "bad_request", "image"),
        ({"image": "QUJD", "bucket": "b", "file_name": "f"}, 400, "bad_request", "bucket"),
        ({"image": "QUJD", "box": [0.5, 0.5, 0.1]}, 400, "bad_request", "box"),
        ({"image": "QUJD", "box": [0.5, 0.5, 0, 0.1]}, 400, "bad_request", "above 0"),
        ({"image": "QUJD", "box": [0.5, 0.5, 1.5, 0.1]}, 400, "bad_request", "box"),
        ({"image": "QUJD" * 1_600_000}, 413, "too_large", "too large"),
    ],
)
def test_refusals_say_why_by_code(engine: Any, body: dict[str, Any], status: int, code: str, says: str) -> None:
    with page(engine, LEFT) as (client, _):
        answer = client.post("/api/objects", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert says in answer.json()["error"]


def test_one_picture_at_a_time_and_whoever_is_too_many_is_told_at_once(engine: Any) -> None:
    detector = Given([LEFT])
    finder = Finder(detector, "all")
    with served(engine, finder=finder) as client, ThreadPoolExecutor(1 + MOST_WAITING) as people:
        detector.free.clear()
        first = [people.submit(ask, client) for _ in range(1 + MOST_WAITING)]
        while finder.asking < len(first):
            time.sleep(0.01)
        refused = ask(client)
        assert (refused.status_code, refused.json()["code"]) == (429, "busy")
        detector.free.set()
        assert [future.result().status_code for future in first] == [200] * len(first)
        assert detector.most_under_way == 1
        assert finder.asking == 0
        assert ask(client).status_code == 200


def test_the_page_knows_whether_there_is_a_detector(engine: Any) -> None:
    with page(engine) as (client, _):
        assert client.get("/api/status").json()["objects"] is True
    with served(engine) as client:
        assert client.get("/api/status").json()["objects"] is False
        assert ask(client).status_code == 404


def test_a_crop_of_a_catalogue_picture_is_shown(engine: Any) -> None:
    (engine.folder / "images" / "half.png").write_bytes(half())
    with served(engine) as client:
        answer = client.get("/pictures/key/images/half.png%23box=0.75,0.5,0.5,1")
        assert answer.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(answer.content)).convert("RGB").getextrema() == ((0, 0), (0, 0), (255, 255))
        for wrong in ("half.png%23box=1,2", "mug.jpg%23box=0.5,0.5,0.5,0.5", "page.svg%23box=0.5,0.5,0.5,0.5"):
            assert client.get(f"/pictures/key/images/{wrong}").status_code == 404
