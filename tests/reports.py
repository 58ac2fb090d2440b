"""Reports of made-up findings, full of hostile texts, for tests of their markup and of how a browser shows them."""

import re
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from neuralshelf.personalisation import report as clusters_report
from neuralshelf.personalisation.clusters import Clusters, Quality, fit
from neuralshelf.personalisation.documents import Without
from neuralshelf.personalisation.groups import Tally
from neuralshelf.personalisation.numbering import Changes, Clustered
from neuralshelf.relevance.evaluation import Comparison, Evaluation, compare, evaluate
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.report import Product, page
from neuralshelf.relevance.run import Answer

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'&"
GREY = np.full((300, 200, 3), 128, np.uint8)
QUERIES = {f"t{n}": Query(f"t{n}", f"{HOSTILE} {n}") for n in range(40)} | {
    f"p{n}": Query(f"p{n}", image=Path("p.jpg"), box=(0.5, 0.5, 0.5, 0.5)) for n in range(12)
}
JUDGED = {query: {"right": 3, "wrong": 0} for query in QUERIES}


@cache
def compared() -> Comparison:
    """Two systems that put the one right answer at ranks 1 to 4, and 1 to 3."""

    def at(rank: int) -> list[Answer]:
        answers = [Answer(f"other-{place}", 1 - place / 10) for place in range(6)]
        return [*answers[:rank], Answer("right", 0.5), Answer("wrong", 0.4)]

    before = {query: at(number % 4) for number, query in enumerate(QUERIES)}
    after = {query: at(number % 3) for number, query in enumerate(QUERIES)}
    found: list[Evaluation] = [
        evaluate(name, run, QUERIES, JUDGED, ["nDCG@10", "RR"])
        for name, run in ((f"before {HOSTILE}", before), ("after", after))
    ]
    return compare(found[0], found[1], QUERIES)


@cache
def report(*, both: bool = True) -> str:
    """The page of the comparison, or of its second system alone."""
    return written(compared().after, compared() if both else None, QUERIES)


def written(after: Evaluation, both: Comparison | None, queries: dict[str, Query]) -> str:
    """The page of any of them; one answer of all has a picture."""
    return page(
        after,
        both,
        queries,
        JUDGED,
        title=HOSTILE,
        products=lambda ids: {key: Product(HOSTILE, GREY if key == "right" else None) for key in ids},
        picture=lambda query: None if query.image is None else GREY,
        today=date(2026, 11, 27),
    )


@cache
def clustered(*, images: bool = True, k: int = 7) -> Clustered:
    """Seven clusters of 70 documents, all named by markup."""
    vectors = np.random.default_rng(1).standard_normal((70, 8)).astype(np.float32)
    numbers = Clusters(fit(vectors, k).centroids, tuple(f"{HOSTILE} {n}" for n in range(k)))
    tally = Tally("title", "image_path", ("kind", "image_path"))
    places, cosines = numbers.nearest(vectors)
    for n, (place, cosine) in enumerate(zip(places.tolist(), cosines.tolist(), strict=True)):
        source = {"title": f"{HOSTILE} {n}", "kind": f"{HOSTILE} kind {place}"}
        source |= {"image_path": f"shop/{n}.jpg"} if images else {}
        tally.add({"_id": f"{HOSTILE} d{n}", "_source": source}, numbers.ids[place], cosine, numbers.ids[n % k])
    return Clustered(
        index=HOSTILE,
        vector="image_vector",
        k=k,
        seed=0,
        documents=70,
        without=Without(8, 5, tuple(f"{HOSTILE} w{n}" for n in range(5))),
        written=60,
        gone=1,
        groups=tally.groups(numbers),
        file="clusters.json",
        measured=(Quality(2, -0.1, 0.2), Quality(k, 0.4, 0.9), Quality(9, 0.1, -0.1)),
        kept=1 - tally.moved / tally.had,
        changes=Changes(numbers.ids[1:], numbers.ids[:1], (f"{HOSTILE} gone",)),
    )


def clusters_page(found: Clustered | None = None, *, pictured: bool = True, dry_run: bool = False) -> str:
    """The page of these clusters, or of others."""
    return clusters_report.page(
        found or clustered(),
        title=HOSTILE,
        picture=lambda path: GREY if pictured else None,
        today=date(2026, 11, 27),
        dry_run=dry_run,
    )


def assert_harmless(html: str) -> None:
    """Hostile texts are shown as texts, and the page asks for nothing from anywhere."""
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;" in html
    assert "default-src 'none'" in html
    links = set(re.findall(r"""<[^>]*?(?:src|href)=["']([^"']{1,30})|url\(([^)]{1,30})""", html))
    assert len(links) > 3
    assert not {link for pair in links for link in pair if link and not link.startswith(("data:", "#"))}
