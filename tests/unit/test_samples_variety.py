"""Catalogues of any size: the same products every time, no two the same, drawn as they are described."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # the samples folder is no part of the installed package

from samples.assortment import DESIGNS_PER_KIND, Kind, kinds, product
from samples.kinds import BUILDERS, Design
from samples.many import shots
from samples.materials import linear, material
from samples.raster import Placed, Raster
from samples.scene import frame, placed
from samples.variety import FORMS, designs, near_twins, order, styled
from samples.views import catalogue_view, mobile_views, second_catalogue_view


def kind(noun: str) -> Kind:
    return next(kind for kind in kinds() if kind.noun == noun)


@pytest.fixture(scope="module")
def raster() -> Raster:
    moderngl = pytest.importorskip("moderngl", reason="the rasteriser needs moderngl")
    try:
        return Raster(96)
    except (moderngl.Error, OSError, ValueError) as error:
        pytest.skip(f"the rasteriser needs an EGL library: {error}")


@pytest.mark.parametrize("noun", ["vase", "tennis ball", "bookcase"])
def test_a_kind_has_hundreds_of_designs_and_none_twice(noun: str) -> None:
    found = designs(kind(noun), 260)
    assert len({item.key for item in found}) == len({item.id for item in found}) == 260
    assert min(item.variant for item in found) >= DESIGNS_PER_KIND
    assert near_twins(found) < 0.1 * len(found)


def test_a_catalogue_begins_like_a_smaller_one_and_has_all_kinds_alike() -> None:
    small, large = list(order(kinds(), 100)), list(order(kinds(), 500))
    assert [item.key for item in large[:100]] == [item.key for item in small]
    numbers = [sum(item.kind.noun == kind.noun for item in large) for kind in kinds()]
    assert max(numbers) - min(numbers) <= 1


def test_more_designs_than_there_are_is_an_error() -> None:
    ball = kind("tennis ball")
    with pytest.raises(ValueError, match=r"tennis ball has [0-9]+ different designs, not 2500"):
        designs(ball, 2_500)


def test_near_twins_are_one_step_apart() -> None:
    vase = designs(kind("vase"), 40)
    words = {item.key[:-4] for item in vase}
    alone = [item for item in vase if len(words) == len(vase)]
    assert near_twins(tuple(alone)) == 0
    steps = [item.key[-4:] for item in vase]
    assert near_twins(vase) <= len(steps)
    assert near_twins(vase[:1]) == 0


@pytest.mark.parametrize("noun", sorted(FORMS))
def test_shapes_that_are_left_out_are_the_same_form(noun: str) -> None:
    """Balls are turned from shape to shape, so their distances from the middle are compared."""

    def form(shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        parts = BUILDERS[noun](Design("red", material("matte", "red"), shape, seed=1))
        points = np.vstack([part.mesh.vertices for part in parts])
        return np.sort(np.linalg.norm(points - points.mean(0), axis=1))[:: len(points) // 200]

    kept = [form(shape) for shape in FORMS[noun]]
    for shape in set(range(4)) - set(FORMS[noun]):
        assert any(len(form(shape)) == len(k) and np.allclose(form(shape), k, atol=0.02) for k in kept), shape


def test_a_style_bends_what_the_kind_builds() -> None:
    item = next(i for i in designs(kind("vase"), 40) if i.style.girth == 6 and i.style.taper == 2)
    plain = np.vstack([part.mesh.vertices for part in BUILDERS["vase"](item.design)])
    bent = np.vstack([part.mesh.vertices for part in item.parts()])
    assert np.allclose(np.ptp(bent[:, 2]), np.ptp(plain[:, 2]))
    assert np.ptp(bent[:, 0]) > 1.2 * np.ptp(plain[:, 0])


def test_the_same_product_has_the_same_parts_and_views_again() -> None:
    first, again = styled(kind("plant pot"), 77), styled(kind("plant pot"), 77)
    assert mobile_views(first, 2) == mobile_views(again, 2)
    for a, b in zip(first.parts(), again.parts(), strict=True):
        assert np.array_equal(a.mesh.vertices, b.mesh.vertices)
        assert a.material == b.material


def test_no_view_of_a_customer_is_the_catalogue_s() -> None:
    item = styled(kind("sofa"), 30)
    shown = [catalogue_view(item), second_catalogue_view(item)]
    for view in mobile_views(item, 4):
        assert all(view.light != other.light and view.backdrop != other.backdrop for other in shown)


def test_shots_have_files_of_their_own_and_training_products_are_in_no_catalogue() -> None:
    planned = list(shots(products=90, queries=44, training=20, second=10))
    assert len({shot.image for shot in planned}) == len(planned) == 90 + 2 * 44 + 10 + 3 * 20
    taught = {shot.product.id for shot in planned if shot.list == "training"}
    assert len(taught) == 20
    assert not taught & {shot.product.id for shot in planned if shot.list != "training"}


def test_the_camera_fills_the_frame_as_asked() -> None:
    item = product(kind("teapot"), 1)
    view = catalogue_view(item)
    points = np.vstack([part.mesh.vertices for part in placed(item.parts())])
    seen = frame(view, points)
    eye, target = seen.position, seen.target
    forwards = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forwards, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, forwards)
    depth = (points - eye) @ forwards
    spans = [np.ptp((points - eye) @ axis / depth) / 2 / np.tan(np.deg2rad(14)) for axis in (right, up)]
    assert max(spans) == pytest.approx(view.fill, abs=0.02)


@pytest.mark.parametrize("noun", ["teapot", "wine glass"])
def test_a_picture_shows_the_product_before_its_wall(raster: Raster, noun: str) -> None:
    item = styled(kind(noun), 12)
    ready = Placed.of(item.parts())
    pictures = [np.asarray(raster.draw(ready, view), float) for view in (catalogue_view(item), *mobile_views(item, 1))]
    for pixels in pictures:
        assert pixels.shape == (96, 96, 3)
        assert pixels[30:66, 30:66].std() > 8
    again = np.asarray(raster.draw(ready, catalogue_view(item)), float)
    assert np.array_equal(pictures[0], again)
    assert np.abs(pictures[0] - pictures[1]).mean() > 10


@pytest.mark.parametrize(("colour", "strongest"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_product_has_the_colour_it_is_called(raster: Raster, colour: str, strongest: int) -> None:
    item = next(i for i in designs(kind("vase"), 80) if i.colour == colour and not i.style.print and i.style.tint < 2)
    middle = np.asarray(raster.draw(Placed.of(item.parts()), catalogue_view(item)), float)[40:56, 40:56].mean((0, 1))
    assert int(middle.argmax()) == strongest
    assert middle[strongest] > 1.3 * np.delete(middle, strongest).max()


def test_a_print_shows_in_its_colour(raster: Raster) -> None:
    found = (i for i in designs(kind("vase"), 200) if i.style.print and i.style.print.pattern == "checks")
    item = next(i for i in found if i.style.print and i.style.print.colour == "yellow" and i.colour == "blue")
    pixels = np.asarray(raster.draw(Placed.of(item.parts()), catalogue_view(item)), float)[25:75, 25:75].reshape(-1, 3)
    yellow = (pixels[:, 0] > 1.5 * pixels[:, 2]).mean()
    blue = (pixels[:, 2] > 1.3 * pixels[:, 0]).mean()
    assert yellow > 0.1
    assert blue > 0.1
    assert linear("yellow")[2] < linear("yellow")[0]
