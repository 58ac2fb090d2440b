"""What `evaluate` does on a stack: query sets asked of its live search, or of a run that was saved; built-in sets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError, InputError, NeuralshelfError
from neuralshelf.files import write_files
from neuralshelf.ingestion.admission import Refused, admit, picture_limits
from neuralshelf.local.catalogue import picture
from neuralshelf.local.detect import Detected, read_picture
from neuralshelf.local.pictures import picture_file, pixels
from neuralshelf.local.stack import Stack
from neuralshelf.relevance.clicks import Clicked, read_clicks
from neuralshelf.relevance.evaluation import Comparison, Evaluation, compare, evaluate
from neuralshelf.relevance.judgements import Judgements, read_qrels
from neuralshelf.relevance.measures import STANDARD, Measurer
from neuralshelf.relevance.pictures import PictureEvaluator
from neuralshelf.relevance.queries import Query, read_queries
from neuralshelf.relevance.report import Product, page
from neuralshelf.relevance.run import Run, folded, product_of, read_run, write_run
from neuralshelf.relevance.system import DEPTH, System


@dataclass(frozen=True)
class Asked:
    """What answers the queries: a live search, or a run that was saved.

    Attributes:
        template, params, weights: see `System.configured`.
        saved: file of a run; nothing is asked then.
        place: other configuration or environment, for people.
    """

    stack: Stack
    deployment: Deployment
    template: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    saved: Path | None = None
    place: str = ""

    def system(self, depth: int = DEPTH) -> System:
        """The live search.

        Raises:
            ServerError: the stack is not up.
        """
        config, client = self.deployment.config, self.stack.client(self.deployment)
        return System.configured(
            client,
            config.index,
            config.search,
            template=self.template,
            params=self.params,
            weights=self.weights,
            depth=depth,
        )


@dataclass(frozen=True)
class Judged:
    """A query set with its judgements; `clicks` says what they rest on when they are of a click log."""

    queries: Mapping[str, Query]
    judgements: Judgements
    clicks: Clicked | None = None

    @classmethod
    def read(cls, queries: Path, qrels: Path | None, clicks: Path | None) -> "Judged":
        """Query set and judgements from files; a query of a click log may be an id or a text.

        Raises:
            InputError: a file or a line of it can't be used.
        """
        asked = read_queries(queries)
        if clicks is not None:
            found = read_clicks(clicks, named=by_text(asked))
            return cls(asked, found.judgements, found)
        return cls(asked, read_qrels(qrels) if qrels is not None else {})


def by_text(queries: Mapping[str, Query]) -> Callable[[str], str]:
    """What a log calls a query, its id or its text (white space and case don't matter) -> its id; else as it is."""
    ids = {_plain(query.text): query.id for query in queries.values() if query.kind == "text" and not query.filters}
    return lambda name: name if name in queries else ids.get(_plain(name), name)


def evaluate_queries(
    asked: Asked,
    judged: Judged,
    against: Asked | None = None,
    *,
    measures: Sequence[str] = STANDARD,
    depth: int = DEPTH,
    save: Path | None = None,
) -> tuple[Evaluation | None, Comparison | None]:
    """Measure one system, or two on the same queries.

    Args:
        save: write the run there, before it is measured.

    Returns:
        None without judgements: then the run was only saved.
    """
    if judged.judgements:
        Measurer({"query": {"document": 1}}, measures)  # a wrong name is told before anything is asked
    runs = [(each, *_answers(each, judged, depth)) for each in (asked, against) if each is not None]
    if save is not None:
        write_run(save, runs[0][2])
    if not judged.judgements:
        return None, None
    found = [
        evaluate(name, run, judged.queries, judged.judgements, measures, unknown=_unknown(each, judged))
        for each, name, run in runs
    ]
    return found[0], compare(found[1], found[0], judged.queries) if against is not None else None


def write_page(
    file: Path,
    asked: Asked,
    judged: Judged,
    after: Evaluation,
    compared: Comparison | None,
) -> None:
    """The report as one page; titles and pictures of products come from the index and the folders of the search page.

    Raises:
        InputError: the file can't be written.
    """
    index = asked.deployment.config.index

    def products(ids: Sequence[str]) -> dict[str, Product]:
        title = next((name for name in ("title", "name") if name in index.fields), next(iter(index.fields)))
        try:
            found = asked.system().fields(ids, (title, "image_path"))
        except NeuralshelfError:  # a saved run can be shown without the index
            found = {}
        folders = asked.stack.state.picture_folders()
        return {
            key: Product(str(fields.get(title, "")), pixels(picture_file(str(fields.get("image_path", "")), folders)))
            for key, fields in found.items()
        }

    text = page(
        after,
        compared,
        judged.queries,
        judged.judgements,
        title=index.name,
        products=products,
        picture=lambda query: pixels(query.image),
        today=date.today(),
    )
    write_files({file.name: text}, file.parent)


def query_picture(query: Query, deployment: Deployment) -> str:
    """A query's picture as base64 as its models take it; of a crop, what is in its box.

    Raises:
        InputError: it can't be taken; says which query.
    """
    assert query.image is not None
    limits = picture_limits(deployment.config.connectors, deployment.config.index)
    try:
        if query.box is None:
            return picture(query.image, limits)
        return admit(Detected((), read_picture(query.image)).crop(query.box), limits, query.image.name).encoded
    except (InputError, Refused) as fault:
        cause = fault.message if isinstance(fault, InputError) else f"picture {query.image}: {fault}"
        raise InputError(f"query {query.id}: {cause}", hint="mend that picture, or leave out the query") from None


def evaluate_sets(
    stack: Stack, deployment: Deployment, *, catalogue: Path, data: Path | None
) -> dict[str, dict[str, float]]:
    """Measures of the sample catalogue, and of the judged sets below `data`, asked of the running engine."""
    index = deployment.config.index
    vector = next((name for name, made_of in index.vectors.items() if made_of.image is not None), None)
    field = next(iter(index.images), None)
    if vector is None or field is None:
        raise ConfigError("the index has no picture vector", hint="add one under index.vectors in the configuration")
    client = stack.client(deployment)
    cosine = index.vectors[vector].cosine
    evaluator = PictureEvaluator(client, index.name, vector=vector, picture_field=field, cosine=cosine)
    found: dict[str, dict[str, float]] = {}
    if catalogue.is_file():
        found["sample"] = evaluator.sample(catalogue)
    if data is not None:
        found["clothing-cc0 test"] = evaluator.clothing(data / "clothing-cc0")
        found["products-mit"] = evaluator.products(data / "products-mit")
    if not found:
        raise InputError("nothing to evaluate", hint="run in a clone with samples/, or give judged sets with --data")
    return found


def _answers(asked: Asked, judged: Judged, depth: int) -> tuple[str, Run]:
    """Name and run; products instead of documents where the index has several documents a product."""
    if asked.saved is None:
        for query in judged.queries.values():
            if query.image is not None and not query.image.is_file():
                raise InputError(f"query {query.id}: picture {query.image} does not exist", hint="correct its path")
        system = asked.system(depth)
        name = f"{system.name} ({asked.place})" if asked.place else system.name
        return name, system.run(judged.queries, lambda query: query_picture(query, asked.deployment))
    run = read_run(asked.saved)
    if asked.deployment.config.index.product is None:
        return asked.saved.name, run
    named = {item for grades in judged.judgements.values() for item in grades}
    return asked.saved.name, folded(run, lambda document: document if document in named else product_of(document))


def _unknown(asked: Asked, judged: Judged) -> list[str]:
    """Judged ids that the live index does not have."""
    if asked.saved is not None:
        return []
    ids = {item for query in judged.queries for item in judged.judgements.get(query, ())}
    return asked.system().unknown(ids)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
