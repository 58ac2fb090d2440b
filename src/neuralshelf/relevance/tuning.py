"""Tuning from files to a diff: legs searched, settings tried, the winner as a change of the configuration."""

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from neuralshelf.errors import ConfigError, InputError, MissingDependencyError
from neuralshelf.pipelines.spec import KEYWORD_LEG, SearchSpec
from neuralshelf.relevance.agreement import Agreement, agreement
from neuralshelf.relevance.cutoffs import Cutoff
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.legs import LegSearcher
from neuralshelf.relevance.proposal import changed, decimals, diff
from neuralshelf.relevance.queries import Query
from neuralshelf.relevance.scoring import Scorer, Setting, Weights
from neuralshelf.relevance.system import PictureOf, System
from neuralshelf.relevance.tuner import FOLDS, Tuned, Tuner, boosts, configured, grouped

MOST_LEGS = 4


@dataclass(frozen=True)
class Tuning:
    """What tuning found, and what it took.

    Attributes:
        legs: names, keyword first.
        left_out: why -> how many queries.
        diff: the winner as a change of the configuration; empty when it is the configuration.
        after: the whole changed file.
        seconds: "search" and "fuse".
    """

    tuned: Tuned
    measure: str
    legs: tuple[str, ...]
    left_out: Mapping[str, int]
    agreement: Agreement
    diff: str
    after: str
    seconds: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        tuned = self.tuned
        return {
            "measure": self.measure,
            "accepted": tuned.accepted,
            "queries": tuned.queries,
            "groups": tuned.groups,
            "left_out": dict(self.left_out),
            "freedom": tuned.freedom,
            "winner": asdict(tuned.winner),
            "chosen": [asdict(each) for each in tuned.chosen],
            "legs": list(self.legs),
            "means": dict(tuned.means),
            "kinds": {kind: asdict(each) for kind, each in tuned.kinds.items()},
            "weights_by_kind": tuned.apart,
            "held_out": dict(tuned.held_out),
            "against": {name: each.as_dict() for name, each in tuned.against.items()},
            "p_of_best": tuned.p_of_best,
            "tried": tuned.tried,
            "agreement": self.agreement.as_dict(),
            "diff": self.diff,
            "seconds": dict(self.seconds),
        }


def tune(
    searcher: LegSearcher,
    queries: Mapping[str, Query],
    judgements: Judgements,
    picture: PictureOf,
    *,
    config: tuple[str, str],
    measure: Cutoff,
    seed: int,
) -> Tuning:
    """Look for better weights, technique and boosts; nothing is written but what the legs answered.

    Args:
        config: name and text of the configuration file.

    Raises:
        ConfigError: more legs than can be tuned.
        InputError: too few queries that can take part, or one of them can't be asked.
        SearchError: the cluster refused a search; EngineError: it can't be reached.
        MissingDependencyError: the extra `relevance` is not there.
    """
    if importlib.util.find_spec("scipy") is None:  # told before anything is searched
        raise MissingDependencyError("scipy is not installed", hint="pip install 'neuralshelf[relevance]'")
    index, search = searcher.index, searcher.search
    legs = (KEYWORD_LEG, *index.vectors)
    if len(legs) > MOST_LEGS:
        raise ConfigError(f"the search has {len(legs)} legs, up to {MOST_LEGS} can be tuned", hint="take vectors away")
    queries, left_out = _taking_part(queries, judgements)
    system = System.configured(searcher.client, index, search)
    for query in queries.values():
        system.check(query)
    started = time.monotonic()
    answers = searcher.search_all(queries, boosts(search.keyword), picture)
    agreed = agreement(searcher, queries, answers, configured(search, legs), picture)
    searched = time.monotonic()
    pictured = {name for name, query in queries.items() if query.image is not None}
    scorer = Scorer(answers, judgements, measure, pictured=pictured, collapse=index.product is not None)
    tuned = Tuner(scorer, search, legs, grouped(queries.values(), judgements)).tune(seed)
    seconds = {"search": searched - started, "fuse": time.monotonic() - searched}
    name, text = config
    after = changed(text, search, _with(search, legs, tuned.winner))
    return Tuning(tuned, str(measure), legs, left_out, agreed, diff(text, after, name), after, seconds)


def _taking_part(queries: Mapping[str, Query], judgements: Judgements) -> tuple[dict[str, Query], dict[str, int]]:
    """Queries that weights can make better or worse, and why the others can't be."""
    found: dict[str, Query] = {}
    left_out = {"without text": 0, "not judged": 0, "nothing relevant": 0}
    for name, query in queries.items():
        grades = judgements.get(name)
        if not query.text:
            left_out["without text"] += 1
        elif grades is None:
            left_out["not judged"] += 1
        elif not any(grade > 0 for grade in grades.values()):
            left_out["nothing relevant"] += 1
        else:
            found[name] = query
    groups = len(set(grouped(found.values(), judgements)))
    if groups < FOLDS * 2:
        raise InputError(
            f"{len(found)} queries with a text and a relevant judgement, {groups} of them different",
            hint=f"tuning needs {FOLDS * 2} different ones at the least, and some hundred to be of use",
        )
    return found, left_out


def _with(search: SearchSpec, legs: tuple[str, ...], winner: Setting) -> SearchSpec:
    """The search by the winner; normalization is left as it is where ranks alone count."""
    how = winner.fusion
    new: dict[str, Any] = {"keyword": winner.keyword, "combination": how.combination}
    new["weights"] = _named(search, legs, how.weights)
    if winner.picture_weights is not None:
        new["picture_weights"] = _named(search, legs, winner.picture_weights)
    new |= {"rank_constant": how.rank_constant} if how.combination == "rrf" else {"normalization": how.normalization}
    return SearchSpec.parse({**search.model_dump(), **new}, "the winner")


def _named(search: SearchSpec, legs: tuple[str, ...], weights: Weights) -> dict[str, float]:
    """In the order of the configuration."""
    found = dict(zip(legs, decimals(weights), strict=True))
    return {leg: found[leg] for leg in search.weights}
