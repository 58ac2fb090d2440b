"""The local ranker: what is kept of people, and what they like by it."""

import os
import stat
import threading
import tracemalloc
from pathlib import Path

import pytest

from neuralshelf.model_packages.ranker.ranking import DAY, Ranker, Taste
from neuralshelf.model_packages.ranker.store import Interaction, Interactions

NOW = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Interactions:
    return Interactions(tmp_path / "kept" / "interactions.db")


def ranker(store: Interactions, **taste: float) -> Ranker:
    return Ranker(store, Taste(**taste), lambda: NOW)  # type: ignore[arg-type]


def did(user: str, item: str, event: str = "view", days_ago: float = 1.0) -> Interaction:
    return Interaction(user, item, event, NOW - days_ago * DAY)


def order(ranker: Ranker, user: str, *items: str) -> list[str]:
    return [item for item, _ in ranker.rank(user, items)]


def test_an_interaction_is_there_once_however_often_it_is_added(store: Interactions) -> None:
    rows = [did("ann", "mug"), did("ann", "mug"), did("ben", "mug")]
    assert store.add(rows) == 2
    assert store.add(rows) == 0
    assert store.summary().interactions == 2
    assert store.summary().users == 2


def test_one_that_can_not_be_kept_leaves_all_others_out(store: Interactions) -> None:
    with pytest.raises(Exception, match="NOT NULL"):
        store.add([did("ann", "mug"), Interaction(None, "mug", "view", NOW)])  # type: ignore[arg-type]
    assert store.summary().interactions == 0


def test_what_is_forgotten_is_in_no_file_any_more(store: Interactions, tmp_path: Path) -> None:
    store.add([did("canary-user-77", f"item-{n}", days_ago=n) for n in range(2_000)] + [did("ben", "mug")])
    files = [path for path in (tmp_path / "kept").iterdir() if not path.name.endswith("-shm")]
    assert any(b"canary-user-77" in path.read_bytes() for path in files)
    assert store.forget("canary-user-77") == 2_000
    assert store.forget("canary-user-77") == 0
    assert not any(b"canary-user-77" in path.read_bytes() for path in files)
    assert store.summary().interactions == 1


def test_all_are_read_one_after_another_while_others_come_and_go(store: Interactions, tmp_path: Path) -> None:
    store.add(did(f"user-{n % 100:02}", f"item-{n % 7}", days_ago=n / 1000) for n in range(30_000))
    tracemalloc.start()
    try:
        reading = store.everything()
        users = [next(reading).user]
        assert store.forget("user-50") == 300
        assert store.add([did("zoe", "mug")]) == 1
        users += [one.user for one in reading]
        assert tracemalloc.get_traced_memory()[1] < 4_000_000  # all rows at once are 8 MB
    finally:
        tracemalloc.stop()
    assert users == sorted(users)
    assert len(users) == 30_000  # as they were when reading began
    assert not any(b"user-50" in path.read_bytes() for path in (tmp_path / "kept").iterdir() if "-shm" not in path.name)
    assert [one.user for one in store.everything()][-1] == "zoe"
    assert sum(1 for _ in store.everything(since=NOW - 10 * DAY)) < 20_000


def test_old_ones_are_pruned_and_only_they(store: Interactions) -> None:
    store.add([did("ann", "mug", days_ago=400), did("ann", "vase", days_ago=10)])
    assert store.prune(NOW - 365 * DAY) == 1
    assert [one.item for one in store.of_user("ann", 10)] == ["vase"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_its_owner_can_read_it(store: Interactions, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "kept" / "interactions.db").stat().st_mode) == 0o600


def test_two_writers_at_once_lose_nothing(store: Interactions, tmp_path: Path) -> None:
    other = Interactions(tmp_path / "kept" / "interactions.db")

    def write(to: Interactions, user: str) -> None:
        for number in range(50):
            to.add([did(user, f"item-{number}")])

    threads = [threading.Thread(target=write, args=pair) for pair in ((store, "ann"), (other, "ben"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.summary().interactions == 100


def test_somebody_unknown_likes_everything_alike_in_the_order_of_the_question(store: Interactions) -> None:
    store.add([did("ann", "mug", "purchase")])
    ranked = ranker(store).rank("nobody", ["vase", "mug", "sofa", "mug"])
    assert [item for item, _ in ranked] == ["vase", "mug", "sofa"]
    assert len({score for _, score in ranked}) == 1


def test_scores_sum_to_one_and_what_was_done_more_comes_first(store: Interactions) -> None:
    store.add([did("ann", "mug"), did("ann", "vase", "purchase"), did("ann", "vase", days_ago=2)])
    ranked = ranker(store).rank("ann", ["sofa", "mug", "vase"])
    assert [item for item, _ in ranked] == ["vase", "mug", "sofa"]
    assert sum(score for _, score in ranked) == pytest.approx(1)


def test_newer_things_weigh_more_and_those_of_the_session_most(store: Interactions) -> None:
    store.add([did("ann", "old", days_ago=90), did("ann", "new", days_ago=1)])
    assert order(ranker(store), "ann", "old", "new") == ["new", "old"]
    store.add([did("ann", "old", days_ago=n / 1000) for n in range(2)])
    assert order(ranker(store), "ann", "old", "new") == ["old", "new"]


def test_what_others_liked_together_counts_for_each_other(store: Interactions) -> None:
    for user in ("ben", "cleo", "dora"):
        store.add([did(user, "teapot"), did(user, "cup")])
        store.add([did(user + "2", "drum")])
    store.add([did("ann", "teapot")])
    assert order(ranker(store), "ann", "drum", "cup") == ["cup", "drum"]
    assert order(ranker(store, together=0), "ann", "drum", "cup") == ["drum", "cup"]


def test_little_is_believed_little(store: Interactions) -> None:
    store.add([did("once", "mug")])
    store.add([did("often", "mug", days_ago=n) for n in range(1, 30)])
    scores = {user: dict(ranker(store).rank(user, ["mug", "vase"])) for user in ("once", "often")}
    assert 0.5 < scores["once"]["mug"] < scores["often"]["mug"]


def test_what_is_disliked_is_below_what_is_unknown_by_itself_never_negative(store: Interactions) -> None:
    store.add([did("ann", "mug", "dislike"), did("ann", "vase")])
    ranked = dict(ranker(store).rank("ann", ["mug", "vase"]))
    assert 0 < ranked["mug"] < ranked["vase"]


def test_the_next_ranking_knows_what_just_happened(store: Interactions) -> None:
    asked = ranker(store)
    assert order(asked, "ann", "vase", "mug") == ["vase", "mug"]
    store.add([did("ann", "mug", days_ago=0)])
    assert order(asked, "ann", "vase", "mug") == ["mug", "vase"]


def test_nothing_to_rank_is_nothing(store: Interactions) -> None:
    assert ranker(store).rank("ann", []) == []
