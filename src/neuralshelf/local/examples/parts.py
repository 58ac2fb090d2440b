"""The parts of an example: each asks the cluster and tells what it found, and what was not as the example says."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch
from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.errors import InputError
from neuralshelf.ingestion.admission import picture_limits
from neuralshelf.local.catalogue import picture
from neuralshelf.local.clusters import cluster_index
from neuralshelf.local.examples.spec import Question, Views
from neuralshelf.local.stack import Stack
from neuralshelf.personalisation.numbering import Options
from neuralshelf.search import Hit, search
from neuralshelf.tables import clusters_text, hits_table

SAME = 1e-5
"""How far from 1 the cosine of a picture to itself may be."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Told:
    """What one part found.

    Attributes:
        name: of the part, also its key in --json.
        text: for people.
        data: for programs.
        missed: what is not as the example says, a line each.
    """

    name: str
    text: str
    data: Any
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asking:
    """Searches of one deployment, by its stored template."""

    client: OpenSearch
    deployment: Deployment

    def ask(self, text: str | None = None, image: Path | None = None, size: int = 5) -> list[Hit]:
        """Hits for a text, a picture or both; with `index.product` each product once.

        Raises:
            InputError: the picture can't be taken.
        """
        config = self.deployment.config
        encoded = picture(image, picture_limits(config.connectors, config.index)) if image else None
        name, template = config.index.name, config.search.template
        return search(self.client, name, template, text=text, picture=encoded, size=size).hits

    def product(self, hit: Hit) -> str:
        """The id of a hit's product."""
        field = self.deployment.config.index.product
        return str(hit.fields[field]) if field else hit.id

    def pictured(self) -> str:
        """The only vector of pictures, whose score is the engine's own.

        Raises:
            InputError: there is none, or there are several.
        """
        found = [name for name, vector in self.deployment.config.index.vectors.items() if vector.image is not None]
        if len(found) != 1:
            raise InputError(f"{len(found)} vectors of pictures instead of one", hint="leave out self_match and views")
        return found[0]


def question(asking: Asking, asked: Question, image: Path | None) -> Told:
    """One search and its hits."""
    hits = asking.ask(asked.text, image, asked.size)
    missed = []
    if len(hits) < asked.size:
        missed.append(f"{asked.title}: {len(hits)} hits instead of {asked.size}")
    for field, values in asked.expect.items():
        others = [f"{hit.id} ({hit.fields.get(field)})" for hit in hits if str(hit.fields.get(field)) not in values]
        if others:
            missed.append(f"{asked.title}: {field} of {', '.join(others)} is not {' or '.join(values)}")
    if asked.first is not None and (not hits or hits[0].id != asked.first):
        missed.append(f"{asked.title}: the first hit is {hits[0].id if hits else 'none'}, not {asked.first}")
    data = {"title": asked.title, "hits": [{"id": hit.id, "score": hit.score, **hit.fields} for hit in hits]}
    return Told("questions", f"{asked.title}\n{hits_table(hits)}", data, tuple(missed))


def self_match(asking: Asking, rows: Rows, folder: Path) -> Told:
    """Every picture finds itself first, with cosine 1."""
    vector = asking.deployment.config.index.vectors[asking.pictured()]
    worst, lost = 1.0, []
    for row in tqdm(rows, desc="self match", unit="picture", file=sys.stderr, disable=not sys.stderr.isatty()):
        first = asking.ask(image=folder / row["image"], size=1)[0]
        cosine = vector.cosine(first.score)
        if first.id != row["id"] or abs(cosine - 1) > SAME:
            lost.append(f"{row['id']}: the first hit is {first.id} with cosine {cosine:.6f}")
        worst = min(worst, cosine)
    text = f"{len(rows) - len(lost)} of {len(rows)} pictures find themselves first; lowest cosine {worst:.7f}"
    return Told("self_match", text, {"pictures": len(rows), "lost": len(lost), "worst_cosine": worst}, tuple(lost))


def second_views(asking: Asking, views: Views, asked: Rows, folder: Path) -> Told:
    """Pictures that are not indexed find their product: rank-1 and rank-5 (a cumulative match characteristic)."""
    asking.pictured()
    rankings = {}
    for row in tqdm(asked, desc="views", unit="picture", file=sys.stderr, disable=not sys.stderr.isatty()):
        hits = asking.ask(image=folder / row["image"], size=5)
        rankings[row["image"]] = [asking.product(hit) for hit in hits]
    data: dict[str, Any] = {"asked": len(asked), "indexed": views.indexed}
    lines, missed = [f"{len(asked)} pictures of products from another side, in other light:"], []
    for rank, least in ((1, views.rank_1), (5, views.rank_5)):
        share = sum(row["id"] in rankings[row["image"]][:rank] for row in asked) / len(asked)
        low, high = wilson(share, len(asked))
        data[f"rank_{rank}"] = {"share": share, "low": low, "high": high}
        lines.append(f"  rank-{rank} {share:.3f} (95 % interval {low:.3f} to {high:.3f})")
        if share < least:
            missed.append(f"rank-{rank} is {share:.3f}, below {least:.3f}")
    repeated = [image for image, found in rankings.items() if len(set(found)) < len(found)]
    missed += [f"{image}: a product more than once" for image in repeated]
    return Told("views", "\n".join(lines), data, tuple(missed))


def wilson(share: float, number: int, z: float = 1.96) -> tuple[float, float]:
    """Score interval of a share of `number` trials; z = 1.96 covers 95 % (Wilson, "Probable inference", 1927)."""
    middle = share + z * z / (2 * number)
    half = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    scale = 1 + z * z / number
    return (middle - half) / scale, (middle + half) / scale


def numbered(stack: Stack, deployment: Deployment, field: str) -> Told:
    """The products by clusters."""
    found = cluster_index(stack, deployment, Options(field=field))
    return Told("clusters", clusters_text(found), found.as_dict())


def rows_of(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines.

    Raises:
        InputError: it can't be read.
    """
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as fault:
        raise InputError(
            f"{path} can't be read: {fault}", hint="run the example in a clone of the repository"
        ) from None
