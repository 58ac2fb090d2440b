"""Clusters of a real index with real vectors: ids stay, what was broken off is gone on with, memory stays small."""

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

from neuralshelf import scroll
from neuralshelf.errors import EngineError
from neuralshelf.personalisation import clusters, documents, groups, numbering
from neuralshelf.personalisation.clusters import Clusters
from neuralshelf.pipelines.clusters import Centroids
from tests.engine.personalisation.conftest import INDEX, VECTOR, Shelf


@pytest.fixture
def filled(shelf: Shelf) -> Shelf:
    """The whole catalogue, without clusters."""
    shelf.empty()
    shelf.index(list(shelf.documents))
    return shelf


def split(shelf: Shelf, seed: int) -> tuple[list[str], list[str]]:
    """Nine tenths of the catalogue, and the rest."""
    ids = list(shelf.documents)
    random.Random(seed).shuffle(ids)
    return ids[len(ids) // 10 :], ids[: len(ids) // 10]


def moved(shelf: Shelf, seed: int, k: int | None) -> float:
    """The share of products that keep their cluster when a tenth more is indexed and clusters are found again."""
    first, rest = split(shelf, seed)
    shelf.empty()
    shelf.index(first)
    found = shelf.cluster(seed=seed, k=k)
    before = shelf.numbers()
    shelf.index(rest)
    again = shelf.cluster(seed=seed)
    after = shelf.numbers()
    kept = sum(after[each] == before[each] for each in first) / len(first)
    assert (again.k, again.chosen, again.changes and again.changes.new) == (found.k, "before", ())
    assert again.kept == pytest.approx(kept)
    assert None not in after.values()
    assert len(after) == len(shelf.documents)
    return kept


def test_with_a_tenth_of_new_products_nineteen_of_twenty_keep_their_cluster(shelf: Shelf) -> None:
    assert moved(shelf, 0, None) >= 0.95


@pytest.mark.extended
@pytest.mark.parametrize("seed", range(1, 11))
def test_so_it_is_with_other_tenths_and_numbers_of_clusters(shelf: Shelf, seed: int) -> None:
    assert moved(shelf, seed, (8, 16, None)[seed % 3]) >= 0.95


def test_the_numbers_are_those_of_the_file_and_are_told_with_what_is_typical(filled: Shelf) -> None:
    found = filled.cluster(k=8, seed=3)
    kept = Centroids.read(filled.file)
    assert kept is not None
    vectors = np.array([each[VECTOR] for each in filled.documents.values()], np.float32)
    places, cosines = Clusters.of(kept).nearest(vectors)
    ids = list(filled.documents)
    expected = {identity: kept.ids[place] for identity, place in zip(ids, places.tolist(), strict=True)}
    assert filled.numbers() == expected
    assert (found.documents, found.written, found.chosen) == (len(ids), len(ids), "given")
    assert found.changes is None
    sizes = Counter(expected.values())
    for group in found.groups:
        mine = [identity for identity in ids if expected[identity] == group.id]
        assert group.documents == sizes[group.id]
        assert group.share == pytest.approx(len(mine) / len(ids))
        by_cosine = sorted(mine, key=lambda identity: -cosines[ids.index(identity)])
        assert [one.id for one in group.nearest] == by_cosine[: len(group.nearest)]
        assert {one.id for one in group.random} <= set(mine) - set(by_cosine[: len(group.nearest)])
        assert all(one.text == filled.documents[one.id]["title"] for one in (*group.nearest, *group.random))
        for common in group.common:
            count = sum(filled.documents[identity][common.field] == common.value for identity in mine)
            assert common.share == pytest.approx(count / len(mine))
        assert len(group.near) == 3
        assert group.id not in {near.id for near in group.near}
    kinds = {group.common[0].field for group in found.groups if group.common}
    assert "kind" in kinds
    assert "image_path" not in {common.field for group in found.groups for common in group.common}
    assert filled.cluster(assign=True).written == 0


def test_what_has_no_vector_is_counted_with_its_cause(filled: Shelf) -> None:
    filled.client.index(index=INDEX.name, id="nothing", body={"colour": "red"})
    filled.client.index(index=INDEX.name, id="failed", body={"title": "not embedded"}, refresh=True)
    found = filled.cluster(k=4)
    assert (found.without.documents, found.without.empty) == (2, 1)
    assert set(found.without.examples) == {"nothing", "failed"}
    assert filled.numbers()["failed"] is None


def test_what_was_broken_off_is_gone_on_with(filled: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception):
        pass

    def breaking(self: groups.Tally, *words: Any) -> None:
        add(self, *words)
        if self.sizes.total() == 300:
            raise Broken

    add = groups.Tally.add
    monkeypatch.setattr(documents, "PAGE", 100)
    with monkeypatch.context() as patched:
        patched.setattr(groups.Tally, "add", breaking)
        with pytest.raises(Broken):
            filled.cluster(k=6)
    kept = Centroids.read(filled.file)
    done = sum(number is not None for number in filled.numbers().values())
    assert 100 <= done < 300
    again = filled.cluster(assign=True)
    assert again.written == len(filled.documents) - done
    assert Centroids.read(filled.file) == kept
    assert None not in filled.numbers().values()


def test_a_dry_run_writes_nothing(filled: Shelf) -> None:
    assert filled.cluster(k=4, dry_run=True).written == len(filled.documents)
    assert set(filled.numbers().values()) == {None}
    assert not filled.file.exists()


def test_clusters_found_anew_say_which_are_new_and_which_are_gone(filled: Shelf) -> None:
    filled.cluster(k=6)
    more = filled.cluster(k=9)
    assert more.changes is not None
    assert (len(more.changes.kept), len(more.changes.new), len(more.changes.gone)) == (6, 3, 0)
    fewer = filled.cluster(k=4)
    assert fewer.changes is not None
    assert (len(fewer.changes.kept), len(fewer.changes.new), len(fewer.changes.gone)) == (4, 0, 5)
    assert set(fewer.changes.kept) == {group.id for group in fewer.groups}


def test_of_more_vectors_than_are_fitted_the_same_ones_are_drawn(
    filled: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_FITTED", 100)
    reader = documents.Documents(filled.client, INDEX.name, VECTOR)
    sample = reader.sample(1)
    assert sample.shape == (100, 384)
    np.testing.assert_array_equal(sample, reader.sample(1))
    assert not np.array_equal(sample, reader.sample(2))
    np.testing.assert_array_equal(sample, replace(reader, alone=True).sample(1))
    rows = {tuple(np.array(each[VECTOR], np.float32).tolist()) for each in filled.documents.values()}
    assert {tuple(row) for row in sample.tolist()} <= rows


def test_memory_does_not_grow_with_the_index(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading, counting and updating, of a stand-in for an index that gives the same page again and again."""
    some = list(shelf.documents.values())[:200]

    def pages(*words: Any, **more: Any) -> Iterator[list[dict[str, Any]]]:
        for number in range(repeats):
            yield [{"_id": f"{n}-{number}", "_source": dict(each)} for n, each in enumerate(some)]

    monkeypatch.setattr(documents, "pages", pages)
    numbers = clusters.fit(np.array([each[VECTOR] for each in some], np.float32), 5)
    reader, peaks = documents.Documents(shelf.client, INDEX.name, VECTOR), []
    for repeats in (5, 50):
        tally = groups.Tally("title", "image_path", ("kind", "colour"))
        tracemalloc.start()
        count = sum(1 for _ in numbering._updates(reader, "cluster", numbers, tally, {}))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == 200 * repeats == tally.sizes.total()
    assert peaks[1] < 1.3 * peaks[0]


def test_what_is_gone_is_counted_and_what_is_refused_is_one_line(filled: Shelf) -> None:
    reader = documents.Documents(filled.client, INDEX.name, VECTOR)
    there = next(iter(filled.documents))
    assert reader.write([({"_id": there}, {"cluster": "7"}), ({"_id": "gone"}, {"cluster": "7"})]) == (1, 1)
    assert filled.numbers()[there] == "7"
    with pytest.raises(
        EngineError, match=rf"document {there} of clustered can't be written: .*; next: .*cluster apply"
    ):
        reader.write([({"_id": there}, {"nothing": 1})])


def test_a_reading_that_the_cluster_gives_up_is_one_line(filled: Shelf, client: OpenSearch) -> None:
    reading = scroll.pages(client, INDEX.name, {"query": {"match_all": {}}, "_source": False}, "read", size=100)
    assert len(next(reading)) == 100
    client.clear_scroll(body={"scroll_id": "_all"})
    with pytest.raises(EngineError, match=r"index clustered can't be read: .*; next: neuralshelf doctor, then again"):
        next(reading)


def test_an_index_that_is_not_there_or_is_closed_is_one_line(shelf: Shelf, client: OpenSearch) -> None:
    gone = documents.Documents(client, "nothing-here", VECTOR)
    with pytest.raises(EngineError, match=r"there is no index nothing-here; next: neuralshelf apply, then ingest"):
        next(gone.pages((), "read"))
    shelf.empty()
    client.indices.close(index=INDEX.name)
    with pytest.raises(EngineError, match=r"index clustered can't be read: .*closed"):
        next(documents.Documents(client, INDEX.name, VECTOR).pages((), "read"))
