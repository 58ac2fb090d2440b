"""invoke tasks: the verbs of the command line, and the chores of development. No logic here."""

import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from neuralshelf.cli import main

ROOT = Path(__file__).resolve().parent


def run(verb: str, *words: str, environment: str) -> None:
    """Call the command line with this checkout's configuration; its exit code is ours."""
    if code := main([verb, "--config", str(ROOT / "neuralshelf.yaml"), "--environment", environment, *words]):
        raise Exit(code=code)


def flags(**values: bool) -> list[str]:
    """`dry_run=True` → `--dry-run`."""
    return [f"--{name.replace('_', '-')}" for name, value in values.items() if value]


def options(**values: str) -> list[str]:
    """`ids="FILE"` → `--ids FILE`; an empty one is left out."""
    return [word for name, value in values.items() if value for word in (f"--{name.replace('_', '-')}", value)]


@task
def demo(c: Context, once: bool = False, environment: str = "local") -> None:
    """Start everything, ingest the sample catalogue, show hits; stays up till Ctrl-C (--once: stops)."""
    run("demo", *flags(once=once), environment=environment)


@task(positional=["name"])
def example(c: Context, name: str, once: bool = False, json: bool = False, environment: str = "local") -> None:
    """Run one of the systems in examples/, as demo does."""
    run("example", name, *flags(once=once, json=json), environment=environment)


@task
def examples(c: Context) -> None:
    """The systems in examples/."""
    run("example", environment="local")


@task
def up(c: Context, environment: str = "local") -> None:
    """Start engine, model server and search page, and provision."""
    run("up", environment=environment)


@task
def down(c: Context, purge: bool = False, environment: str = "local") -> None:
    """Stop what up started; data is kept unless --purge."""
    run("down", *flags(purge=purge), environment=environment)


@task
def status(c: Context, json: bool = False, environment: str = "local") -> None:
    """What is up, in which version, how healthy, holding how much."""
    run("status", *flags(json=json), environment=environment)


@task
def plan(
    c: Context,
    out: str = "",
    adopt: bool = False,
    detailed_exitcode: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """What apply would change, path by path (--out FILE: save it for apply); changes nothing."""
    words = flags(adopt=adopt, detailed_exitcode=detailed_exitcode, json=json)
    run("plan", *(["--out", out] if out else []), *words, environment=environment)


@task
def apply(c: Context, plan: str = "", adopt: bool = False, json: bool = False, environment: str = "local") -> None:
    """Make the cluster hold what the configuration says (--plan FILE: exactly a saved plan)."""
    run("apply", *([plan] if plan else []), *flags(adopt=adopt, json=json), environment=environment)


@task
def drift(c: Context, detailed_exitcode: bool = False, json: bool = False, environment: str = "local") -> None:
    """What somebody has changed in the cluster by hand."""
    run("drift", *flags(detailed_exitcode=detailed_exitcode, json=json), environment=environment)


@task
def destroy(
    c: Context, yes: bool = False, dry_run: bool = False, json: bool = False, environment: str = "local"
) -> None:
    """Take everything of this deployment away, documents included."""
    run("destroy", *flags(yes=yes, dry_run=dry_run, json=json), environment=environment)


@task(positional=["id"])
def unlock(c: Context, id: str, environment: str = "local") -> None:
    """Take the lock away from a writer that is surely dead."""
    run("unlock", id, environment=environment)


@task
def migrate(
    c: Context,
    status: bool = False,
    rollback: bool = False,
    finish: bool = False,
    queries: str = "",
    tolerance: str = "",
    accept_worse: bool = False,
    catalogue: str = "",
    without_pictures: bool = False,
    yes: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """Another embedding model while reads and writes go on; --status, --rollback, --finish."""
    words = options(queries=queries, tolerance=tolerance, catalogue=catalogue)
    words += flags(status=status, rollback=rollback, finish=finish, accept_worse=accept_worse)
    words += flags(without_pictures=without_pictures, yes=yes, json=json)
    run("migrate", *words, environment=environment)


@task
def verify(c: Context, json: bool = False, environment: str = "local") -> None:
    """Whether models, pipelines and index fit each other, asked of every node."""
    run("verify", *flags(json=json), environment=environment)


@task
def doctor(c: Context, json: bool = False, environment: str = "local") -> None:
    """What is wrong with cluster, models or deployment, and what to do about it."""
    run("doctor", *flags(json=json), environment=environment)


@task
def rotate(
    c: Context,
    force: bool = False,
    watch: bool = False,
    every: str = "",
    json: bool = False,
    environment: str = "local",
) -> None:
    """New credentials, endpoint or client settings into live connectors (--watch: whenever they change)."""
    words = [*(["--every", every] if every else []), *flags(force=force, watch=watch, json=json)]
    run("rotate", *words, environment=environment)


@task
def roles(c: Context, out: str = "", environment: str = "local") -> None:
    """Least-privilege roles of the security plugin for this deployment (--out DIR: as files)."""
    run("roles", *(["--out", out] if out else []), environment=environment)


@task(positional=["file"])
def ingest(
    c: Context,
    file: str,
    pictures: str = "",
    dry_run: bool = False,
    restart: bool = False,
    full_speed: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """Index a catalogue (JSON lines, CSV or Parquet with id, title, description, price …, image: a picture's name)."""
    words = [*(["--pictures", pictures] if pictures else []), *flags(dry_run=dry_run, restart=restart)]
    run("ingest", file, *words, *flags(full_speed=full_speed, json=json), environment=environment)


@task(positional=["file"])
def embed(c: Context, file: str, out: str, pictures: str = "", json: bool = False, environment: str = "local") -> None:
    """Embed a catalogue with the models of this machine, into a file of vectors (--out) for backfill."""
    words = ["--out", out, *(["--pictures", pictures] if pictures else [])]
    run("embed", file, *words, *flags(json=json), environment=environment)


@task(positional=["file"], iterable=["vectors"])
def backfill(
    c: Context,
    file: str,
    vectors: list[str],
    requests: str = "",
    vector: str = "",
    pictures: str = "",
    only_given: bool = False,
    dry_run: bool = False,
    restart: bool = False,
    full_speed: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """Index a catalogue with vectors made in bulk (--vectors FILE); --requests DIR writes what those are made from."""
    words = options(requests=requests, vector=vector, pictures=pictures)
    words += flags(only_given=only_given, dry_run=dry_run, restart=restart, full_speed=full_speed, json=json)
    run("backfill", file, *vectors, *words, environment=environment)


@task(positional=["name"])
def package(
    c: Context,
    name: str,
    weights: str = "",
    out: str = "",
    weights_lock: str = "",
    dry_run: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """Make a model.tar.gz (--out FILE) from a model package and its --weights DIR."""
    words = options(weights=weights, out=out, weights_lock=weights_lock)
    run("package", name, *words, *flags(dry_run=dry_run, json=json), environment=environment)


@task
def packages(
    c: Context,
    check: str = "",
    weights: str = "",
    write_lock: str = "",
    json: bool = False,
    environment: str = "local",
) -> None:
    """The model packages there are; --check FILE: whether an archive is safe; --weights DIR --write-lock FILE."""
    words = options(check=check, weights=weights, write_lock=write_lock)
    run("package", *words, *flags(json=json), environment=environment)


@task(positional=["file"])
def batch(
    c: Context,
    file: str,
    pictures: str = "",
    from_s3: str = "",
    connector: str = "",
    dry_run: bool = False,
    keep: bool = False,
    json: bool = False,
    environment: str = "aws",
) -> None:
    """Embed a catalogue by SageMaker batch transform, and index it."""
    words = options(pictures=pictures, **{"from-s3": from_s3}, connector=connector)
    run("batch", file, *words, *flags(dry_run=dry_run, keep=keep, json=json), environment=environment)


@task(positional=["what"])
def deadletters(
    c: Context,
    what: str,
    of: str = "",
    code: str = "",
    id: str = "",
    size: str = "",
    pictures: str = "",
    all: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """What could not be indexed and why: list, show --of ID, replay [--of FILE], drop."""
    words = options(code=code, id=id, size=size, pictures=pictures)
    words += flags(all=all, yes=yes, dry_run=dry_run, json=json)
    run("deadletters", what, *words, *(["--", of] if of else []), environment=environment)


@task
def coverage(
    c: Context,
    catalogue: str = "",
    pictures: str = "",
    deep: str = "",
    ids: str = "",
    json: bool = False,
    environment: str = "local",
) -> None:
    """Which documents lack a vector, or have one of another text, picture or model."""
    words = options(catalogue=catalogue, pictures=pictures, deep=deep, ids=ids)
    run("coverage", *words, *flags(json=json), environment=environment)


@task
def repair(
    c: Context,
    catalogue: str = "",
    pictures: str = "",
    ids: str = "",
    dry_run: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """Make vectors again that coverage finds missing or wrong."""
    words = options(catalogue=catalogue, pictures=pictures, ids=ids)
    run("repair", *words, *flags(dry_run=dry_run, json=json), environment=environment)


@task
def cluster(
    c: Context,
    k: str = "",
    seed: str = "",
    fresh: bool = False,
    apply: bool = False,
    dry_run: bool = False,
    html: str = "",
    images: str = "",
    json: bool = False,
    config: str = "",
    environment: str = "local",
) -> None:
    """Find clusters of products (--k: how many, else measured) and give each its own (--apply: only the latter)."""
    words = [*(["apply"] if apply else []), *options(k=k, seed=seed, html=html, images=images, config=config)]
    run("cluster", *words, *flags(fresh=fresh, dry_run=dry_run, json=json), environment=environment)


@task
def interactions(
    c: Context,
    import_: str = "",
    export: str = "",
    forget: str = "",
    prune: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """What people did with products (--import FILE, --export FILE.csv, --forget USER, --prune DAYS; else a summary)."""
    given = {"import": import_, "export": export, "forget": forget, "prune": prune}
    chosen = [(part, value) for part, value in given.items() if value] or [("status", "")]
    for part, value in chosen:
        words = {"status": [], "export": ["--out", value], "prune": ["--days", value]}.get(part, [value])
        told = {"import": {"dry_run": dry_run, "json": json}, "status": {"json": json}, "export": {}}
        run("interactions", part, *words, *flags(**told.get(part, {"yes": yes})), environment=environment)


@task(positional=["text"])
def search(
    c: Context,
    text: str,
    image: str = "",
    pick: str = "",
    box: str = "",
    prompt: str = "",
    size: int = 10,
    json: bool = False,
    environment: str = "local",
) -> None:
    """Search by text, by picture ("" --image FILE), by both; by one thing in it (--pick N, --prompt, --box)."""
    words = ["--size", str(size), *options(image=image, pick=pick, box=box, prompt=prompt), *flags(json=json)]
    run("search", *words, *(["--", text] if text else []), environment=environment)


@task(positional=["file"], help={"file": 'body of a _search; - for stdin, "" with --template'})
def check_query(
    c: Context,
    file: str,
    index: str = "",
    url_params: str = "",
    template: str = "",
    params: str = "",
    offline: bool = False,
    json: bool = False,
    environment: str = "local",
) -> None:
    """Whether a _search is right: correct, rewritten (exit code 3), or refused with the reason (1)."""
    words = options(index=index, url_params=url_params, template=template, params=params)
    run("check-query", *words, *flags(offline=offline, json=json), *filter(None, [file]), environment=environment)


@task(positional=["picture"])
def detect(
    c: Context,
    picture: str,
    prompt: str = "",
    pick: str = "",
    box: str = "",
    out: str = "",
    catalogue: str = "",
    json: bool = False,
    environment: str = "local",
) -> None:
    """Which objects are in a picture (--prompt "shoes . mugs"), and one of them cropped (--pick N, --box, --out).

    Or "" --catalogue FILE --out FILE.jsonl: a catalogue with a view more for each thing in its pictures.
    """
    words = options(prompt=prompt, pick=pick, box=box, out=out, catalogue=catalogue)
    run("detect", *([picture] if picture else []), *words, *flags(json=json), environment=environment)


@task
def evaluate(
    c: Context,
    queries: str = "",
    qrels: str = "",
    clicks: str = "",
    measures: str = "",
    depth: str = "",
    template: str = "",
    params: str = "",
    weights: str = "",
    save: str = "",
    saved: str = "",
    against: str = "",
    html: str = "",
    data: str = "",
    json: bool = False,
    environment: str = "local",
) -> None:
    """How good the answers of _search are: to --queries judged by --qrels or --clicks (--against "KEY=VALUE …":
    compared with that; --html FILE: as a page); without, the sample catalogue and judged sets below --data."""
    words = options(queries=queries, qrels=qrels, clicks=clicks, measures=measures, depth=depth, template=template)
    words += options(params=params, weights=weights, save=save, saved=saved, html=html, data=data)
    words += [*(["--against", *against.split()] if against else []), *flags(json=json)]
    run("evaluate", *words, environment=environment)


@task
def tune(
    c: Context,
    queries: str = "",
    qrels: str = "",
    clicks: str = "",
    measure: str = "",
    seed: str = "",
    out: str = "",
    write: bool = False,
    json: bool = False,
    config: str = "",
    environment: str = "local",
) -> None:
    """Better weights, technique and boosts by judged queries, as a diff to review (--write: take it)."""
    words = options(queries=queries, qrels=qrels, clicks=clicks, measure=measure, seed=seed, out=out, config=config)
    run("tune", *words, *flags(write=write, json=json), environment=environment)


@task
def preflight(c: Context, json: bool = False, environment: str = "aws") -> None:
    """Whether AWS is ready for deploy: login, quotas, model access; changes nothing."""
    run("preflight", *flags(json=json), environment=environment)


@task
def deploy(
    c: Context,
    policies: str = "",
    timeout: str = "",
    dry_run: bool = False,
    json: bool = False,
    environment: str = "aws",
) -> None:
    """Host the models of this environment on SageMaker (--policies DIR: only write the IAM policies)."""
    words = [*options(policies=policies, timeout=timeout), *flags(dry_run=dry_run, json=json)]
    run("deploy", *words, environment=environment)


@task
def undeploy(
    c: Context,
    yes: bool = False,
    timeout: str = "",
    dry_run: bool = False,
    json: bool = False,
    environment: str = "aws",
) -> None:
    """Delete everything that deploy has made."""
    run("undeploy", *options(timeout=timeout), *flags(yes=yes, dry_run=dry_run, json=json), environment=environment)


@task(positional=["what"])
def personalize(
    c: Context,
    what: str = "status",
    user: str = "",
    data: str = "",
    timeout: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
    environment: str = "aws",
) -> None:
    """A campaign of Amazon Personalize: up (--data FILE.csv), status, down, forget (--user USER)."""
    words = [*([user] if user else []), *options(data=data, timeout=timeout)]
    run("personalize", what, *words, *flags(yes=yes, dry_run=dry_run, json=json), environment=environment)


@task
def stacks(c: Context, out: str = "", terraform: str = "", json: bool = False, environment: str = "aws") -> None:
    """CloudFormation stacks of a deployment (--out DIR), or the same for Terraform (--terraform DIR)."""
    run("stacks", *options(out=out, terraform=terraform), *flags(json=json), environment=environment)


@task
def cost(
    c: Context,
    products: str = "",
    pictures: str = "",
    searches_per_month: str = "",
    searches_per_second: str = "",
    updates_per_month: str = "",
    hours: str = "",
    region: str = "",
    prices: str = "",
    json: bool = False,
    environment: str = "aws",
) -> None:
    """What a deployment will cost on AWS, before anything of it is there."""
    words = options(products=products, pictures=pictures, hours=hours, region=region, prices=prices)
    words += options(searches_per_month=searches_per_month, searches_per_second=searches_per_second)
    words += options(updates_per_month=updates_per_month)
    run("cost", *words, *flags(json=json), environment=environment)


@task
def test(c: Context, only: str = "", extended: bool = False) -> None:
    """All tests that this machine can run (--only PATH: some; --extended: three nodes, lost keys and a kill at every
    request, half an hour); what can't run here is skipped with the reason."""
    chosen = "extended" if extended else "not extended"
    with c.cd(str(ROOT)):
        environment = {"NEURALSHELF_KILL": "all"} if extended else {}
        some = f"-m pytest -m '{chosen}' {only or 'tests'}"
        words = some if only or extended else "tests/run.py"
        c.run(f"{sys.executable} {words}", env=environment, pty=sys.stdout.isatty())


@task
def bench(c: Context) -> None:
    """Benchmarks against the stack that is up, each a ratio of two things run in turn."""
    c.run(f"{sys.executable} {ROOT / 'tests' / 'bench' / 'run.py'}", pty=sys.stdout.isatty())


@task
def check(c: Context) -> None:
    """Style, types and import order."""
    with c.cd(str(ROOT)):
        for tool in ("ruff check .", "ruff format --check .", "mypy", "lint-imports"):
            c.run(str(Path(sys.executable).with_name(tool)))


namespace = Collection(
    *(demo, example, examples, up, down, status),
    *(plan, apply, drift, destroy, unlock, migrate, verify, doctor, rotate, roles),
    *(ingest, embed, backfill, package, packages, deadletters, coverage, repair),
    *(search, check_query, detect, evaluate, tune, cluster, interactions),
    *(preflight, deploy, undeploy, batch, personalize, stacks, cost),
    *(test, bench, check),
)
