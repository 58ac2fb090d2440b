"""The sender's rate: found on simulated clusters whose best setting is known."""

import heapq

import pytest

from neuralshelf.ingestion.tempo import GENTLE_BULK, GENTLE_WRITERS, LEAST_BULK, MOST_BULK, MOST_WRITERS, Tempo


def simulate(
    tempo: Tempo, *, seconds: float, lanes: int, per_document: float, per_bulk: float = 0.05, most: int = 10_000
) -> float:
    """Documents a second that get in: a cluster works on `lanes` bulks at once and throttles above `most` documents."""
    begin = clock = tempo._since or 0.0
    indexed = 0
    free = [clock] * lanes
    back: list[tuple[float, int, float, bool]] = []
    while clock < begin + seconds:
        while len(back) < tempo.writers:
            under_way = sum(bulk for _, bulk, _, _ in back)
            throttled = under_way + tempo.bulk > most
            start = max(clock, heapq.heappop(free))
            taken = 0.05 if throttled else per_bulk + per_document * tempo.bulk
            heapq.heappush(free, start + taken)
            heapq.heappush(back, (start + taken, tempo.bulk, start + taken - clock, throttled))
        clock, documents, taken, throttled = heapq.heappop(back)
        indexed += 0 if throttled else documents
        tempo.settled(documents, taken, throttled=throttled, now=clock)
    return indexed / seconds


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
@pytest.mark.parametrize("per_document", [0.0005, 0.005, 0.05])
def test_it_comes_within_a_tenth_of_the_best_fixed_setting(lanes: int, per_document: float) -> None:
    fixed = [
        simulate(Tempo(writers, bulk, fixed=True), seconds=300, lanes=lanes, per_document=per_document)
        for writers in (1, 2, 4, 8, 12)
        for bulk in (8, 32, 128, 512)
        if writers * bulk * per_document / lanes < 10  # a document waits 10 s for a connection, no longer
    ]
    tempo = Tempo()
    simulate(tempo, seconds=60, lanes=lanes, per_document=per_document)
    assert simulate(tempo, seconds=300, lanes=lanes, per_document=per_document) >= 0.9 * max(fixed)


def test_a_bulk_stays_far_below_the_ten_seconds_that_a_document_may_wait_for_a_connection() -> None:
    tempo = Tempo()
    simulate(tempo, seconds=120, lanes=1, per_document=0.2)
    assert tempo.bulk * 0.2 < 5


def test_throttling_halves_the_bulks_and_then_their_number() -> None:
    tempo = Tempo(writers=8, bulk=32)
    seen = []
    for number in range(8):
        tempo.settled(32, 0.1, throttled=True, now=number * 0.1)
        seen.append((tempo.writers, tempo.bulk))
    assert seen[:5] == [(8, 16), (8, 8), (8, 4), (4, 4), (2, 4)]
    assert seen[-1] == (1, LEAST_BULK)


def test_under_a_quota_most_requests_are_taken() -> None:
    tempo = Tempo()
    best = simulate(Tempo(4, 32, fixed=True), seconds=300, lanes=4, per_document=0.005, most=130)
    assert simulate(tempo, seconds=300, lanes=4, per_document=0.005, most=130) > 0.6 * best


def test_while_people_search_it_begins_gently_and_only_their_waiting_decides() -> None:
    tempo = Tempo(writers=6, bulk=100)
    tempo.searching(True)
    assert (tempo.writers, tempo.bulk) == (GENTLE_WRITERS, GENTLE_BULK)
    simulate(tempo, seconds=60, lanes=8, per_document=0.005)
    assert (tempo.writers, tempo.bulk) == (GENTLE_WRITERS, GENTLE_BULK)
    seen = []
    for suffering in (False, False, False, True, True, True, True, True, *[False] * 18):
        tempo.searches_suffer(suffering)
        seen.append((tempo.writers, tempo.bulk))
    assert seen == [(2, 8), (3, 8), (4, 8), (2, 8), (1, 8), (1, 5), (1, 4), *[(1, 4)] * 17, (1, 6), (1, 9)]
    tempo.searching(True)
    assert tempo.bulk == 9
    tempo.searching(False)
    simulate(tempo, seconds=60, lanes=8, per_document=0.005)
    assert tempo.writers * tempo.bulk > 100


def test_what_made_people_wait_is_tried_again_later_each_time() -> None:
    tempo = Tempo()
    tempo.searching(True)
    tried = []
    for look in range(40):
        before = tempo.writers
        tempo.searches_suffer(tempo.writers > 1)
        if tempo.writers > before:
            tried.append(look)
    assert tried == [0, 4, 10, 20, 38]


def test_when_nobody_searches_any_more_more_bulks_are_tried_at_once() -> None:
    tempo = Tempo()
    tempo.searching(True)
    for _ in range(6):
        tempo.searches_suffer(True)
    tempo.searching(False)
    simulate(tempo, seconds=6, lanes=8, per_document=0.005)
    assert tempo.writers >= 4


def test_where_searches_notice_nothing_it_grows_as_far_as_without_them() -> None:
    tempo = Tempo()
    tempo.searching(True)
    for _ in range(40):
        tempo.searches_suffer(False)
    assert (tempo.writers, tempo.bulk) == (MOST_WRITERS, MOST_BULK)


def test_a_fixed_tempo_stays() -> None:
    tempo = Tempo(3, 17, fixed=True)
    simulate(tempo, seconds=60, lanes=4, per_document=0.005, most=40)
    tempo.searching(True)
    tempo.searches_suffer(True)
    tempo.searches_suffer(False)
    assert (tempo.writers, tempo.bulk) == (3, 17)


def test_it_stays_within_its_bounds() -> None:
    tempo = Tempo()
    simulate(tempo, seconds=600, lanes=64, per_document=0.00001, per_bulk=0.01)
    assert 1 <= tempo.writers <= MOST_WRITERS
    assert LEAST_BULK <= tempo.bulk <= MOST_BULK


def test_a_bulk_holds_whole_batches_once_it_holds_one() -> None:
    sizes = {bulk: Tempo(bulk=bulk, batch=16).size for bulk in (4, 15, 16, 31, 32, 500)}
    assert sizes == {4: 4, 15: 15, 16: 16, 31: 16, 32: 32, 500: 496}
