"""What `evaluate` and `tune` found, for people."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tabulate import tabulate

from neuralshelf.relevance.evaluation import FINDINGS
from neuralshelf.tables import shortened

if TYPE_CHECKING:
    from neuralshelf.relevance.clicks import Clicked
    from neuralshelf.relevance.evaluation import Comparison, Evaluation
    from neuralshelf.relevance.scoring import Setting
    from neuralshelf.relevance.statistics import Difference, Interval
    from neuralshelf.relevance.tuning import Tuning


def evaluation_text(after: "Evaluation", compared: "Comparison | None", clicks: "Clicked | None") -> str:
    """Each measure over all queries and by kind, with intervals; changes with p; and what is peculiar."""
    lines = [f"before: {compared.before.system}", f"after:  {after.system}"] if compared else [after.system]
    if clicks is not None:
        ignored = "".join(f", {count} {name} ignored" for name, count in clicks.ignored.items())
        lines.append(
            f"judged by {clicks.events} events of a click log ({clicks.model}); "
            f"{clicks.unsupported} pairs of query and document seen too seldom{ignored}"
        )
    kinds = next(iter(after.measures.values()))
    headers = ("measure", *(f"{kind} ({found.queries})" for kind, found in kinds.items()))
    rows = []
    for measure, of_kinds in after.measures.items():
        cells = [_ranged(found, "") for found in of_kinds.values()]
        if compared is not None:
            before, changes = compared.before.measures[measure], compared.differences[measure]
            rows.append((measure, *(f"{before[kind].mean:.3f} → {found.mean:.3f}" for kind, found in of_kinds.items())))
            cells = [f"{one.change.mean:+.3f} p {one.p:.4f}{'*' * one.significant}" for one in changes.values()]
        rows.append(("" if compared else measure, *cells))
    lines += ["", tabulate(rows, headers=headers, disable_numparse=True), ""]
    if compared is None:
        lines.append("[95 % bootstrap interval over queries]; Success@k is CMC rank-k, R@k is recall@k")
    else:
        lines.append("* p < 0.05, paired randomisation test; Success@k is CMC rank-k, R@k is recall@k")
        lines += [_verdict(measure, changes["all"]) for measure, changes in compared.differences.items()]
    for each in (compared.before, after) if compared else (after,):
        for what, ids in each.findings.as_dict().items():
            some = shortened(", ".join(ids[:5]), 100) + (", …" if len(ids) > 5 else "")
            lines.append(f"{each.system}: {len(ids)} {FINDINGS[what]}: {some}")
    return "\n".join(lines)


def _ranged(found: "Interval", sign: str) -> str:
    """A mean with its interval, where there is one."""
    several = found.queries > 1
    return f"{found.mean:{sign}.3f}" + (f" [{found.low:{sign}.3f}, {found.high:{sign}.3f}]" if several else "")


def _verdict(measure: str, found: "Difference") -> str:
    return (
        f"{measure}: {'' if found.significant else 'no significant difference, '}{_ranged(found.change, '+')}, "
        f"p {found.p:.4f}; {found.wins} better, {found.losses} worse, {found.ties} the same"
    )


def measures_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Measures of every judged set."""
    rows = [(name, measure, f"{value:.4g}") for name, measures in found.items() for measure, value in measures.items()]
    return tabulate(
        rows, headers=("set", "measure", "value"), disable_numparse=True, colalign=("left", "left", "right")
    )


def tuned_text(report: "Tuning") -> str:
    """What the winner changes, what it is worth on queries it was not chosen on, and against what."""
    tuned, measure = report.tuned, report.measure
    kinds = tuned.kinds if len(tuned.kinds) > 1 else {}

    def means(name: str) -> tuple[str, ...]:
        return tuple(f"{each[name]:.3f}" for each in (tuned.means, *(kind.means for kind in kinds.values())))

    rows: list[tuple[str, ...]] = [("tuned", *means("tuned"), "", "")]
    for name, found in tuned.against.items():
        change = f"{found.change.mean:+.3f} [{found.change.low:+.3f}, {found.change.high:+.3f}]"
        label = name if name == "configured" else f"{name} alone"
        rows.append((label, *means(name), change, f"{found.p:.4f}{'*' * found.significant}"))
    headers = (
        "search",
        measure,
        *(f"{name} ({kind.queries})" for name, kind in kinds.items()),
        "tuned is better by",
        "p",
    )
    lines = [tabulate(rows, headers=headers, disable_numparse=True), ""]
    lines.append(
        f"{tuned.queries} queries in {tuned.groups} groups, each asked by what was chosen without its group; "
        "* p < 0.05, paired randomisation test"
    )
    left = ", ".join(f"{count} {why}" for why, count in report.left_out.items() if count)
    lines += [f"left out: {left}"] if left else []
    if kinds and not tuned.apart:
        counted = ", ".join(f"{kind.groups} with {name}" for name, kind in kinds.items())
        lines.append(f"one weighting serves all kinds of queries: too few groups for weights of their own ({counted})")
    agreed = report.agreement
    lines.append(f"offline = engine: {agreed.same} of {agreed.queries} queries, scores to 1e-6")
    freedoms = [(what, f"{value:.3f}", "←" * (what == tuned.freedom)) for what, value in tuned.held_out.items()]
    lines += ["", tabulate(freedoms, headers=("may change", f"held-out {measure}", ""), disable_numparse=True), ""]
    lines.append(f"best of {tuned.tried} settings against keyword alone: p {tuned.p_of_best:.4f} (maxT)")
    lines.append(f"winner: {_setting(report.legs, tuned.winner)}")
    lines += [f"  fold {n}: {_setting(report.legs, each)}" for n, each in enumerate(tuned.chosen, 1)]
    lines.append(f"{report.seconds['search']:.0f} s searching, {report.seconds['fuse']:.0f} s fusing")
    if tuned.accepted:
        lines += ["", report.diff.rstrip() or "the configuration is as good as any other: nothing to change"]
        lines += ["next: neuralshelf plan, then apply"] if report.diff else []
    return "\n".join(lines)


def _setting(legs: Sequence[str], setting: "Setting") -> str:
    how = setting.fusion
    technique = f"rrf {how.rank_constant}" if how.combination == "rrf" else f"{how.normalization}, {how.combination}"
    shown = _weights(legs, how.weights)
    if setting.picture_weights is not None:
        shown += f"; with a picture {_weights(legs, setting.picture_weights)}"
    return f"{technique}; {shown}; {', '.join(setting.keyword)}"


def _weights(legs: Sequence[str], weights: Sequence[float]) -> str:
    return ", ".join(f"{leg} {weight:g}" for leg, weight in zip(legs, weights, strict=True))
