"""Tables for people, on stdout."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from neuralshelf.deploy.prices import OLD_MONTHS
from neuralshelf.provision.plan import Action, Change, Plan
from neuralshelf.search import Hit

if TYPE_CHECKING:
    from neuralshelf.checker import Verdict
    from neuralshelf.deploy.cost import Estimate, Line
    from neuralshelf.deploy.prices import Source
    from neuralshelf.ingestion.account import Report
    from neuralshelf.ingestion.coverage.coverage import Coverage
    from neuralshelf.ingestion.coverage.repair import Repaired
    from neuralshelf.ingestion.cropping import Cropped
    from neuralshelf.ingestion.letters.letter import Letter
    from neuralshelf.model_packages.grounding_dino.contract import Detection
    from neuralshelf.personalisation.numbering import Clustered
    from neuralshelf.provision.doctor import Diagnosis
    from neuralshelf.provision.verify import Verification

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "±",
    Action.DELETE: "-",
    Action.BLOCKED: "!",
    Action.KEEP: "=",
}


def hits_table(hits: Sequence[Hit]) -> str:
    """Rank, score, id, title and price of each hit; relevance and preference where they are in somebody's order, views
    where some have several; says so when there is none."""
    if not hits:
        return "  no hits"
    more: dict[str, list[Any]] = {}
    if any(hit.why for hit in hits):
        parts = [hit.why for hit in hits]
        more["relevance"] = [_percent(part.relevance if part else None) for part in parts]
        more["preference"] = [_percent(part.preference if part else None) for part in parts]
    if any(hit.views > 1 for hit in hits):
        more["views"] = [hit.views for hit in hits]
    rows = [
        (rank, f"{hit.score:.3f}", hit.id, str(hit.fields.get("title", ""))[:60], hit.fields.get("price", ""), *others)
        for rank, (hit, *others) in enumerate(zip(hits, *more.values(), strict=True), start=1)
    ]
    headers = ("#", "score", "id", "title", "price", *more)
    return tabulate(rows, headers=headers, floatfmt=".2f", disable_numparse=[1, 2, 3])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f} %"


def objects_table(objects: "Sequence[Detection]") -> str:
    """Number, score, phrase and box (centre and size, in parts of the picture) of each object."""
    rows = [
        (number, f"{one.score:.2f}", one.phrase, ",".join(f"{part:.3f}" for part in one.box))
        for number, one in enumerate(objects, start=1)
    ]
    return tabulate(rows, headers=("#", "score", "phrase", "box (cx,cy,w,h)"), disable_numparse=True)


def cropped_text(done: "Cropped", out: Path) -> str:
    """How many crops, what had none, what could not be read."""
    lines = [f"{done.products} products with {done.crops} crops in {out}; in {done.without} nothing was found"]
    lines += [f"  {code}: {number}" for code, number in done.refused.items()]
    lines += [f"note: column {name} left out: the index has no such field ({n})" for name, n in done.ignored.items()]
    return "\n".join(lines)


def examples_table(found: Mapping[str, str]) -> str:
    """Name and purpose of each example."""
    return tabulate(list(found.items()), tablefmt="plain") if found else "no examples here; they are in the repository"


def status_table(found: Mapping[str, Any]) -> str:
    """The answer of `status`, a line a part."""
    if "engine" not in found:
        return f"{found['project']} ({found['environment']}): nothing is up; start it with: ./inv up"
    engine, server, index = found["engine"], found["server"], found["index"]
    rows = [
        ("engine", engine["url"], f"OpenSearch {engine['version']}, {engine['health']}, {engine['nodes']} node(s)"),
        ("server", server["url"] or "AWS", server["health"]),
        ("page", found["page"]["url"] or "not up", ""),
        ("index", index["name"], f"{index['documents']} documents"),
        ("state", found["state"], ""),
    ]
    return tabulate(rows, tablefmt="plain")


def ingest_text(report: "Report", *, dry_run: bool = False) -> str:
    """What became of the documents, why some did not get in, and what was done to others."""
    done = "would be indexed" if dry_run else "indexed with their vectors"
    lines = [f"{report.documents} documents: {report.indexed} {done}, {report.dead_letters} dead letters"]
    lines += [f"  {code}: {number}" for code, number in report.codes.items()]
    lines += [f"    {shortened(line, 200)}" for line in report.examples]
    lines += [f"note: {shortened(note, 200)} ({number})" for note, number in report.notes.items()]
    if report.dead_letters and not dry_run:
        lines.append("next: neuralshelf deadletters list; mend the catalogue, then ingest or deadletters replay")
    return "\n".join(lines)


def coverage_text(found: "Coverage") -> str:
    """How many documents are in which state, examples of what is wrong, and the next step."""
    groups = [*found.vectors.items(), ("catalogue", found.catalogue), ("deep", found.deep)]
    lines = [f"{found.index}: {found.documents} documents"]
    for name, tally in groups:
        for what, count in sorted(tally.counts.items()) if tally else ():
            some = tally.examples.get(what, []) if tally else []
            shown = shortened(", ".join(some[:5]), 120) + (", …" if count > 5 else "")
            lines.append(f"  {name}: {count} {what.replace('_', ' ')}{f': {shown}' if some else ''}")
    if found.problems:
        lines.append("next: neuralshelf repair, with --catalogue FILE for vectors of pictures")
    return "\n".join(lines)


def repair_text(done: "Repaired", *, dry_run: bool = False) -> str:
    """What was mended, and what was not, with causes and next steps."""
    verb = "would be made again" if dry_run else "made again"
    mended = ", ".join(f"{count} of {name}" for name, count in done.mended.items())
    lines = [f"{done.index}: vectors {verb}: {mended or 'none'}"]
    if done.indexed:
        lines.append(f"  {done.indexed} documents of the catalogue {'would be ' * dry_run}indexed that were absent")
    if done.left:
        lines.append(f"  {done.left} can't be mended:")
    lines += [
        shortened(f"    {each.id}: {each.what}: {each.cause}; next: {each.next}", 240) for each in done.examples[:5]
    ]
    return "\n".join(lines)


def plan_text(plan: Plan) -> str:
    """What a plan does, path by path, and how many of each."""
    counts = plan.counts
    shown = [*plan.notes]
    if plan.writes or plan.blocked:
        shown.insert(0, changes_text([*plan.blocked, *plan.writes]))
        done = ("create", "update", "replace", "delete")
        shown.append(", ".join(f"{counts[action]} to {action}" for action in done) + f", {counts['keep']} unchanged")
    else:
        shown.append(f"nothing to do: {counts['keep']} objects are as the configuration says")
    return "\n".join(shown)


def changes_text(changes: Sequence[Change]) -> str:
    """A line an object and a line a path that differs."""
    lines: list[str] = []
    for change in changes:
        note = f"  ({change.note})" if change.note else ""
        lines.append(f"{SIGNS[change.action]} {change.address}{note}")
        lines += [f"    {difference}" for difference in change.differences]
    return "\n".join(lines)


def clusters_text(found: "Clustered", *, dry_run: bool = False) -> str:
    """What numbers of clusters were compared, each cluster with its most typical products, and what was written."""
    lines = []
    if found.measured:
        rows = [(quality.k, quality.silhouette, quality.stability) for quality in found.measured]
        lines += [tabulate(rows, headers=("k", "silhouette", "stability"), floatfmt=".3f"), ""]
    groups = [
        (group.id, group.documents, shortened("; ".join(one.text for one in group.nearest), 140))
        for group in found.groups
    ]
    lines.append(tabulate(groups, headers=("cluster", "documents", "typical"), disable_numparse=True))
    lines.append(
        f"{found.index}: {found.documents} documents in {len(found.groups)} of {found.k} clusters of {found.vector}"
    )
    without = found.without
    if without.documents:
        some = ", ".join(shortened(one, 40) for one in without.examples)
        some += ", …" if len(without.examples) < without.documents else ""
        lines.append(f"{without.documents} documents have no {found.vector} and get no cluster: {without} ({some})")
    if found.changes is not None and (found.changes.new or found.changes.gone):
        new, gone = (", ".join(ids) or "none" for ids in (found.changes.new, found.changes.gone))
        lines.append(f"new clusters: {new}; gone: {gone}")
    if found.kept is not None:
        lines.append(f"{100 * found.kept:.1f} % of the documents that had a cluster are still in it")
    lines.append(
        f"{found.written} documents {'would get' if dry_run else 'got'} a new cluster"
        + (f", {found.gone} gone" if found.gone else "")
    )
    return "\n".join(lines)


def letters_table(letters: "Sequence[Letter]", codes: Mapping[str, int], *, width: int) -> str:
    """A line a letter, the cause cut to the width of the terminal, and how many there are of each code."""
    if not codes:
        return "no dead letters"
    rows = [
        (shortened(letter.name, 40), letter.code, letter.attempts, _when(letter.last), letter.cause)
        for letter in letters
    ]
    headers = ("id", "code", "attempts", "last", "cause")
    used = sum(max(len(headers[n]) + 2, *(len(str(row[n])) for row in rows)) + 2 for n in range(4)) if rows else 0
    rows = [(*row[:4], shortened(row[4], max(width - used, 20))) for row in rows]
    table = tabulate(rows, headers=headers, disable_numparse=True)
    counted = ", ".join(f"{code} {number}" for code, number in codes.items())
    return f"{table}\n{sum(codes.values())} dead letters: {counted}"


def letter_text(letter: "Letter") -> str:
    """All that one letter holds."""
    rows = [
        ("id", shortened(letter.name, 512)),
        ("code", letter.code),
        ("cause", letter.cause),
        ("attempts", letter.attempts),
        ("first", _when(letter.first)),
        ("last", _when(letter.last)),
        ("row", f"{letter.line} of {letter.source}"),
        ("pictures", ", ".join(letter.pictures)),
        ("document", json.dumps(letter.document) if letter.document is not None else letter.left_out or "not read"),
    ]
    return tabulate([row for row in rows if row[1] != ""], tablefmt="plain", disable_numparse=True)


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def shortened(text: str, width: int) -> str:
    """Cut, and without what a terminal would take for a command."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= width else text[: width - 1] + "…"


def checks_text(found: "Verification") -> str:
    """A line a check, failures with their remedy, and the verdict."""
    signs = {True: "ok", False: "FAILED", None: "-"}
    lines = []
    for check in found.checks:
        lines.append(f"{signs[check.ok]:6}  {check.name}  {check.of}: {check.found}")
        if check.ok is False and check.remedy:
            lines.append(f"        next: {check.remedy}")
    verdict = "ready" if found.ok else f"not ready: {len(found.failures)} of {len(found.checks)} checks failed"
    return "\n".join([*lines, f"{found.index}: {verdict}"])


def verdict_text(found: "Verdict") -> str:
    """The verdict, a line a finding, and the search that is right where it differs from the given one."""
    lines = [found.word]
    for finding in found.findings:
        issue = f" ({finding.issue})" if finding.issue else ""
        lines.append(f"{finding.grade:8} {finding.path or 'search'}: {finding.reason}{issue}")
    if found.word == "rewritten":
        query = "&".join(f"{name}={value}" for name, value in found.params.items())
        lines += [f"?{query}"] * bool(query)
        lines.append(json.dumps(found.body, ensure_ascii=False, indent=2))
    return "\n".join(lines)


def diagnosis_text(found: "Diagnosis") -> str:
    """Each fault with cause and remedy, and what was looked at."""
    lines = []
    for fault in found.findings:
        lines.append(f"{fault.severity}: {fault.code}  {fault.subject}")
        lines += [f"  cause: {fault.cause}", f"  next:  {fault.remedy}"]
    looked = f"looked at: {', '.join(found.checks) or 'nothing'}"
    if found.unchecked:
        looked += f"; could not look at: {', '.join(found.unchecked)}"
    return "\n".join([*(lines or ["no fault found"]), looked])


def cost_text(found: "Estimate", today: date) -> str:
    """Positions, totals, what they rest on, and what is not counted."""
    currency = found.prices.content.currency
    rows = [
        (line.when, line.what, _quantity(line), f"{line.price:.8f}".rstrip("0"), f"{line.cost:,.2f}")
        for line in sorted(found.lines, key=lambda line: line.when == "month")
    ]
    align = ("left", "left", "right", "right", "right")
    shown = [
        tabulate(rows, ("", "for", "quantity", "price", currency), disable_numparse=True, colalign=align),
        f"once {found.total('once'):,.2f} {currency}; a month {found.total('month'):,.2f} {currency}, "
        f"{found.hourly:,.3f} for each of its {found.usage.hours:g} hours",
        "",
        f"assumed ({found.usage.documents:,} documents; change one with --assume NAME=N):",
        tabulate([(name, f"{each.value:,.10g} {each.unit}", each.why) for name, each in found.assumptions.items()]),
        "",
        f"prices of {found.prices.region} ({found.prices.file.name}):",
        *(f"  {source.date}  {source.where}{_doubts(source, today)}" for source in found.sources.values()),
        "",
        "not counted:",
        *(f"  {each}" for each in found.not_counted),
    ]
    return "\n".join(shown)


def _quantity(line: "Line") -> str:
    number = f"{line.quantity:,.0f}" if line.quantity >= 1000 else f"{line.quantity:.4g}"
    return f"{number} × {line.per}" if line.per[0].isdigit() else f"{number} {line.per}"


def _doubts(source: "Source", today: date) -> str:
    doubts = [] if source.confirmed else ["not confirmed"]
    if source.months(today) > OLD_MONTHS:
        doubts.append(f"{source.months(today)} months old")
    return f" ({', '.join(doubts)})" if doubts else ""
