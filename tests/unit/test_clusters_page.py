"""The page of clusters: whole in one file, escaped, with the figures of `--json`."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuralshelf.cli import main
from neuralshelf.errors import InputError
from neuralshelf.files import replacing
from neuralshelf.local.pictures import picture_file
from neuralshelf.personalisation.clusters import Clusters
from neuralshelf.personalisation.documents import Without
from neuralshelf.personalisation.groups import SHOWN, Tally
from neuralshelf.tables import clusters_text
from tests.reports import assert_harmless, clustered, clusters_page


def test_nothing_is_asked_from_anywhere_and_nothing_hostile_gets_through() -> None:
    assert_harmless(clusters_page())


def test_each_link_leads_to_a_cluster_and_each_cluster_is_shown_once() -> None:
    html = clusters_page()
    anchors = re.findall(r'<article id="(c\d+)">', html)
    assert len(anchors) == len(set(anchors)) == len(clustered().groups)
    assert set(re.findall(r'href="#([^"]*)"', html)) == set(anchors)


def test_sizes_shares_and_what_changed_are_those_that_json_tells() -> None:
    html = clusters_page()
    found = json.loads(json.dumps(clustered().as_dict()))
    assert sum(group["documents"] for group in found["groups"]) == found["documents"] == 70
    sizes = [group["documents"] for group in found["groups"]]
    assert sizes == sorted(sizes, reverse=True)
    for group in found["groups"]:
        assert f"{group['documents']} documents, {100 * group['share']:.1f} %" in html
        assert len(group["nearest"]) == min(SHOWN, group["documents"])
        assert not {one["id"] for one in group["nearest"]} & {one["id"] for one in group["random"]}
        assert [near["cosine"] for near in group["near"]] == sorted((n["cosine"] for n in group["near"]), reverse=True)
    heights = [float(height) for height in re.findall(r'style="height: ([\d.]+)%', html)]
    assert heights == pytest.approx([100 * size / sizes[0] for size in sizes], abs=0.01)
    assert f"<strong>{100 * found['kept']:.1f} %</strong>" in html
    assert "6 clusters</dd>" in html
    assert "8 documents without image_vector" in html
    assert "5 with nothing to make it from, 3 not embedded" in html
    assert html.count("data:image/jpeg;base64,") == sum(len(g["nearest"] + g["random"]) for g in found["groups"])


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("measured", "Of 3 numbers that were compared, 7 has the highest silhouette"),
        ("given", "The number was given"),
        ("before", "As many as before"),
        ("kept", "documents were assigned to them"),
    ],
)
def test_it_says_why_there_are_as_many(chosen: str, words: str) -> None:
    assert words in clusters_page(replace(clustered(), chosen=chosen))


def test_without_pictures_it_says_why() -> None:
    assert "--images DIR says where they are" in clusters_page(pictured=False)
    html = clusters_page(clustered(images=False))
    assert "documents have no image_path" in html
    assert "data:image" not in html
    assert 'class="plain"' in html


def test_a_first_or_a_dry_run_is_told_as_such() -> None:
    first = replace(clustered(), changes=None, kept=None, measured=(), without=Without(0, 0, ()))
    html = clusters_page(first, dry_run=True)
    assert "There were no clusters of these vectors before" in html
    assert "60 documents would get a new one" in html
    assert "nothing was written" in html
    assert "Every document has its image_vector" in html
    assert "How many" not in html


def test_the_table_says_it_too() -> None:
    text = clusters_text(clustered())
    assert "8 documents have no image_vector and get no cluster: 5 with nothing to make it from, 3 not embedded" in text
    assert "% of the documents that had a cluster are still in it" in text
    assert "gone: <script>" in text
    failed = clusters_text(replace(clustered(), without=Without(2, 0, ("a", "b"))))
    assert "get no cluster: 2 not embedded (neuralshelf repair) (a, b)" in failed


def test_what_a_cluster_has_in_common_is_what_it_has_more_often_than_all() -> None:
    tally = Tally("title", "image_path", ("kind", "tags", "sku", "everywhere"))
    for n in range(1_200):
        source = {
            "kind": "cup" if n % 3 == 0 else "vase",
            "tags": ["new", "red"] if n % 2 else ["red"],
            "sku": f"sku-{n}",
            "everywhere": "yes",
        }
        tally.add({"_id": str(n), "_source": source}, "cups" if n % 3 == 0 else "vases", 0.5, None)
    numbers = Clusters(np.eye(2, dtype=np.float32), ("cups", "vases"))
    groups = {group.id: group for group in tally.groups(numbers)}
    assert [(one.field, one.value, one.share) for one in groups["cups"].common] == [("kind", "cup", 1.0)]
    assert groups["cups"].common[0].overall == pytest.approx(1 / 3)
    assert "sku" not in tally._everywhere  # names, not properties: they would grow with the index


def test_pictures_are_found_below_their_catalogue_or_where_a_person_says(tmp_path: Path) -> None:
    shop, other = tmp_path / "shop", tmp_path / "other"
    for file in (shop / "images" / "1.jpg", other / "1.jpg", tmp_path / "secret.jpg"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    folders = {"key": shop}
    assert picture_file("key/images/1.jpg", folders) == (shop / "images" / "1.jpg").resolve()
    assert picture_file("nokey/images/1.jpg", folders) is None
    assert picture_file("key/../secret.jpg", folders) is None
    assert picture_file("", folders) is None
    assert picture_file("any/images/1.jpg", {}, shop) == (shop / "images" / "1.jpg").resolve()
    assert picture_file("any/images/1.jpg", folders, other) == (other / "1.jpg").resolve()
    assert picture_file("any/../secret.jpg", folders, other) is None
    assert picture_file("any/images/2.jpg", folders, other) is None


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.csv"
    with replacing(file, 0o600) as out:
        out.write("one")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("one", 0o600)

    def broken_off() -> None:
        with replacing(file) as out:
            out.write("half of an")
            raise KeyError

    with pytest.raises(KeyError):
        broken_off()
    assert file.read_text() == "one"
    assert [path.name for path in file.parent.iterdir()] == ["a.csv"]
    with pytest.raises(InputError, match=r"b can't be written: .*; next: choose another file"), replacing(file / "b"):
        pass


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--images", "."), "--images without --html"),
        (("--html", "a.html", "--images", "nowhere"), "--images nowhere is no folder"),
        (("--seed", "-1"), "--seed -1 is out of range"),
    ],
)
def test_what_is_asked_for_wrongly_is_one_line(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], cause: str
) -> None:
    assert main(["cluster", *words]) == 2
    said = capsys.readouterr().err
    assert cause in said
    assert said.count("\n") == 1
