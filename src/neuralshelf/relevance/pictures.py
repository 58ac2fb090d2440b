"""How good picture vectors are, on judged sets: pictures go in by `_bulk`, answers come out of `_search`."""

import base64
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch
from tqdm import tqdm

from neuralshelf.bulk import index_all
from neuralshelf.errors import InputError, SearchError
from neuralshelf.relevance import judged
from neuralshelf.relevance.judged import Item, JudgedSet
from neuralshelf.relevance.measures import accuracy, mean, per_query
from neuralshelf.relevance.run import Answer, Run
from neuralshelf.templates import render

BULK = 32
MAX_K = 10_000


class PictureEvaluator:
    """Evaluates the picture vectors of one deployment on judged sets, each in an index of its own, deleted again."""

    def __init__(
        self, client: OpenSearch, index: str, *, vector: str, picture_field: str, cosine: Callable[[float], float]
    ) -> None:
        """
        Args:
            index: the provisioned one whose mapping and pipelines the sets' indexes copy.
            cosine: of a score (`VectorSpec.cosine`).
        """
        self._client = client
        self._index = index
        self._vector = vector
        self._picture_field = picture_field
        self._cosine = cosine

    def clothing(self, folder: Path) -> dict[str, float]:
        """Ten-class accuracy: each picture belongs to the class whose query gives it the highest score."""
        found = judged.clothing(folder)
        with self._indexed(found.items) as index:
            scores = {name: self._scores(index, query.text, len(found.items)) for name, query in found.queries.items()}
        return {"pictures": len(found.items), "accuracy": accuracy(scores, _classes(found))}

    def products(self, folder: Path) -> dict[str, float]:
        """Title → picture: recall@1, @5, @10 with one right picture each."""
        found = judged.products(folder)
        with self._indexed(found.items) as index:
            run = self._run(index, found, 10)
        return {"pictures": len(found.items)} | _success("recall", run, found, (1, 5, 10))

    def sample(self, catalogue: Path) -> dict[str, float]:
        """Kind and colour in the first five, and every picture finding itself with cosine 1."""
        kinds, colours = judged.sample_kinds(catalogue), judged.sample_kinds_and_colours(catalogue)
        with self._indexed(kinds.items) as index:
            run = self._run(index, kinds, 5)
            cosines = [self._self_match(index, item) for item in tqdm(kinds.items, desc="self match", disable=_quiet())]
        found = {"pictures": float(len(kinds.items)), "queries": float(len(run))}
        found |= _success("kind ", run, kinds, (1, 5)) | _success("kind and colour ", run, colours, (1, 5))
        found["finds itself first"] = sum(c is not None for c in cosines) / len(cosines)
        found["worst self cosine"] = min(c if c is not None else -1.0 for c in cosines)
        return found

    @contextmanager
    def _indexed(self, items: Sequence[Item]) -> Iterator[str]:
        """An index like the provisioned one, filled with the pictures, deleted at the end; yields its alias.

        After Ctrl-C a bulk may wait for the model still, and would make a deleted index anew: so it asks for an alias.
        """
        name = f"neuralshelf-evaluate-{uuid.uuid4().hex[:8]}"
        body = _copy_of(self._client, self._index) | {"aliases": {name: {}}}
        self._client.indices.create(index=f"{name}-1", body=body)
        try:
            with tqdm(total=len(items), desc="index pictures", unit="doc", file=sys.stderr, disable=_quiet()) as bar:
                for start in range(0, len(items), BULK):
                    group = items[start : start + BULK]
                    documents = {i.id: {self._picture_field: _base64(i.picture)} for i in group}
                    for outcome in index_all(self._client, name, documents, _only_by_alias(documents)):
                        if outcome.error is not None:
                            raise InputError(f"{outcome.id}: {outcome.error}", hint="mend or remove this picture")
                    bar.update(len(group))
            self._client.indices.refresh(index=name)
            self._client.indices.forcemerge(index=name, max_num_segments=1)
            yield name
        finally:
            self._client.indices.delete(index=f"{name}-1", ignore_unavailable=True)

    def _run(self, index: str, found: JudgedSet, size: int) -> dict[str, list[Answer]]:
        queries = tqdm(found.queries.items(), desc="queries", disable=_quiet())
        return {
            name: [Answer(*each) for each in self._scores(index, query.text, size).items()] for name, query in queries
        }

    def _scores(self, index: str, text: str, size: int) -> dict[str, float]:
        """Document id -> score, best first."""
        return {hit["_id"]: hit["_score"] for hit in self._hits(index, {"query_text": text}, size)}

    def _self_match(self, index: str, item: Item) -> float | None:
        """Cosine of the first hit when it is the picture itself or one with the same bytes, else None."""
        first = self._hits(index, {"query_image": _base64(item.picture)}, 1)[0]
        return self._cosine(float(first["_score"])) if first["_id"] == item.id else None

    def _hits(self, index: str, query: Mapping[str, str], size: int) -> list[dict[str, Any]]:
        k = min(max(size, 100), MAX_K)
        body = render("relevance/neural.json.j2", size=size, vector=self._vector, query=query, k=k)
        answer = self._client.search(index=index, body=body)
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        if not hits:
            raise SearchError(f"index {index} has no answer to {str(query)[:80]}", hint="neuralshelf status")
        return hits


def _copy_of(client: OpenSearch, index: str) -> dict[str, Any]:
    """Body for an index with the mapping and the pipelines of `index`."""
    live = next(iter(client.indices.get(index=index).values()))
    settings = live["settings"]["index"]
    kept = {key: settings[key] for key in ("knn", "default_pipeline", "search", "number_of_shards") if key in settings}
    return {"settings": {"index": kept | {"number_of_replicas": 0}}, "mappings": live["mappings"]}


def _success(name: str, run: Run, found: JudgedSet, ranks: Sequence[int]) -> dict[str, float]:
    """Share of queries with a right picture among the first k; the recall where each query has one."""
    values = per_query(run, found.judgements, [f"Success@{k}" for k in ranks])
    return {f"{name}@{k}": mean(values[f"Success@{k}"]) for k in ranks}


def _only_by_alias(ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {identity: {"require_alias": True} for identity in ids}


def _classes(found: JudgedSet) -> dict[str, str]:
    return {item.id: str(item.facts["category"]) for item in found.items}


def _base64(picture: Path) -> str:
    return base64.b64encode(picture.read_bytes()).decode("ascii")


def _quiet() -> bool:
    return not sys.stderr.isatty()
