"""invoke tasks: the verbs of the command line, and the chores of development. No logic here."""

import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from neuralshelf.cli.tasks import Verbs, options

ROOT = Path(__file__).resolve().parent

verb = Verbs(ROOT / "neuralshelf.yaml")


@verb()
def demo(once: bool = False) -> None:
    """Start everything, ingest the sample catalogue, show hits; stays up till Ctrl-C (--once: stops)."""


@verb("name")
def example(name: str, once: bool = False, json: bool = False) -> None:
    """Run one of the systems in examples/, as demo does."""


@verb(called="example")
def examples() -> None:
    """The systems in examples/."""


@verb()
def up() -> None:
    """Start engine, model server and search page, and provision."""


@verb()
def down(purge: bool = False) -> None:
    """Stop what up started; data is kept unless --purge."""


@verb()
def status(json: bool = False) -> None:
    """What is up, in which version, how healthy, holding how much."""


@verb()
def plan(out: str = "", adopt: bool = False, detailed_exitcode: bool = False, json: bool = False) -> None:
    """What apply would change, path by path (--out FILE: save it for apply); changes nothing."""


@verb(bare=("plan",))
def apply(plan: str = "", adopt: bool = False, json: bool = False) -> None:
    """Make the cluster hold what the configuration says (--plan FILE: exactly a saved plan)."""


@verb()
def drift(detailed_exitcode: bool = False, json: bool = False) -> None:
    """What somebody has changed in the cluster by hand."""


@verb()
def destroy(yes: bool = False, dry_run: bool = False, json: bool = False) -> None:
    """Take everything of this deployment away, documents included."""


@verb("id")
def unlock(id: str) -> None:
    """Take the lock away from a writer that is surely dead."""


@verb()
def migrate(
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
) -> None:
    """Another embedding model while reads and writes go on; --status, --rollback, --finish."""


@verb()
def verify(json: bool = False) -> None:
    """Whether models, pipelines and index fit each other, asked of every node."""


@verb()
def doctor(json: bool = False) -> None:
    """What is wrong with cluster, models or deployment, and what to do about it."""


@verb()
def rotate(force: bool = False, watch: bool = False, every: str = "", json: bool = False) -> None:
    """New credentials, endpoint or client settings into live connectors (--watch: whenever they change)."""


@verb()
def roles(out: str = "") -> None:
    """Least-privilege roles of the security plugin for this deployment (--out DIR: as files)."""


@verb("file")
def ingest(
    file: str,
    pictures: str = "",
    dry_run: bool = False,
    restart: bool = False,
    full_speed: bool = False,
    json: bool = False,
) -> None:
    """Index a catalogue (JSON lines, CSV or Parquet with id, title, description, price …, image: a picture's name)."""


@verb("file")
def embed(file: str, out: str, pictures: str = "", json: bool = False) -> None:
    """Embed a catalogue with the models of this machine, into a file of vectors (--out) for backfill."""


@verb("file", bare=("vectors",), iterable=["vectors"])
def backfill(
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
) -> None:
    """Index a catalogue with vectors made in bulk (--vectors FILE); --requests DIR writes what those are made from."""


@verb("name")
def package(
    name: str, weights: str = "", out: str = "", weights_lock: str = "", dry_run: bool = False, json: bool = False
) -> None:
    """Make a model.tar.gz (--out FILE) from a model package and its --weights DIR."""


@verb(called="package")
def packages(check: str = "", weights: str = "", write_lock: str = "", json: bool = False) -> None:
    """The model packages there are; --check FILE: whether an archive is safe; --weights DIR --write-lock FILE."""


@verb("file", environment="aws")
def batch(
    file: str,
    pictures: str = "",
    from_s3: str = "",
    connector: str = "",
    dry_run: bool = False,
    keep: bool = False,
    json: bool = False,
) -> None:
    """Embed a catalogue by SageMaker batch transform, and index it."""


@verb("what")
def deadletters(
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
) -> list[str]:
    """What could not be indexed and why: list, show --of ID, replay [--of FILE], drop."""
    words = options(code=code, id=id, size=size, pictures=pictures, all=all, yes=yes, dry_run=dry_run, json=json)
    return [what, *words, *(["--", of] if of else [])]


@verb()
def coverage(catalogue: str = "", pictures: str = "", deep: str = "", ids: str = "", json: bool = False) -> None:
    """Which documents lack a vector, or have one of another text, picture or model."""


@verb()
def repair(catalogue: str = "", pictures: str = "", ids: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Make vectors again that coverage finds missing or wrong."""


@verb()
def cluster(
    k: str = "",
    seed: str = "",
    fresh: bool = False,
    apply: bool = False,
    dry_run: bool = False,
    html: str = "",
    images: str = "",
    json: bool = False,
    config: str = "",
) -> list[str]:
    """Find clusters of products (--k: how many, else measured) and give each its own (--apply: only the latter)."""
    words = options(k=k, seed=seed, html=html, images=images, config=config, fresh=fresh, dry_run=dry_run, json=json)
    return [*(["apply"] if apply else []), *words]


@verb()
def interactions(
    import_: str = "",
    export: str = "",
    forget: str = "",
    prune: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """What people did with products (--import FILE, --export FILE.csv, --forget USER, --prune DAYS; else a summary)."""


@verb("text")
def search(
    text: str,
    image: str = "",
    pick: str = "",
    box: str = "",
    prompt: str = "",
    size: int = 10,
    user: str = "",
    user_weight: str = "",
    json: bool = False,
) -> list[str]:
    """Search by text, by picture ("" --image FILE), by both; by a thing in it (--pick N, --prompt, --box); as a person
    (--user NAME, --user-weight W)."""
    words = options(
        size=size, image=image, pick=pick, box=box, prompt=prompt, user=user, user_weight=user_weight, json=json
    )
    return [*words, *(["--", text] if text else [])]


@verb("file", help={"file": 'body of a _search; - for stdin, "" with --template'})
def check_query(
    file: str,
    index: str = "",
    url_params: str = "",
    template: str = "",
    params: str = "",
    offline: bool = False,
    json: bool = False,
) -> None:
    """Whether a _search is right: correct, rewritten (exit code 3), or refused with the reason (1)."""


@verb("picture")
def detect(
    picture: str,
    prompt: str = "",
    pick: str = "",
    box: str = "",
    out: str = "",
    catalogue: str = "",
    json: bool = False,
) -> None:
    """Which objects are in a picture (--prompt "shoes . mugs"), and one of them cropped (--pick N, --box, --out).

    Or "" --catalogue FILE --out FILE.jsonl: a catalogue with a view more for each thing in its pictures.
    """


@verb()
def evaluate(
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
) -> list[str]:
    """How good the answers of _search are: to --queries judged by --qrels or --clicks (--against "KEY=VALUE …":
    compared with that; --html FILE: as a page); without, the sample catalogue and judged sets below --data."""
    words = options(queries=queries, qrels=qrels, clicks=clicks, measures=measures, depth=depth, template=template)
    words += options(params=params, weights=weights, save=save, saved=saved, html=html, data=data, json=json)
    return [*words, *(["--against", *against.split()] if against else [])]


@verb()
def tune(
    queries: str = "",
    qrels: str = "",
    clicks: str = "",
    measure: str = "",
    seed: str = "",
    out: str = "",
    write: bool = False,
    json: bool = False,
    config: str = "",
) -> None:
    """Better weights, technique and boosts by judged queries, as a diff to review (--write: take it)."""


@verb(environment="aws")
def preflight(json: bool = False) -> None:
    """Whether AWS is ready for deploy: login, quotas, model access; changes nothing."""


@verb(environment="aws")
def deploy(policies: str = "", timeout: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Host the models of this environment on SageMaker (--policies DIR: only write the IAM policies)."""


@verb(environment="aws")
def undeploy(yes: bool = False, timeout: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Delete everything that deploy has made."""


@verb("what", bare=("user",), environment="aws")
def personalize(
    what: str,
    user: str = "",
    data: str = "",
    timeout: str = "",
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """A campaign of Amazon Personalize: up (--data FILE.csv), status, down, forget (--user USER)."""


@verb(environment="aws")
def stacks(out: str = "", terraform: str = "", json: bool = False) -> None:
    """CloudFormation stacks of a deployment (--out DIR), or the same for Terraform (--terraform DIR)."""


@verb(environment="aws")
def cost(
    products: str = "",
    pictures: str = "",
    searches_per_month: str = "",
    searches_per_second: str = "",
    updates_per_month: str = "",
    hours: str = "",
    region: str = "",
    prices: str = "",
    json: bool = False,
) -> None:
    """What a deployment will cost on AWS, before anything of it is there."""


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
