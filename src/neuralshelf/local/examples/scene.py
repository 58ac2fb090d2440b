"""A picture of several products: objects are found, cropped, and each is searched for by itself."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from neuralshelf.errors import InputError, MissingDependencyError
from neuralshelf.local.detect import detect_file, load_detector
from neuralshelf.local.examples.parts import Asking, Rows, Told
from neuralshelf.local.examples.spec import Scene
from neuralshelf.search import Hit
from neuralshelf.tables import hits_table


def scene(asking: Asking, spec: Scene, rows: Rows, pictures: Path, work: Path, cache: Path) -> Told:
    """Search by the whole picture, then by each object in it; without a detector the former alone.

    Args:
        pictures: folder of the catalogue's pictures.
        work: where the scene and its crops are written, to be looked at.
        cache: where the detector's network is kept.

    Raises:
        InputError: a product of the scene is not in the catalogue.
    """
    path = compose(spec.products, rows, pictures, work / "scene.jpg")
    whole = asking.ask(image=path)
    lines = [f"{path}, as a whole\n{hits_table(whole)}"]
    data: dict[str, Any] = {"file": str(path), "whole": _ids(asking, whole), "objects": []}
    try:
        found = list(_objects(path, spec.prompt, cache))
    except MissingDependencyError as fault:
        note = f"no object is looked for: {fault.message}; next: {fault.hint}"
        return Told("scene", "\n\n".join([*lines, note]), data | {"note": note})
    for number, (phrase, score, crop) in enumerate(found, start=1):
        file = work / f"object-{number}.jpg"
        file.write_bytes(crop)
        hits = asking.ask(image=file)
        lines.append(f"{file.name}: {phrase} ({score:.2f})\n{hits_table(hits)}")
        data["objects"].append({"phrase": phrase, "score": score, "file": str(file), "products": _ids(asking, hits)})
    first_five = {product for each in data["objects"] for product in each["products"]}
    missed = tuple(f"{path.name}: no object finds {product}" for product in spec.find if product not in first_five)
    return Told("scene", "\n\n".join(lines), data, missed)


def compose(products: Sequence[str], rows: Rows, pictures: Path, path: Path) -> Path:
    """The catalogue's pictures side by side, each with its background, as a JPEG.

    Raises:
        InputError: a product is not in the catalogue.
    """
    images: Mapping[str, str] = {str(row["id"]): str(row["image"]) for row in rows}
    unknown = [product for product in products if product not in images]
    if unknown:
        raise InputError(f"scene: no product {unknown[0]!r} in the catalogue", hint="correct scene.products")
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = [Image.open(pictures / images[product]).convert("RGB") for product in products]
    made = Image.new("RGB", (sum(image.width for image in opened), max(image.height for image in opened)))
    left = 0
    for image in opened:
        made.paste(image, (left, 0))
        left += image.width
    made.save(path, quality=95)
    return path


def _objects(path: Path, prompt: str, cache: Path) -> Iterator[tuple[str, float, bytes]]:
    """Phrase, score and crop of each object.

    Raises:
        MissingDependencyError: there is no detector here.
    """
    found = detect_file(path, prompt, detector=load_detector(cache))
    for each in found.objects:
        yield each.phrase, each.score, found.crop(each.box)


def _ids(asking: Asking, hits: Sequence[Hit]) -> list[str]:
    return [asking.product(hit) for hit in hits]
