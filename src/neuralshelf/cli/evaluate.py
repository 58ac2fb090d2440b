"""The verb evaluate: how good the answers of the live search are."""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.local.evaluation import Asked

Run = Callable[[argparse.Namespace], int]

_KEYS = ("config", "environment", "template", "params", "weights", "saved")


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb("evaluate", evaluate, "how good the answers of _search are, on judged queries or judged pictures")
    made.add_argument("--queries", type=Path, metavar="FILE.jsonl", help="a query a line (docs/relevance.md)")
    judged = made.add_mutually_exclusive_group()
    judged.add_argument("--qrels", type=Path, metavar="FILE", help="judgements: QUERY 0 DOCUMENT GRADE")
    judged.add_argument("--clicks", type=Path, metavar="FILE", help="a click log to judge by: JSON lines or CSV")
    made.add_argument("--measures", metavar="NAMES", help="with commas between (default: nDCG@10,AP,RR,R@10,Success@…)")
    made.add_argument("--depth", type=int, default=100, metavar="N", help="answers a query (default: 100)")
    made.add_argument("--template", default="", metavar="ID", help="another stored template than the configured one")
    made.add_argument("--params", metavar="JSON", help="parameters of the template, for each query")
    made.add_argument("--weights", metavar="LEG=W,…", help="other weights than the configured ones")
    made.add_argument("--save", type=Path, metavar="FILE.trec", help="save the run, in TREC's format")
    made.add_argument("--saved", type=Path, metavar="FILE.trec", help="measure a saved run, ask nothing")
    made.add_argument(
        "--against",
        nargs="+",
        metavar="KEY=VALUE",
        help=f"compare with what was before: another {', '.join(_KEYS[:-1])} or saved run",
    )
    made.add_argument("--html", type=Path, metavar="FILE", help="write the report as one page")
    made.add_argument("--catalogue", type=Path, metavar="FILE", help="without --queries: default the sample catalogue")
    made.add_argument("--data", type=Path, metavar="DIR", help="without --queries: with clothing-cc0/, products-mit/")
    made.add_argument("--json", action="store_true")


def evaluate(words: argparse.Namespace) -> int:
    if words.queries is None:
        return _sets(words)
    if not (words.qrels or words.clicks or words.save):
        raise ConfigError("--queries without judgements", hint="give --qrels FILE, --clicks FILE, or only --save FILE")
    if words.html and not (words.qrels or words.clicks):
        raise ConfigError("--html without judgements", hint="give --qrels FILE or --clicks FILE")
    if not 1 <= words.depth <= 10_000:
        raise ConfigError(f"--depth {words.depth} is out of range", hint="give 1 to 10000")
    from neuralshelf.local.evaluation import Judged, evaluate_queries, write_page
    from neuralshelf.relevance.measures import STANDARD
    from neuralshelf.relevance_tables import evaluation_text

    judged = Judged.read(words.queries, words.qrels, words.clicks)
    asked = _asked(words, words.template, words.params, words.weights, words.saved)
    against = _against(words) if words.against else None
    after, compared = evaluate_queries(
        asked,
        judged,
        against,
        measures=_split(words.measures) if words.measures else STANDARD,
        depth=words.depth,
        save=words.save,
    )
    if after is None:
        print(json.dumps({"format_version": 2, "saved": str(words.save)}) if words.json else f"saved {words.save}")
        return 0
    if words.html is not None:
        write_page(words.html, asked, judged, after, compared)
    if words.json:
        found: dict[str, Any] = {"format_version": 2, "queries": len(judged.queries), **after.as_dict()}
        if judged.clicks is not None:
            found["clicks"] = judged.clicks.as_dict()
        if compared is not None:
            found |= {"against": compared.before.as_dict(), "differences": compared.as_dict()}
        print(json.dumps(found, ensure_ascii=False))
    else:
        print(evaluation_text(after, compared, judged.clicks))
    return 0


def _sets(words: argparse.Namespace) -> int:
    from neuralshelf.local.evaluation import evaluate_sets
    from neuralshelf.relevance_tables import measures_table

    given = [name for name in ("qrels", "clicks", "against", "html", "save", "saved") if getattr(words, name)]
    if given:
        raise ConfigError(f"--{given[0]} without --queries", hint="give a query set: --queries FILE.jsonl")
    catalogue = words.catalogue or words.config.resolve().parent / "samples" / "catalogue.jsonl"
    found = evaluate_sets(*context(words), catalogue=catalogue, data=words.data)
    print(json.dumps({"format_version": 1, "sets": found}) if words.json else measures_table(found))
    return 0


def _against(words: argparse.Namespace) -> "Asked":
    """`template=ID weights=LEG=W,LEG=W`: what differs from the configuration; a .trec file alone is a saved run."""
    given: dict[str, str] = {}
    for each in words.against:
        key, sign, value = each.partition("=")
        if not sign and len(words.against) == 1:
            key, value = "saved", each
        if key not in _KEYS or not value:
            raise ConfigError(f"--against {each!r}", hint=f"KEY=VALUE with a key of {', '.join(_KEYS)}")
        given[key] = value
    other = argparse.Namespace(**vars(words))
    if "config" in given:
        other.config = Path(given["config"])
    other.environment = given.get("environment", words.environment)
    saved = Path(given["saved"]) if "saved" in given else None
    place = ", ".join(f"{key} {given[key]}" for key in ("config", "environment") if key in given)
    return _asked(other, given.get("template", ""), given.get("params"), given.get("weights"), saved, place)


def _asked(
    words: argparse.Namespace,
    template: str,
    params: str | None,
    weights: str | None,
    saved: Path | None,
    place: str = "",
) -> "Asked":
    from neuralshelf.local.evaluation import Asked

    stack, deployment = context(words)
    return Asked(stack, deployment, template, _params(params), _weights(weights), saved, place)


def _params(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as fault:
        raise ConfigError(f"params {text!r}: {fault}", hint='such as: {"price_max": 40}') from None
    if not isinstance(found, dict):
        raise ConfigError(f"params {text!r} are no JSON object", hint='such as: {"price_max": 40}')
    return found


def _weights(text: str | None) -> dict[str, float]:
    found = {}
    for each in _split(text or ""):
        leg, _, weight = each.partition("=")
        try:
            found[leg] = float(weight)
        except ValueError:
            raise ConfigError(f"weight {each!r} has no number", hint="such as: keyword=0.3,text_vector=0.7") from None
    return found


def _split(text: str) -> Sequence[str]:
    """At commas, though not at those inside brackets: `AP(rel=2),nDCG(dcg='exp-log2')@10`."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]
