"""From end to end: documents through the ingest pipeline, queries through the search pipeline, vectors as kept."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from opensearchpy import TransportError

from neuralshelf.client import reason
from neuralshelf.connectors.probe import TEXT, picture
from neuralshelf.pipelines.stamps import picture_field
from neuralshelf.provision.objects.index import documents
from neuralshelf.provision.spaces import SAME, Space, agreement
from neuralshelf.provision.verify.check import Check
from neuralshelf.provision.verify.subject import Subject
from neuralshelf.provision.verify.wiring import APPLY, MIGRATE
from neuralshelf.resource import Kind

Json = Any

QUERY_HITS = 5
ATTEMPTS = 3
"""Somebody may write between the two searches that are compared."""
SCORE_TOLERANCE = 1e-3
"""The stored vector is rounded to half precision, which moves a score by far less."""

NAMED = 5

_REINDEX = f"ingest these documents again; if there are many, {MIGRATE}"


def check_documents_in(subject: Subject) -> Iterator[Check]:
    """Documents with the known text or the known picture, through the pipeline that all documents go through."""
    for field, vector in subject.index.vectors.items():
        kept = subject.spaces.get(field)
        if kept is None:
            continue
        given: dict[str, tuple[Json, Space]] = {}
        if vector.text and kept.text is not None:
            given["text"] = ({vector.text[0]: TEXT}, Space(kept.text, None))
        if vector.image is not None and kept.image is not None:
            given["image"] = ({vector.image: picture()}, Space(None, kept.image))
        for key, (document, expected) in given.items():
            yield _document_in(subject, field, key, document, expected)


def _document_in(subject: Subject, field: str, key: str, document: Json, expected: Space) -> Check:
    name, of = "document-to-vector", f"{subject.index_address}, {field}"
    source, fault = _simulate(subject, [document])[0]
    if fault:
        return Check(name, of, False, f"a document with the known {key} is refused: {fault}", "neuralshelf doctor")
    made = _vector(source.get(field))
    if made is None:
        return Check(name, of, False, f"a document with the known {key} gets no {field}", APPLY)
    found = agreement(Space(made, None) if key == "text" else Space(None, made), expected)
    told = f"a document with the known {key} gets a vector at cosine {found:.5f} to the one that the index keeps"
    return Check(name, of, found >= SAME, told, "" if found >= SAME else f"{APPLY}; if that changes nothing, {MIGRATE}")


def check_queries(subject: Subject) -> Iterator[Check]:
    """A `neural` query that names no model scores documents as a `knn` query with the stored vector does."""
    name = "query-to-vector"
    for field, vector in subject.index.vectors.items():
        kept = subject.spaces.get(field)
        if kept is None:
            continue
        of = f"{subject.index_address}, {field}"
        documents = [str(hit["_id"]) for hit in _sample(subject, [field], QUERY_HITS)]
        if not documents:
            yield Check(name, of, None, "no document has this vector: nothing to score")
            continue
        if kept.text is not None:
            yield _query(subject, name, of, field, documents, {"query_text": TEXT}, kept.text)
        if kept.image is not None and vector.image is not None:
            yield _query(subject, name, of, field, documents, {"query_image": picture()}, kept.image)


def _query(
    subject: Subject, name: str, of: str, field: str, documents: list[str], question: Json, vector: Any
) -> Check:
    key = "text" if "query_text" in question else "picture"
    # so few documents are compared exactly: the graph of approximate search would add differences of its own
    few = {"k": len(documents), "filter": {"ids": {"values": documents}}}
    queries = (
        {"neural": {field: {**question, **few}}},
        {"knn": {field: {"vector": [float(value) for value in vector], **few}}},
    )
    for _ in range(ATTEMPTS):
        try:
            ours, theirs = (_asked(subject, query) for query in queries)
        except TransportError as fault:
            return Check(name, of, False, f"a search for the known {key} is refused: {reason(fault)}", APPLY)
        same = ours.keys() == theirs.keys()
        if same and all(abs(ours[identity] - theirs[identity]) <= SCORE_TOLERANCE for identity in ours):
            return Check(name, of, True, f"a search for the known {key} scores as its stored vector does")
    found = f"a search for the known {key} scores {_scores(ours)}, its stored vector {_scores(theirs)}"
    return Check(name, of, False, found, APPLY)


def _asked(subject: Subject, query: Json) -> dict[str, float]:
    """Document -> score, asked as a client would: by the alias, without naming a model."""
    body = {"size": QUERY_HITS, "_source": False, "query": query}
    answer = subject.client.search(index=subject.index.name, body=body)
    return {str(hit["_id"]): float(hit["_score"]) for hit in answer["hits"]["hits"]}


def check_kept(subject: Subject, sample: int) -> Iterator[Check]:
    """The text vectors of documents picked at random are what the ingest pipeline makes of these documents now.

    Catches what came by `_reindex`, a restore or partial bulk updates. Pictures are not kept, so vectors of pictures
    can't be made again. No document is without any vector.
    """
    name, of = "kept-vectors", subject.index_address
    missing = _without_vectors(subject)
    if missing:
        yield Check(name, of, False, f"documents without any vector: {missing}; they came past the pipeline", _REINDEX)
    fields = [field for field, vector in subject.index.vectors.items() if vector.text]
    if not fields:
        yield Check(name, of, None, "no vectors of texts: those of pictures can't be made again")
        return
    found = {hit["_id"]: hit["_source"] for hit in _sample(subject, fields, sample)}
    if not found:
        yield Check(name, of, None, "no document with a vector of text")
        return
    made_again = _simulate(subject, [_stripped(subject, source) for source in found.values()])
    compared, wrong, worst = 0, [], (1.0, "")
    for (identity, before), (after, fault) in zip(found.items(), made_again, strict=True):
        if fault:
            wrong.append(identity)
            worst = min(worst, (-1.0, f"{identity}: {fault}"))
            continue
        for field in fields:
            old, new = _vector(before.get(field)), _vector(after.get(field))
            if old is None or new is None or picture_field(field) in before:
                continue
            compared += 1
            cosine = agreement(Space(old, None), Space(new, None))
            if cosine < SAME:
                wrong.append(identity)
            worst = min(worst, (cosine, f"{identity}, {field}"))
    if wrong:
        some = list(dict.fromkeys(wrong))
        named = ", ".join(some[:NAMED]) + ("" if len(some) <= NAMED else f" and {len(some) - NAMED} more")
        told = f"{len(some)} of {len(found)} documents have other vectors than their texts give now: {named}"
        told += f" (cosine {worst[0]:.2f}: {worst[1]})"
        yield Check(name, of, False, told, _REINDEX)
    elif not compared:
        yield Check(name, of, None, "no document with a vector of text alone")
    else:
        told = f"{compared} vectors of {len(found)} documents made again, cosine {worst[0]:.5f} or more"
        yield Check(name, of, True, told)


def _without_vectors(subject: Subject) -> int:
    query = {"bool": {"must_not": [{"exists": {"field": field}} for field in subject.index.vectors]}}
    return documents(subject.client, subject.index.physical_name, query)


def _sample(subject: Subject, fields: Sequence[str], size: int) -> list[Json]:
    any_vector = {"bool": {"should": [{"exists": {"field": field}} for field in fields], "minimum_should_match": 1}}
    query = {"function_score": {"query": any_vector, "random_score": {}}}
    answer = subject.client.search(
        index=subject.index.physical_name, body={"size": size, "query": query}, params={"search_pipeline": "_none"}
    )
    return list(answer["hits"]["hits"])


def _stripped(subject: Subject, source: Mapping[str, Json]) -> dict[str, Json]:
    """A document as it came, less its pictures."""
    return {key: value for key, value in source.items() if key not in subject.index.made}


def _simulate(subject: Subject, documents: Sequence[Json]) -> list[tuple[Mapping[str, Json], str]]:
    """Each document as the index's pipeline leaves it, or ({}, why it is refused). Nothing is indexed."""
    pipeline = subject.settings.get("index.default_pipeline") or subject.one(Kind.INGEST_PIPELINE)[0].name
    body = {"docs": [{"_index": subject.index.physical_name, "_source": document} for document in documents]}
    try:
        answer = subject.client.ingest.simulate(id=pipeline, body=body)
    except TransportError as fault:
        return [({}, reason(fault))] * len(documents)
    made: list[tuple[Mapping[str, Json], str]] = []
    for found in answer["docs"]:
        if "doc" in found:
            made.append((found["doc"]["_source"], ""))
        else:
            made.append(({}, str(found.get("error", {}).get("reason", "no reason given"))))
    return made


def _vector(value: Json) -> Any:
    """A vector as an array; None when it is none."""
    if not isinstance(value, list) or not value or not all(isinstance(item, int | float) for item in value):
        return None
    vector = np.array(value, dtype=np.float32)
    return vector if vector.any() else None


def _scores(found: Mapping[str, float]) -> str:
    return ", ".join(f"{identity} {score:.4f}" for identity, score in sorted(found.items())[:3]) or "nothing"
