"""Plots of an evaluation as SVG for a page, in its own colours (CSS variables), so that they follow light and dark."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

from neuralshelf.errors import MissingDependencyError
from neuralshelf.relevance.evaluation import Comparison, Evaluation
from neuralshelf.relevance.judgements import Judgements
from neuralshelf.relevance.measures import Measurer
from neuralshelf.relevance.statistics import Interval, interval

RANKS = 20
_COLOURS = {
    "ink": "#010101",
    "soft": "#020202",
    "line": "#030303",
    "after": "#040404",
    "before": "#050505",
    "win": "#060606",
    "loss": "#070707",
}
"""Names of CSS variables, and the colour that stands for each till the plot is drawn."""
_INCH = 72  # points, which are the pixels of an SVG
_STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "neuralshelf",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "text.color": _COLOURS["ink"],
    "axes.edgecolor": _COLOURS["line"],
    "axes.labelcolor": _COLOURS["soft"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _COLOURS["line"],
    "grid.linewidth": 0.7,
    "xtick.color": _COLOURS["line"],
    "ytick.color": _COLOURS["line"],
    "xtick.labelcolor": _COLOURS["soft"],
    "ytick.labelcolor": _COLOURS["soft"],
}


def curve(runs: Sequence[Evaluation], judgements: Judgements, ranks: int = RANKS) -> str:
    """Cumulative match characteristic: Success@k by k, with a 95 % band; of two, the one before first."""
    names = [f"Success@{rank}" for rank in range(1, ranks + 1)]

    def draw(axes: Any) -> None:
        for each, colour, dashes in zip(runs, _two(runs), ("--", "-")[-len(runs) :], strict=True):
            judged = {query: judgements[query] for query in next(iter(each.per_query.values()))}
            values = Measurer(judged, names).per_query(each.run)
            found = [interval(list(values[name].values())) for name in names]
            places = range(1, ranks + 1)
            axes.fill_between(
                places, [i.low for i in found], [i.high for i in found], color=colour, alpha=0.15, linewidth=0
            )
            axes.plot(places, [i.mean for i in found], dashes, color=colour, linewidth=2, marker="o", markersize=3.5)
        axes.set_xlim(0.5, ranks + 0.5)
        axes.set_xticks([1, *range(5, ranks + 1, 5)])
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("rank k")
        axes.set_ylabel("Success@k")

    return _svg(draw, 520, _height(runs), "Share of queries with a relevant answer among the first k, by k")


def by_kind(runs: Sequence[Evaluation], measure: str) -> str:
    """One measure over all queries and by kind, with 95 % intervals."""
    of_kinds: Sequence[Mapping[str, Interval]] = [each.measures[measure] for each in runs]
    names = list(of_kinds[0])

    def draw(axes: Any) -> None:
        for number, (found, colour) in enumerate(zip(of_kinds, _two(runs), strict=True)):
            shift = 0.0 if len(runs) == 1 else (number - 0.5) * 0.34
            for place, kind in enumerate(names):
                one = found[kind]
                axes.plot([one.low, one.high], [place + shift] * 2, color=colour, linewidth=6, alpha=0.25)
                axes.plot([one.mean], [place + shift], "o", color=colour, markersize=8)
                # the lower of two labels stands below its dot, so that they never meet
                above = -1 if number == 0 else 1
                axes.annotate(
                    f"{one.mean:.3f}", (one.mean, place + shift), (0, -above * 9), textcoords="offset points",
                    ha="center", va="bottom" if above < 0 else "top", color=_COLOURS["ink"], fontsize=10,
                )  # fmt: skip
        axes.set_yticks(range(len(names)), [f"{kind}  ({of_kinds[0][kind].queries})" for kind in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(-0.02, 1.02)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(measure)

    return _svg(draw, 520, _height(runs), f"{measure} by kind of query")


def changes(compared: Comparison, measure: str) -> str:
    """Change of one measure of each query, the biggest win first."""
    values = [change for _, change in compared.changes(measure)]

    def draw(axes: Any) -> None:
        colours = [_COLOURS["win" if value > 0 else "loss"] for value in values]
        axes.bar(range(len(values)), values, width=1.0, color=colours, linewidth=0)
        axes.axhline(0, color=_COLOURS["soft"], linewidth=1)
        axes.set_xlim(-0.5, max(len(values), 10) - 0.5)
        largest = max(0.1, *(abs(value) for value in values)) * 1.08
        axes.set_ylim(-largest, largest)
        axes.set_xlabel(f"{len(values)} queries, sorted")
        axes.set_ylabel(f"change of {measure}")
        axes.grid(visible=False, axis="x")

    return _svg(draw, 1060, 230, f"Change of {measure} of each query, sorted")


def _height(runs: Sequence[Evaluation]) -> int:
    return max(280, 60 + 62 * len(next(iter(runs[0].measures.values()))))


def _two(runs: Sequence[object]) -> tuple[str, ...]:
    return (_COLOURS["before"], _COLOURS["after"])[-len(runs) :]


def _svg(draw: Callable[[Any], None], width: int, height: int, label: str) -> str:
    """Markup of a plot, without the head of a file and without ids that another plot has as well."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as fault:
        raise MissingDependencyError(
            f"plots need {fault.name}, which is not installed", hint="pip install 'neuralshelf[relevance]'"
        ) from None
    out = StringIO()
    with matplotlib.rc_context(dict(_STYLE)):
        figure = Figure(figsize=(width / _INCH, height / _INCH), layout="constrained")
        axes = figure.subplots()
        axes.tick_params(length=0)
        draw(axes)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' id="[\w.]+_\d+"|font-family: [^;]*; ', "", text)
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}">'
    text = head + text[text.index(">") + 1 :]
    for name, colour in _COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return text
