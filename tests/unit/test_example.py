"""The examples' files fit together, and what is wrong in one is one line."""

import base64
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from neuralshelf.connectors.spec import BedrockTitanMultimodal
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, InputError
from neuralshelf.local.examples import scene as example_scene
from neuralshelf.local.examples.parts import Asking, question, wilson
from neuralshelf.local.examples.run import _views
from neuralshelf.local.examples.scene import compose
from neuralshelf.local.examples.spec import Example, ExampleSpec, Question, Scene, Views, names
from neuralshelf.search import Hit

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("name", names(EXAMPLES))
def test_an_example_is_whole(name: str) -> None:
    example = Example.load(EXAMPLES, name)
    local, aws = (Deployment.load(example.config, environment) for environment in ("local", "aws"))
    assert (local.environment.cluster.provider, aws.environment.cluster.provider) == ("embedded", "url")
    assert aws.environment.runtime.provider == "aws"
    rows = [json.loads(line) for line in example.path(example.spec.catalogue).read_text("utf-8").splitlines()]
    ids = {row["id"] for row in rows}
    for asked in example.spec.questions:
        assert asked.image is None or example.path(asked.image).is_file()
        assert asked.first is None or asked.first in ids
        for field, values in asked.expect.items():
            assert {str(row[field]) for row in rows} >= set(values)
    if example.spec.scene is not None:
        assert ids >= {*example.spec.scene.products, *example.spec.scene.find}
    readme = (example.folder / "README.md").read_text("utf-8")
    assert f"./inv example {name}\n" in readme
    assert f"./inv example {name} --environment aws\n" in readme
    assert name in (ROOT / "docs" / "systems.md").read_text("utf-8")


@pytest.mark.parametrize("name", names(EXAMPLES))
def test_every_endpoint_that_a_connector_names_is_hosted_on_aws(name: str) -> None:
    deployment = Deployment.load(EXAMPLES / name / "neuralshelf.yaml", "aws")
    connectors = deployment.config.connectors.values()
    named = {spec.endpoint for spec in connectors if not isinstance(spec, BedrockTitanMultimodal)}
    hosting = deployment.environment.hosting
    assert named <= set(hosting.endpoints if hosting else ())


def test_names_of_index_template_and_project_are_each_example_s_own() -> None:
    found = [Deployment.load(EXAMPLES / name / "neuralshelf.yaml", "local").config for name in names(EXAMPLES)]
    called = [(config.project, config.index.name, config.search.template) for config in found]
    assert all(len(set(names_of_a_kind)) == len(found) for names_of_a_kind in zip(*called, strict=True))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"catalogue": "c"}, "about: Field required"),
        ({"about": "a", "catalogue": "c", "questions": [{"size": 3}]}, "give text, image, or both"),
        (
            {"about": "a", "catalogue": "c", "self_matches": True},
            "unknown key 'self_matches'.*did you mean 'self_match'",
        ),
        ({"about": "a", "catalogue": "c", "views": {"file": "v", "rank_1": 2.0, "rank_5": 0.5}}, "views.rank_1"),
    ],
)
def test_a_wrong_file_is_one_line(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ExampleSpec.parse(spec, "example.yaml")


def test_without_examples_it_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no example 'x'.*; next: run it in a clone"):
        Example.load(tmp_path, "x")


class Canned(Asking):
    """Answers with the hits that it was given."""

    def __init__(self, *hits: Hit) -> None:
        object.__setattr__(self, "_hits", list(hits))

    def ask(self, text: str | None = None, image: Path | None = None, size: int = 5) -> list[Hit]:
        found: list[Hit] = self._hits[:size]  # type: ignore[attr-defined]
        return found

    def product(self, hit: Hit) -> str:
        return hit.id


TEAPOT, SOFA = Hit("teapot-00", 1.0, {"kind": "teapot"}), Hit("sofa-00", 0.5, {"kind": "sofa"})


@pytest.mark.parametrize(
    ("asked", "missed"),
    [
        (Question(text="t", size=2), []),
        (Question(text="t", size=2, expect={"kind": ("teapot", "sofa")}, first="teapot-00"), []),
        (Question(text="t", size=3), ['"t": 2 hits instead of 3']),
        (Question(text="t", size=2, expect={"kind": ("teapot",)}), ['"t": kind of sofa-00 (sofa) is not teapot']),
        (Question(text="t", size=1, first="sofa-00"), ['"t": the first hit is teapot-00, not sofa-00']),
    ],
)
def test_what_is_not_as_expected_is_said(asked: Question, missed: list[str]) -> None:
    told = question(Canned(TEAPOT, SOFA), asked, None)
    assert list(told.missed) == missed
    assert "teapot-00" in told.text


def test_views_of_a_product_are_indexed_or_asked_and_never_both() -> None:
    example = Example(EXAMPLES / "photo-to-product", ExampleSpec(about="a", catalogue="c"))
    rows = [{"id": "teapot-01"}, {"id": "teapot-04"}, {"id": "teapot-00"}]
    for indexed in (0, 1, 2):
        views = Views(file="../../samples/views.jsonl", indexed=indexed, rank_1=0, rank_5=0)
        known, asked = _views(views, example, rows)
        assert [len(known[row["id"]]) for row in rows] == [indexed, indexed, 0]
        assert len(asked) == 2 * (2 - indexed)
        assert not {view["image"] for view in asked} & {image for images in known.values() for image in images}


def test_intervals_are_wilson_s() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    low, high = wilson(0.0, 10)
    assert low == pytest.approx(0)
    assert high == pytest.approx(0.2775, abs=1e-4)
    assert not math.isnan(low)


def test_a_scene_is_the_pictures_side_by_side(tmp_path: Path) -> None:
    rows = [{"id": "teapot-00", "image": "images/teapot-00.jpg"}, {"id": "chair-00", "image": "images/chair-00.jpg"}]
    with Image.open(compose(("teapot-00", "chair-00"), rows, ROOT / "samples", tmp_path / "new" / "scene.jpg")) as made:
        assert made.size == (512, 256)
        left, right = made.crop((0, 0, 256, 256)), made.crop((256, 0, 512, 256))
        for half, row in ((left, rows[0]), (right, rows[1])):
            with Image.open(ROOT / "samples" / row["image"]) as own:
                pairs = zip(half.resize((8, 8)).tobytes(), own.convert("RGB").resize((8, 8)).tobytes(), strict=True)
                assert max(abs(a - b) for a, b in pairs) < 12
    with pytest.raises(InputError, match="no product 'nothing'"):
        compose(("nothing",), rows, ROOT / "samples", tmp_path / "scene.jpg")


ROWS = [{"id": "teapot-00", "image": "images/teapot-00.jpg"}]


def test_without_a_detector_the_whole_picture_is_searched_and_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "neuralshelf.model_packages.detector", None)
    spec = Scene(products=("teapot-00",), prompt="teapot", find=("teapot-00",))
    told = example_scene.scene(Canned(TEAPOT), spec, ROWS, ROOT / "samples", tmp_path, tmp_path)
    assert told.data["whole"] == ["teapot-00"]
    assert "pip install 'neuralshelf[local,detect]'" in told.data["note"]
    assert told.missed == ()


def test_each_object_is_searched_for_and_one_that_finds_nothing_of_what_it_should_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    found = [("a teapot", 0.9, file.getvalue()), ("a lid", 0.4, file.getvalue())]
    monkeypatch.setattr(example_scene, "_objects", lambda path, prompt, cache: iter(found))
    spec = Scene(products=("teapot-00",), prompt="teapot . lid", find=("teapot-00", "chair-00"))
    told = example_scene.scene(Canned(TEAPOT), spec, ROWS, ROOT / "samples", tmp_path, tmp_path)
    assert [each["products"] for each in told.data["objects"]] == [["teapot-00"], ["teapot-00"]]
    assert told.missed == ("scene.jpg: no object finds chair-00",)
    assert base64.b64encode((tmp_path / "object-2.jpg").read_bytes()) == base64.b64encode(file.getvalue())


def test_the_task_takes_a_name_and_examples_lists_them() -> None:
    def invoked(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    unknown = invoked("example", "nonesuch", "--once")
    assert (unknown.returncode, "no example 'nonesuch'" in unknown.stderr) == (2, True), unknown.stderr
    listed = invoked("examples")
    assert all(folder.name in listed.stdout for folder in (ROOT / "examples").iterdir())
