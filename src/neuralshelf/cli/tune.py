"""The verb tune: better weights, technique and boosts of the search, with proof."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

Run = Callable[[argparse.Namespace], int]

REFUSED = 1


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb("tune", tune, "better weights, technique and boosts of the search, with proof, as a diff to review")
    made.add_argument("--queries", type=Path, metavar="FILE.jsonl", required=True, help="a query a line")
    judged = made.add_mutually_exclusive_group(required=True)
    judged.add_argument("--qrels", type=Path, metavar="FILE", help="judgements: QUERY 0 DOCUMENT GRADE")
    judged.add_argument("--clicks", type=Path, metavar="FILE", help="a click log to judge by: JSON lines or CSV")
    made.add_argument(
        "--measure", default="nDCG@10", metavar="NAME@K", help="nDCG, AP, RR, R, P or Success at a cutoff"
    )
    made.add_argument("--seed", type=int, default=0, help="of folds and tests")
    made.add_argument("--out", type=Path, metavar="FILE.diff", help="write the diff there")
    made.add_argument("--write", action="store_true", help="change the configuration file")
    made.add_argument("--json", action="store_true")


def tune(words: argparse.Namespace) -> int:
    from neuralshelf.files import write_files
    from neuralshelf.local.evaluation import Judged
    from neuralshelf.local.tuning import tune_search, write_winner
    from neuralshelf.pipelines.spec import KEYWORD_LEG
    from neuralshelf.relevance.cutoffs import Cutoff
    from neuralshelf.relevance_tables import tuned_text

    if words.seed < 0:
        raise ConfigError(f"--seed {words.seed} is out of range", hint="give 0 or more")
    measure = Cutoff.parse(words.measure)
    stack, deployment = context(words)
    judged = Judged.read(words.queries, words.qrels, words.clicks)
    report = tune_search(stack, deployment, judged, measure=measure, seed=words.seed)
    taken = report.tuned.accepted and bool(report.diff)
    if taken and words.out:
        write_files({words.out.name: report.diff}, words.out.parent)
    if taken and words.write:
        write_winner(stack, report)
    if words.json:
        print(
            json.dumps({"format_version": 1, "written": taken and words.write} | report.as_dict(), ensure_ascii=False)
        )
    else:
        print(tuned_text(report))
    if not report.tuned.accepted:
        tuned = report.tuned
        found = tuned.against[KEYWORD_LEG]
        why = f"not better than keyword search alone ({report.measure} {found.change.mean:+.3f}, p {found.p:.3f}; "
        why += f"as the best of {tuned.tried} settings p {tuned.p_of_best:.3f})"
        print(f"neuralshelf: refused: {why}; nothing was written", file=sys.stderr)
        return REFUSED
    return 0
