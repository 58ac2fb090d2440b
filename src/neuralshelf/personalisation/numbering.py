"""Give the documents of an index their clusters: read a vector of each, find or take clusters, write their ids."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch
from tqdm import tqdm

from neuralshelf.errors import ConfigError, InputError
from neuralshelf.personalisation import clusters
from neuralshelf.personalisation.clusters import Clusters, Quality, Vectors
from neuralshelf.personalisation.documents import Documents, Hit, Without, keywords, shown_field
from neuralshelf.personalisation.groups import Group, Tally
from neuralshelf.pipelines.clusters import Centroids, ClusterSpec
from neuralshelf.pipelines.spec import IndexSpec
from neuralshelf.scroll import REFRESH_SECONDS

PICTURE_PATH = "image_path"


@dataclass(frozen=True)
class Options:
    """How to cluster.

    Attributes:
        k: how many; None as many as there are, or if there are none, the best of several.
        seed: of every choice by chance.
        fresh: begin anew instead of where clusters are; ids go on where most documents do.
        assign: find none: number documents by the clusters that there are.
        dry_run: write nothing, neither documents nor clusters.
    """

    k: int | None = None
    seed: int = 0
    fresh: bool = False
    assign: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Changes:
    """Ids of clusters against those that there were: still there, new, gone."""

    kept: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]

    @classmethod
    def between(cls, old: Sequence[str], new: Sequence[str]) -> "Changes":
        """In the order in which they are numbered."""
        return cls(
            kept=tuple(each for each in old if each in new),
            new=tuple(each for each in new if each not in old),
            gone=tuple(each for each in old if each not in new),
        )


@dataclass(frozen=True)
class Clustered:
    """What was found and done.

    Attributes:
        documents: those in clusters.
        without: documents without the vector, which get no cluster.
        written: documents whose cluster changed; with --dry-run those that would change.
        gone: of them, those that were deleted meanwhile.
        groups: clusters that have documents, the largest first.
        file: where the clusters are kept.
        measured: numbers of clusters that were compared.
        kept: share of the documents that had a cluster and are still in it; None when none had.
        changes: of the clusters' ids; None when there were no clusters before.
        chosen: why as many: "measured", "given" by `Options.k`, as many as "before", or "kept" as they were.
    """

    index: str
    vector: str
    k: int
    seed: int
    documents: int
    without: Without
    written: int
    gone: int
    groups: tuple[Group, ...]
    file: str
    measured: tuple[Quality, ...] = ()
    kept: float | None = None
    changes: Changes | None = None
    chosen: str = "measured"

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def number_documents(
    client: OpenSearch,
    index: IndexSpec,
    spec: ClusterSpec,
    generation: str,
    file: Path,
    options: Options,
    say: Callable[[str], object],
    also: Mapping[str, int] | None = None,
) -> Clustered:
    """Give documents of the index the id of their cluster, by one of their vectors.

    Only documents whose cluster changes are written. Clusters are kept before the first of them, so that what was
    broken off is gone on with by `Options(assign=True)`.

    Args:
        generation: of the index (`Deployment.generation`): clusters are good for the vectors of one only.
        file: where clusters are kept.
        also: further fields that every document should have, with their values.

    Raises:
        ConfigError: the file holds something else, or --k and `apply` go against each other.
        InputError: there are too few vectors, no clusters to assign to, or the file can't be written.
        NeuralshelfError: the cluster can't be reached, scikit-learn is not installed.
    """
    if options.assign and (options.k is not None or options.fresh):
        raise ConfigError("cluster apply takes the clusters that there are", hint="leave out apply, or --k and --fresh")
    old = Centroids.read(file)
    if old is not None and (old.generation, old.vector) != (generation, spec.vector):
        old = None
    documents = Documents(client, index.name, spec.vector, alone=len(index.vectors) == 1)
    measured: Sequence[Quality] = ()
    if not options.assign:
        before = None if old is None else Clusters.of(old)
        found, measured = _found(documents.sample(options.seed), before, options, say)
        kept = found.keep(generation, spec.vector)
        if not options.dry_run:
            kept.write(file)
    elif old is None:
        raise InputError(f"there are no clusters of {spec.vector}, {generation}, in {file}", hint="neuralshelf cluster")
    else:
        kept = old
    numbers = Clusters.of(kept)
    tally = Tally(
        shown_field(index.fields, spec.field), PICTURE_PATH, keywords(index.fields, (spec.field,)), options.seed
    )
    updates = _updates(documents, spec.field, numbers, tally, also or {})
    if options.dry_run:
        written, gone = sum(1 for _ in updates), 0
    else:
        written, gone = documents.write(updates)
        client.indices.refresh(index=index.name, request_timeout=REFRESH_SECONDS)
    return Clustered(
        index=index.name,
        vector=spec.vector,
        k=numbers.k,
        seed=options.seed,
        documents=tally.sizes.total(),
        without=documents.without(index.vectors[spec.vector]),
        written=written,
        gone=gone,
        groups=tally.groups(numbers),
        file=str(file),
        measured=tuple(measured),
        kept=1 - tally.moved / tally.had if tally.had else None,
        changes=None if old is None else Changes.between(old.ids, numbers.ids),
        chosen="kept" if options.assign else "given" if options.k is not None else "measured" if measured else "before",
    )


def _updates(
    documents: Documents, field: str, numbers: Clusters, tally: Tally, also: Mapping[str, int]
) -> Iterator[tuple[Hit, Mapping[str, Any]]]:
    """Documents whose fields are to change, with the new values; all are counted."""
    wanted = {field, tally.shown, tally.picture, *tally.keywords, *also}
    for page in documents.pages(sorted(wanted), "assign"):
        vectors = np.array([hit["_source"].pop(documents.vector) for hit in page], np.float32)
        places, cosines = numbers.nearest(vectors)
        for hit, place, cosine in zip(page, places.tolist(), cosines.tolist(), strict=True):
            cluster, before = numbers.ids[place], hit["_source"].get(field)
            tally.add(hit, cluster, cosine, before)
            if before != cluster or any(hit["_source"].get(name) != value for name, value in also.items()):
                yield hit, {field: cluster, **also}


def _found(
    vectors: Vectors, old: Clusters | None, options: Options, say: Callable[[str], object]
) -> tuple[Clusters, Sequence[Quality]]:
    if old is not None and not options.fresh and options.k in (None, old.k):
        return clusters.refit(vectors, old, seed=options.seed), ()
    measured: Sequence[Quality] = ()
    if options.k is None:
        numbers = clusters.candidates(len(vectors))
        if not numbers:
            raise InputError(f"{len(vectors)} vectors are too few to choose a number of clusters", hint="give --k N")
        say(f"comparing {len(numbers)} numbers of clusters, {numbers[0]} to {numbers[-1]}")
        shown = tqdm(numbers, desc="measure", file=sys.stderr, disable=not sys.stderr.isatty())
        measured = clusters.measure(vectors, shown, seed=options.seed)
    k = clusters.best(measured).k if options.k is None else options.k
    found = clusters.fit(vectors, k, seed=options.seed)
    return found if old is None else clusters.renamed(found, old, vectors), measured
