"""Pictures through the whole server: rotations are one picture, refusals carry their code to the caller."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.faults.addresses import listening

CLIP = "/endpoints/neuralshelf-clip/invocations"
TITAN = "/model/amazon.titan-embed-image-v1/invoke"
TURNS = [
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_270,
]


def scene() -> Image.Image:
    """Something different in every corner."""
    across, down = np.meshgrid(np.linspace(0, 255, 160), np.linspace(0, 255, 96))
    return Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8))


def encoded(image: Image.Image, fmt: str, **options: Any) -> str:
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return base64.b64encode(out.getvalue()).decode()


def send(server: Any, picture: str, path: str = CLIP) -> requests.Response:
    return requests.post(server.url + path, data=json.dumps({"inputImage": picture}), timeout=30)


def vector(server: Any, picture: str) -> np.ndarray[Any, Any]:
    answer = send(server, picture)
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["embedding"])


@pytest.mark.parametrize(("fmt", "tolerance"), [("PNG", 1e-6), ("JPEG", 1e-3), ("WEBP", 1e-3)])
def test_the_eight_exif_variants_of_a_picture_give_one_vector(open_server: Any, fmt: str, tolerance: float) -> None:
    vectors = []
    for orientation, turn in enumerate(TURNS, start=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = scene() if turn is None else scene().transpose(turn)
        vectors.append(vector(open_server, encoded(stored, fmt, exif=exif, quality=95)))
    assert np.dot(vectors, vectors[0]) == pytest.approx(1, abs=tolerance)
    turned = vector(open_server, encoded(scene().transpose(Image.Transpose.ROTATE_90), fmt, quality=95))
    assert np.dot(turned, vectors[0]) < 1 - 10 * tolerance


def test_line_breaks_in_base64_change_nothing(open_server: Any) -> None:
    plain = encoded(scene(), "JPEG")
    broken = base64.encodebytes(base64.b64decode(plain)).decode()
    np.testing.assert_array_equal(vector(open_server, plain), vector(open_server, broken))


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        ("http://169.254.169.254/latest/meta-data", "UrlNotFetched"),
        ("data:image/png;base64,AAAA", "InvalidBase64"),
        ("_-_-", "InvalidBase64"),
        (base64.b64encode(b"<svg/>").decode(), "UnsupportedFormat"),
        (encoded(scene(), "TIFF"), "UnsupportedFormat"),
        (encoded(scene(), "JPEG")[:-400], "TruncatedPicture"),
        (encoded(Image.new("1", (7000, 7000)), "PNG"), "TooManyPixels"),
    ],
)
def test_a_refused_picture_carries_its_code_to_the_caller(open_server: Any, picture: str, code: str) -> None:
    sagemaker = send(open_server, picture)
    assert (sagemaker.status_code, sagemaker.json()["OriginalStatusCode"]) == (424, 400)
    assert f"#/inputImage: {code}: " in sagemaker.json()["OriginalMessage"]
    bedrock = send(open_server, picture, TITAN)
    assert bedrock.status_code == 400
    assert f"#/inputImage: {code}: " in bedrock.json()["message"]


def test_titan_takes_fewer_pixels_than_our_own_endpoint(open_server: Any) -> None:
    picture = encoded(Image.new("RGB", (3000, 2000), "red"), "JPEG")
    assert send(open_server, picture).status_code == 200
    assert "TooManyPixels" in send(open_server, picture, TITAN).json()["message"]


@pytest.mark.parametrize("path", [CLIP, TITAN])
def test_a_picture_that_is_an_address_is_refused_and_nothing_is_fetched(open_server: Any, path: str) -> None:
    with listening() as listener:
        for address in listener.addresses().values():
            answer = send(open_server, address, path)
            said = answer.json()
            assert (answer.status_code, said.get("OriginalStatusCode", 400)) == (424 if path == CLIP else 400, 400)
            assert "UrlNotFetched" in answer.text or "InvalidBase64" in answer.text
        assert not listener.heard()


@pytest.mark.parametrize("media", ["application/x-image", "application/x-image; a=b"])
def test_a_picture_may_be_the_whole_body(open_server: Any, media: str) -> None:
    plain = encoded(scene(), "JPEG")
    data, headers = base64.b64decode(plain), {"content-type": media}
    answer = requests.post(open_server.url + CLIP, data=data, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    default = requests.post(open_server.url + CLIP, data=json.dumps({"inputImage": plain}), timeout=30)
    np.testing.assert_array_equal(answer.json()["embedding"], default.json()["embedding"])
    refused = requests.post(open_server.url + CLIP, data=data[:100], headers=headers, timeout=30)
    assert (refused.status_code, "TruncatedPicture" in refused.text) == (424, True), refused.text
    for path in (TITAN, "/endpoints/neuralshelf-minilm/invocations"):
        other = requests.post(open_server.url + path, data=data, headers=headers, timeout=30)
        assert other.status_code in (400, 424), other.text
        assert "ontent" in other.text
