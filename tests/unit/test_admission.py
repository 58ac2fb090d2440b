"""What admission lets through as it is, what it converts, what it refuses, and what that costs."""

import io
import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuralshelf.connectors.spec import ConnectorName, ConnectorSpec
from neuralshelf.frozen import Frozen
from neuralshelf.ingestion.admission import (
    DEFAULT_LIMITS,
    TEXT_ROOM,
    Admitted,
    PictureLimits,
    Refused,
    admit,
    admit_file,
    picture_limits,
)
from neuralshelf.model_packages.encoder import Sample
from neuralshelf.model_packages.lite.encoder import LiteEncoder
from neuralshelf.model_packages.server import pictures
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.settings import Folders
from tests.awkward import PICTURES, SMALL, Awkward, cut, encoded, noise, scene, turned

PROJECT = Path(__file__).resolve().parents[2]
LIMITS = PictureLimits(max_side=2048)
CONVERTED = {name: picture for name, picture in SMALL.items() if picture.becomes not in ("", "plain")}
PEAK_MB = 256


def expected(picture: Awkward) -> str:
    """`!CODE` when it has to be refused, otherwise what it becomes."""
    return f"!{picture.refused}" if picture.refused else picture.becomes


def assert_plain(data: bytes, limits: PictureLimits = LIMITS) -> None:
    """Any decoder sees one and the same in it, and every model takes it."""
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        image.load()
        assert image.mode in ("RGB", "L")
        assert getattr(image, "n_frames", 1) == 1
        assert image.getexif().get(0x0112, 1) == 1
        assert not image.has_transparency_data
        assert max(image.size) <= limits.max_side
    assert -(-len(data) // 3) * 4 <= limits.max_encoded


@pytest.mark.parametrize("name", [name for name, picture in SMALL.items() if picture.refused])
def test_a_picture_that_no_model_can_be_given_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(Refused, match=r"\Aone\.jpg: .+\Z") as caught:
        admit(SMALL[name].make(), LIMITS, "one.jpg")
    assert caught.value.code == SMALL[name].refused


@pytest.mark.parametrize("name", CONVERTED)
def test_a_converted_picture_is_plain_and_shows_what_the_model_server_sees_in_the_original(name: str) -> None:
    original = CONVERTED[name].make()
    converted = admit(original, LIMITS, name).data
    assert_plain(converted)
    before = pictures.decode(original, pictures.PictureLimits())
    after = pictures.decode(converted, pictures.PictureLimits())
    assert before.shape == after.shape
    assert np.array_equal(before, after)


def test_a_converted_picture_brings_nothing_of_the_originals_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x9286] = "a remark of the camera's owner"
    profile = b"a colour profile" * 9
    for fmt in ("JPEG", "PNG"):
        data = encoded(scene(), fmt, exif=exif, icc_profile=profile, comment=b"a remark")
        converted = admit(data, LIMITS, "one")
        assert converted.converted == "turned"
        assert b"remark" not in converted.data
        assert b"profile" not in converted.data


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_picture_goes_on_byte_for_byte(fmt: str, mode: str) -> None:
    data = encoded(scene().convert(mode), fmt)
    assert admit(data, LIMITS, "one") == Admitted(data)


def test_plain_pictures_with_metadata_go_on_byte_for_byte() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    for fmt in ("JPEG", "PNG"):
        data = encoded(scene(), fmt, exif=exif, icc_profile=b"a colour profile", progressive=True)
        assert admit(data, LIMITS, "one") == Admitted(data)


def test_all_pictures_of_the_sample_catalogue_go_on_byte_for_byte() -> None:
    files = sorted((PROJECT / "samples" / "images").glob("*.jpg"))
    assert len(files) > 400
    for file in files:
        assert admit_file(file) == Admitted(file.read_bytes())


def test_the_same_file_is_converted_to_the_same_bytes_each_time() -> None:
    for name in ("RGB with alpha", "JPEG of EXIF orientation 6"):
        assert admit(SMALL[name].make(), LIMITS, "a") == admit(SMALL[name].make(), LIMITS, "b")


def test_a_picture_that_is_too_heavy_in_base64_becomes_a_lighter_one() -> None:
    data = encoded(noise(400, 400), "PNG")
    for most, kind, side in ((700_000, b"\x89PNG", 400), (560_000, b"\xff\xd8", 400), (150_000, b"\xff\xd8", 200)):
        limits = PictureLimits(max_encoded=most)
        admitted = admit(data, limits, "noise")
        assert admitted.data.startswith(kind)
        assert_plain(admitted.data, limits)
        with Image.open(io.BytesIO(admitted.data)) as image:
            assert image.size == (side, side)
        assert admitted.converted == (None if most == 700_000 else "too many bytes")


def test_the_limit_is_that_of_base64_to_the_letter() -> None:
    data = encoded(noise(40, 40), "PNG")
    letters = -(-len(data) // 3) * 4
    assert admit(data, PictureLimits(max_encoded=letters), "one").converted is None
    assert admit(data, PictureLimits(max_encoded=letters - 1), "one").converted == "too many bytes"


def test_the_limit_is_that_of_the_longest_side_to_the_pixel() -> None:
    assert admit(encoded(scene(2048, 8), "PNG"), LIMITS, "one").converted is None
    for size in ((2049, 8), (8, 2049)):
        admitted = admit(encoded(scene(*size), "PNG"), LIMITS, "one")
        assert admitted.converted == "too many pixels"
        assert_plain(admitted.data)


def test_a_file_that_is_too_large_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    file.write_bytes(bytes(1001))
    with pytest.raises(Refused) as caught:
        admit_file(file, PictureLimits(max_bytes=1000))
    assert caught.value.code == "TooManyBytes"
    for missing in (tmp_path, tmp_path / "none.jpg"):
        with pytest.raises(Refused, match=missing.name) as caught:
            admit_file(missing)
        assert caught.value.code == "Unreadable"


def test_damage_is_found_where_decoding_the_whole_picture_finds_it() -> None:
    """A plain JPEG is decoded to an eighth of its size, which is quicker."""
    chance = random.Random(3)
    picture = scene(640, 480)
    found = 0
    for options in ({"quality": 85}, {"quality": 85, "progressive": True}, {"quality": 30, "subsampling": 0}):
        data = encoded(picture, "JPEG", **options)
        broken = [cut(data, chance.random()) for _ in range(40)]
        for _ in range(120):
            places = bytearray(data)
            for _ in range(chance.choice((1, 1, 3, 30))):
                places[chance.randrange(len(data))] = chance.choice((0, 0xFF, 0xD9, 0xDA, chance.randrange(256)))
            broken.append(bytes(places))
        for one in broken:
            codes = []
            for look in (lambda: admit(one, LIMITS, "x"), lambda: pictures.decode(one, pictures.PictureLimits())):  # noqa: B023
                try:
                    look()
                    codes.append("")
                except Refused as fault:
                    codes.append(fault.code)
                except pictures.PictureError as fault:
                    codes.append(str(fault.code))
            assert codes[0] == codes[1]
            found += bool(codes[0])
    assert found > 100


def test_nothing_but_a_refusal_comes_of_damaged_files() -> None:
    chance = random.Random(11)
    files = [picture.make() for picture in SMALL.values()]
    files = [data for data in files if 0 < len(data) < 8_000]
    outcomes: Counter[str] = Counter()
    for number in range(3_000):
        data = bytearray(files[number % len(files)])
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(min(len(data), chance.choice((60, 400, 8_000))))] = chance.randrange(256)
        try:
            assert_plain(admit(bytes(data), LIMITS, "x").data)
            outcomes["admitted"] += 1
        except Refused as fault:
            outcomes[fault.code] += 1
    assert outcomes["admitted"] > 300
    assert outcomes["DamagedPicture"] > 100


def test_several_threads_get_the_same_as_one() -> None:
    named = {name: PICTURES[name].make() for name in ("RGB with alpha", "a panorama", "a line of 70,000 pixels")}
    named |= {f"{number}": turned(number, image=scene(3000, 2000)) for number in (3, 6)}
    alone = [admit(data, LIMITS, "x") for data in named.values()]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(lambda data: admit(data, LIMITS, "x"), named.values())) == alone


ONE_AFTER_THE_OTHER = """
import resource, sys, warnings
from pathlib import Path
from neuralshelf.ingestion.admission import PictureLimits, Refused, admit_file
warnings.simplefilter("error")
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        admitted = admit_file(path, PictureLimits(max_side=2048))
        path.with_suffix(".admitted").write_bytes(admitted.data)
        print(path.name, admitted.converted or "plain", sep="\\t")
    except Refused as fault:
        print(path.name, "!" + fault.code, sep="\\t")
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, sep="\\t")
"""
# A process begins with the peak of the one that started it, so that a small one stands between.
BETWEEN = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', *sys.argv[1:]]))"


def test_a_process_that_admits_all_awkward_pictures_stays_below_256_mb(tmp_path: Path) -> None:
    names = {f"{number:02}": name for number, name in enumerate(PICTURES)}
    for number, name in names.items():
        (tmp_path / number).write_bytes(PICTURES[name].make())
    command = [sys.executable, "-c", BETWEEN, ONE_AFTER_THE_OTHER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    *rows, (_, peak) = [line.split("\t") for line in done.stdout.splitlines()]
    assert {names[number]: said for number, said in rows} == {n: expected(p) for n, p in PICTURES.items()}
    assert len(rows) >= 60
    assert int(peak) < PEAK_MB, f"{peak} MB"
    for number, said in rows:
        if not said.startswith("!"):
            assert_plain((tmp_path / f"{number}.admitted").read_bytes())


@pytest.fixture(scope="module")
def lite() -> LiteEncoder:
    """The real default model."""
    return LiteEncoder.load(Folders.default(PROJECT).cache)


def as_stored(image: Image.Image, kind: str) -> bytes:
    """A picture in a form that has to be converted."""
    match kind:
        case "turned":
            return turned(6, image=image)
        case "CMYK":
            return encoded(image.convert("CMYK"), "JPEG", quality=90)
        case "MPO":
            return encoded(image, "MPO", save_all=True, append_images=[image.reduce(2)])
        case "alpha":
            clear = image.convert("RGBA")
            clear.putalpha(image.convert("L").point(lambda value: 255 if value < 250 else 0))
            return encoded(clear, "PNG")
        case "camera":
            return turned(8, image=image.resize((2000, 1500)))
        case _:
            return encoded(image, kind)


@pytest.mark.parametrize("kind", ["turned", "CMYK", "MPO", "alpha", "camera", "WEBP", "GIF"])
def test_the_vector_of_a_converted_picture_is_that_of_the_original(lite: LiteEncoder, kind: str) -> None:
    files = sorted((PROJECT / "samples" / "images").glob("*.jpg"))[::61]
    for file in files:
        with Image.open(file) as image:
            original = as_stored(image.convert("RGB"), kind)
        admitted = admit(original, DEFAULT_LIMITS, file.name)
        assert admitted.converted
        decoded = [pictures.decode(data, pictures.PictureLimits()) for data in (original, admitted.data)]
        first, second = lite.encode([Sample(image=pixels) for pixels in decoded])
        assert first @ second >= 0.99999, f"{file.name}: {first @ second}"


class Specs(Frozen):
    """The `connectors:` part of a configuration."""

    connectors: dict[ConnectorName, ConnectorSpec]


def limits_of(*pictured: str) -> PictureLimits:
    """Limits of an index whose picture vectors come from these connectors."""
    connectors = Specs.parse(
        {
            "connectors": {
                "text": {"kind": "sagemaker-text", "endpoint": "sentences", "dimension": 384},
                "clip": {"kind": "sagemaker-clip", "endpoint": "clip", "dimension": 512},
                "serverless": {"kind": "sagemaker-clip", "endpoint": "c", "dimension": 512, "max_body": 4_000_000},
                "titan": {"kind": "bedrock-titan-multimodal"},
            }
        },
        "test",
    ).connectors
    vectors = {"words": {"connector": "text", "text": ["title"]}}
    vectors |= {f"{name}_vector": {"connector": name, "image": "image"} for name in pictured}
    index = IndexSpec.parse({"name": "shop", "fields": {"title": "text"}, "vectors": vectors}, "test")
    return picture_limits(connectors, index)


def test_the_limits_are_the_tightest_of_the_models_that_get_the_picture() -> None:
    assert limits_of("clip") == PictureLimits(max_encoded=6_291_456 - TEXT_ROOM)
    assert limits_of("serverless").max_encoded == 4_000_000 - TEXT_ROOM
    assert limits_of("titan") == PictureLimits(max_encoded=25_000_000 - TEXT_ROOM, max_side=2048)
    assert limits_of("titan", "serverless") == PictureLimits(max_encoded=4_000_000 - TEXT_ROOM, max_side=2048)
    assert limits_of() == DEFAULT_LIMITS
