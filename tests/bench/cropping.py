"""Whether a crop finds a product in a scene of several, where the whole scene does not; and crops that are indexed.

    python tests/bench/cropping.py --folder DIR      starts a deployment of its own in DIR, and stops it

Asked through the stored template, by pictures alone:
- each product of each scene (scenes.py), in the 440 pictures of the catalogue: with the whole scene, with the true box,
  with what the detector found there (a box that overlaps the true one by IoU >= 0.5), and with its view by itself;
- each view in which the detector finds exactly one thing, in the catalogue: whole, by the crop of that thing, and as
  the page does it, which takes the crop when its box has 10 to 80 % of the picture;
- each of these products by its catalogue picture, in the scenes: indexed whole, with crops of the true boxes, with
  crops as `detect --catalogue` makes them. Right is a scene with that product; a scene is listed once.
Intervals are 95 % bootstrap intervals: of the first over scenes, since products of one scene are not independent, of
the others over products.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from scenes import SAMPLES, Scene, scenes
from tabulate import tabulate
from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.ingestion.sources.crops import crop_name, cropped
from neuralshelf.local.detect import detect_file, load_detector
from neuralshelf.local.stack import Stack
from neuralshelf.model_packages.detector.evaluate import SAMPLES as KNOWN
from neuralshelf.model_packages.detector.evaluate import overlap, read
from neuralshelf.search import search
from neuralshelf.settings import Folders

ROOT = SAMPLES.parent
IOU = 0.5
TOP = 5
INDEXED = ("whole", "boxes", "detected")
RESAMPLES = 10_000
PRESELECTED = (0.1, 0.8)
"""Shares of the picture, as web/objects.js has them."""

Ask = Callable[[bytes, Sequence[str]], list[str]]
"""A picture's file and kinds -> ids of products, or of scenes, best first."""


@dataclass
class Answers:
    """Ranks of the right product, by what was asked with; 0 for none of the first five."""

    ranks: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def add(self, asked: str, scene: int, found: Sequence[str], right: set[str]) -> None:
        """Of one product of a scene."""
        rank = next((place for place, identity in enumerate(found, 1) if identity in right), 0)
        self.ranks.setdefault(asked, []).append((scene, rank))

    def row(self, asked: str) -> list[str]:
        """Number, top-1 and top-5 in percent with their intervals."""
        rows = self.ranks[asked]
        return [asked, str(len(rows)), *(_share(rows, top) for top in (1, TOP))]

    def gain(self, asked: str, base: str) -> str:
        """By how many points more of the same products are among the first five, with the interval of the pairs."""
        pairs = zip(self.ranks[asked], self.ranks[base], strict=True)
        values = [(scene, float((0 < rank <= TOP) - (0 < before <= TOP))) for (scene, rank), (_, before) in pairs]
        return f"{asked} against {base}: {_mean(values)} points in the top-5"


def _share(rows: Sequence[tuple[int, int]], top: int) -> str:
    return _mean([(scene, float(0 < rank <= top)) for scene, rank in rows])


def _mean(values: Sequence[tuple[int, float]]) -> str:
    """In percent, with its 95 % bootstrap interval over groups.

    Args:
        values: group and value.
    """
    groups: dict[int, list[float]] = {}
    for group, value in values:
        groups.setdefault(group, []).append(value)
    sums, sizes = (np.asarray([count(group) for group in groups.values()], float) for count in (sum, len))
    picks = np.random.default_rng(0).integers(0, len(groups), (RESAMPLES, len(groups)))
    low, high = np.percentile(sums[picks].sum(1) / sizes[picks].sum(1) * 100, [2.5, 97.5])
    return f"{sums.sum() / sizes.sum() * 100:.1f} ({low:.1f} to {high:.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR", help="made, and left with the pictures")
    parser.add_argument("--scenes", type=int, default=120, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    words.folder.chmod(0o755)  # the engine runs as another user when this one is root
    made = list(scenes(words.scenes, words.seed))
    _write(words.folder, made)
    with _deployment(words.folder) as ask:
        found = _by_crop(words.folder, made, ask)
        alone = _alone(words.folder, ask)
        indexed = _indexed(made, ask)
    print(f"{len(made)} scenes (seed {words.seed}) of {sum(len(scene.placed) for scene in made)} products")
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
    headers = ("asked with", "products", "top-1, %", "top-5, %")
    print(tabulate([found.row(asked) for asked in found.ranks], headers=headers, tablefmt="github"), "\n")
    for asked in ("true box", "detector's box, else whole scene"):
        print(found.gain(asked, "whole scene"))
    print()
    print(tabulate([alone.row(asked) for asked in alone.ranks], headers=headers, tablefmt="github"), "\n")
    headers = ("scenes indexed", *headers[1:])
    print(tabulate([indexed.row(asked) for asked in indexed.ranks], headers=headers, tablefmt="github"))
    return 0


def _by_crop(folder: Path, made: Sequence[Scene], ask: Ask) -> Answers:
    found = Answers()
    detector = load_detector(Folders.default(folder).cache)
    kinds = _kinds()
    for number, scene in enumerate(tqdm(made, desc="scenes", disable=not sys.stderr.isatty())):
        picture = _picture(folder, number)
        file = picture.read_bytes()
        whole = ask(file, kinds)
        objects = detect_file(picture, detector=detector).objects
        for placed in scene.placed:
            right = {placed.product}
            by_box = ask(cropped(file, placed.box, picture.name), kinds)
            near = max(objects, key=lambda one: overlap(one.box, placed.box), default=None)
            known = "kind known to the detector" if placed.kind in KNOWN else "other kinds"
            found.add("view by itself", number, ask((SAMPLES / placed.view).read_bytes(), kinds), right)
            found.add("whole scene", number, whole, right)
            found.add("true box", number, by_box, right)
            by_detector = whole
            if near is not None and overlap(near.box, placed.box) >= IOU:
                by_detector = ask(cropped(file, near.box, picture.name), kinds)
                found.add(f"detector's box where it found one, {known}", number, by_detector, right)
                found.add(f"whole scene, these products, {known}", number, whole, right)
            found.add("detector's box, else whole scene", number, by_detector, right)
            if placed.kind in KNOWN:
                found.add(f"whole scene, {known}", number, whole, right)
                found.add(f"true box, {known}", number, by_box, right)
                found.add(f"detector's box, else whole scene, {known}", number, by_detector, right)
    return found


def _alone(folder: Path, ask: Ask) -> Answers:
    found = Answers()
    detector = load_detector(Folders.default(folder).cache)
    kinds = _kinds()
    products = {row["id"]: number for number, row in enumerate(read(SAMPLES / "catalogue.jsonl"))}
    for view in tqdm(read(SAMPLES / "views.jsonl"), desc="views", disable=not sys.stderr.isatty()):
        path = SAMPLES / view["image"]
        objects = detect_file(path, detector=detector).objects
        if len(objects) != 1:
            continue
        file, box = path.read_bytes(), objects[0].box
        whole, crop = ask(file, kinds), ask(cropped(file, box, path.name), kinds)
        by_page = crop if PRESELECTED[0] <= box[2] * box[3] <= PRESELECTED[1] else whole
        for asked, answer in (("one thing: whole view", whole), ("its crop", crop), ("as the page does it", by_page)):
            found.add(asked, products[view["id"]], answer, {view["id"]})
    return found


def _indexed(made: Sequence[Scene], ask: Ask) -> Answers:
    found = Answers()
    products = {placed.product: placed.kind for scene in made for placed in scene.placed}
    for number, product in enumerate(tqdm(sorted(products), desc="products", disable=not sys.stderr.isatty())):
        file = (SAMPLES / "images" / f"{product}.jpg").read_bytes()
        within = {place for place, scene in enumerate(made) if product in {placed.product for placed in scene.placed}}
        for way in INDEXED:
            found.add(way, number, ask(file, [way]), {f"{way}-{place:03}" for place in within})
    return found


def _write(folder: Path, made: Sequence[Scene]) -> None:
    """Configuration, pictures, and three catalogues; crops by the detector are made by the verb."""
    config = yaml.safe_load((ROOT / "neuralshelf.yaml").read_text(encoding="utf-8"))
    config["project"] = "scenes"
    config["index"]["product"] = "product"
    config["index"]["fields"]["product"] = "keyword"
    (folder / "neuralshelf.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    shutil.copytree(ROOT / "environments", folder / "environments", dirs_exist_ok=True)
    shutil.copytree(SAMPLES / "images", folder / "images", dirs_exist_ok=True)
    (folder / "scenes").mkdir(exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {way: [] for way in INDEXED}
    for number, scene in enumerate(made):
        picture = _picture(folder, number)
        Image.fromarray(scene.image).save(picture, quality=95)
        name = str(picture.relative_to(folder))
        for way in INDEXED:
            crops = [crop_name(name, placed.box) for placed in scene.placed] if way == "boxes" else []
            rows[way].append({"id": f"{way}-{number:03}", "kind": way, "images": [name, *crops]})
    (folder / "detected-by.jsonl").write_text(_lines(rows.pop("detected")), encoding="utf-8")
    products = read(SAMPLES / "catalogue.jsonl")
    (folder / "catalogue.jsonl").write_text(_lines([*products, *rows["whole"], *rows["boxes"]]), encoding="utf-8")


@contextmanager
def _deployment(folder: Path) -> Iterator[Ask]:
    """Start it, fill it, and stop it in the end."""
    config, state = folder / "neuralshelf.yaml", folder / "state"
    environment = os.environ | {"NEURALSHELF_STATE": str(state)}

    def run(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "neuralshelf", *words], cwd=folder, env=environment, check=True)

    try:
        run("up")
        run("detect", "--catalogue", "detected-by.jsonl", "--out", "detected.jsonl")
        for catalogue in ("catalogue.jsonl", "detected.jsonl"):
            run("ingest", catalogue, "--full-speed")
        deployment = Deployment.load(config, "local")
        client = Stack(config, "local", Folders(Folders.default(folder).cache, state)).client(deployment)
        index, template = deployment.config.index.name, deployment.config.search.template

        def ask(file: bytes, kinds: Sequence[str]) -> list[str]:
            picture = base64.b64encode(file).decode()
            found = search(client, index, template, picture=picture, size=TOP, kind=list(kinds), product="product")
            return [str(hit.fields["product"]) for hit in found.hits]

        yield ask
    finally:
        run("down", "--purge")


def _kinds() -> list[str]:
    return sorted({row["kind"] for row in read(SAMPLES / "catalogue.jsonl")})


def _picture(folder: Path, number: int) -> Path:
    return folder / "scenes" / f"{number:03}.jpg"


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
