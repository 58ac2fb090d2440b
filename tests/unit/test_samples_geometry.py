"""Every product of the sample catalogue is a sound solid: finite, not collapsed, closed where light goes through it."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # the samples folder is no part of the installed package

from samples.assortment import Kind, Product, kinds, product, products
from samples.geometry import Mesh, curve, ellipsoid, extrude, fillet, lathe, ring, rounded_box, tube, wall
from samples.geometry.polygon import signed_area, triangulate
from samples.kinds import BUILDERS

TRANSPARENT = {"glass", "liquid", "tinted"}


def volume(mesh: Mesh) -> float:
    """Signed volume of a closed mesh: positive if its faces look outwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.slug)
def test_a_kind_builds_sound_parts_in_all_its_shapes(kind: Kind) -> None:
    for variant in range(4):
        item = product(kind, variant)
        parts = item.parts()
        assert parts
        for part in parts:
            mesh = part.mesh
            assert np.isfinite(mesh.vertices).all()
            assert mesh.faces.min() >= 0
            assert mesh.faces.max() < len(mesh.vertices)
            assert (mesh.areas() > 1e-12).all(), f"{item.id}: a {part.material.finish} part has collapsed faces"
            if part.material.finish in TRANSPARENT:
                assert mesh.is_closed(), f"{item.id}: a {part.material.finish} part has a hole"


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.slug)
def test_the_colour_a_product_is_named_after_covers_some_of_it(kind: Kind) -> None:
    item = product(kind, 0)
    parts = item.parts()
    body = sum(float(part.mesh.areas().sum()) for part in parts if part.material.rgb == item.design.body.rgb)
    everything = sum(float(part.mesh.areas().sum()) for part in parts)
    assert body > 0.2 * everything


def test_the_same_product_comes_out_the_same_twice() -> None:
    plant = next(item for item in products() if item.kind.noun == "plant pot")
    first, second = plant.parts(), plant.parts()
    assert all(np.array_equal(a.mesh.vertices, b.mesh.vertices) for a, b in zip(first, second, strict=True))


def test_designs_of_a_kind_differ_in_form_or_size() -> None:
    def extent(item: Product) -> tuple[float, ...]:
        points = np.vstack([part.mesh.vertices for part in item.parts()])
        return tuple(np.ptp(points, axis=0).round(4))

    vases = [item for item in products() if item.kind.noun == "vase"]
    assert len({extent(item) for item in vases}) == len(vases)


def test_every_kind_has_a_builder_and_every_builder_a_kind() -> None:
    assert {kind.noun for kind in kinds()} == set(BUILDERS)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (ellipsoid((1, 1, 1)), 4 / 3 * np.pi),
        (lathe([(0, 0), (1, 0), (1, 2), (0, 2)], 256), 2 * np.pi),
        (rounded_box((2, 3, 4), 0.001), 24),
        (extrude([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], 3), 9),
        (tube([(0, 0, 0), (0, 0, 1), (0, 0, 2)], 0.5, 128), np.pi / 2),
        (ring(2, 0, 0.1, 256), 2 * np.pi * 2 * np.pi * 0.1**2),
    ],
    ids=["ellipsoid", "lathe", "box", "prism", "tube", "ring"],
)
def test_a_solid_is_closed_and_has_its_volume(mesh: Mesh, expected: float) -> None:
    assert mesh.is_closed()
    assert abs(volume(mesh)) == pytest.approx(expected, rel=0.11)


def test_a_hole_is_noticed() -> None:
    ball = ellipsoid((1, 1, 1), 8)
    assert ball.is_closed()
    assert not Mesh(ball.vertices, ball.faces[1:]).is_closed()


def test_welding_joins_seams_and_keeps_the_surface() -> None:
    box = rounded_box((1, 1, 1))
    welded = box.welded()
    assert len(welded.vertices) < len(box.vertices)
    assert welded.areas().sum() == pytest.approx(box.areas().sum(), rel=1e-4)


def test_a_wall_keeps_its_thickness_and_starts_and_ends_on_the_axis() -> None:
    profile = wall(curve([(0, 0), (0.5, 0), (0.5, 1)], 8), 0.05)
    assert profile[0, 0] == 0
    assert profile[-1, 0] == 0
    inside = profile[np.argsort(np.abs(profile[:, 1] - 0.6))[:2], 0]
    assert abs(inside[0] - inside[1]) == pytest.approx(0.05, abs=0.01)


def test_curves_pass_their_knots_and_fillets_cut_corners() -> None:
    knots = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]
    smooth = curve(knots, 5)
    assert all(np.isclose(smooth, knot).all(axis=1).any() for knot in knots)
    assert np.linalg.norm(fillet(knots, 0.2) - np.array([1.0, 0.0]), axis=1).min() > 0.05


def test_a_concave_polygon_is_covered_once() -> None:
    arrow = np.array([(0, 0), (2, 1), (0, 2), (0.7, 1)], float)
    triangles = triangulate(arrow)
    assert sum(abs(signed_area(arrow[t])) for t in triangles) == pytest.approx(abs(signed_area(arrow)))


def test_a_polygon_that_crosses_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="cross itself"):
        triangulate(np.array([(0, 0), (2, 2), (2, 0), (0, 2), (1, 5)], float)[[0, 1, 3, 2, 0, 3]])
