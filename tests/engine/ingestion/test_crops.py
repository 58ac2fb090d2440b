"""Parts of pictures as views of a product: indexed, found, held against the catalogue, and accounted for."""

import copy
from typing import Any

import pytest
from PIL import Image

from tests.engine.ingestion.catalogues import picture, written
from tests.engine.ingestion.test_ingest import letters, stored
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import FULL, Project

LEFT, RIGHT = "#box=0.25,0.5,0.5,1", "#box=0.75,0.5,0.5,1"


@pytest.fixture
def shop(make_project: MakeProject) -> Project:
    """A project whose products have several pictures, with look.png, red on the left and blue on the right."""
    config: dict[str, Any] = copy.deepcopy(dict(FULL))
    config["index"]["fields"] |= {"sku": "keyword", "image_path": "keyword"}
    config["index"]["product"] = "sku"
    project = make_project(config)
    project.apply()
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    image.save(project.folder / "look.png")
    (project.folder / "cut.jpg").write_bytes(picture(2)[:200])
    return project


def look(*images: str) -> dict[str, Any]:
    return {"id": "look", "title": "a look", "images": list(images)}


def first(shop: Project, *words: str) -> tuple[str, Any]:
    """Id and score of the first hit of a search by a picture."""
    hit = shop.run("search", *words, "--json").json["hits"][0]
    return hit["id"], round(hit["score"], 5)


def test_crops_are_views_of_their_product_from_the_row_to_the_hit(shop: Project) -> None:
    file = written(
        shop.folder / "shop.jsonl",
        [
            look("look.png", f"look.png{LEFT}", f"look.png{RIGHT}"),
            {"id": "bad", "title": "no box", "image": "look.png#box=0.5,0.5"},
            {"id": "cut", "title": "damaged", "image": f"cut.jpg{LEFT}"},
        ],
    )
    dry = shop.run("ingest", str(file), "--dry-run", "--json", code=3).json
    done = shop.run("ingest", str(file), "--json", code=3).json
    assert dry["codes"] == done["codes"] == {"BadLine": 1, "TruncatedPicture": 1}
    assert dry["indexed"] == done["indexed"] == 3
    found = stored(shop)
    assert {identity: found[identity]["sku"] for identity in found} == dict.fromkeys(
        ("look", "look/2", "look/3"), "look"
    )
    paths = [found[identity]["image_path"] for identity in ("look", "look/2", "look/3")]
    assert [path.partition("/")[2] for path in paths] == ["look.png", f"look.png{LEFT}", f"look.png{RIGHT}"]
    assert len({tuple(document["image_vector"]) for document in found.values()}) == 3
    assert letters(shop)["cut"]["pictures"] == [f"cut.jpg{LEFT}"]
    photo = str(shop.folder / "look.png")
    assert first(shop, "--image", photo, "--box", RIGHT.removeprefix("#box=")) == ("look/3", 1.0)
    assert first(shop, "--image", photo) == ("look", 1.0)
    written(file, [look("look.png", f"look.png{LEFT}", f"look.png{RIGHT}")])
    assert shop.run("coverage", "--catalogue", str(file), "--json").json["catalogue"]["counts"] == {"same": 3}
    written(file, [look("look.png", f"look.png{RIGHT}")])
    shop.run("ingest", str(file))
    assert stored(shop).keys() == {"look", "look/2"}
    assert first(shop, "--image", photo, "--box", RIGHT.removeprefix("#box=")) == ("look/2", 1.0)
