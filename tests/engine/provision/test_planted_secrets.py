"""Secrets stand in the environment and, enciphered, in connectors: nowhere else, whatever goes wrong."""

import base64
import json
import secrets
import threading
import traceback
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuralshelf.engine import Engine
from neuralshelf.errors import NeuralshelfError
from tests.engine.provision.conftest import MakeProject
from tests.engine.provision.deployment import ACCESS_KEY, RANKED, SECRET_KEY, Project
from tests.engine.provision.keys import Key, ranking_server
from tests.engine.provision.snapshot import snapshot
from tests.engine.provision.wire import Instead, Request

TOKEN, PASSWORD = "SHOP_SESSION_TOKEN", "SHOP_PASSWORD"
USER = "provisioner"
CLOSED = "http://127.0.0.1:9"


class Planted:
    """A project whose every secret is known, and a look at all that comes out of it."""

    def __init__(self, project: Project, key: Key) -> None:
        self.project = project
        runtime, cluster = project.environment["runtime"], project.environment["cluster"]
        runtime["session_token"] = {"env": TOKEN}
        cluster |= {"auth": "basic", "username": USER, "password": {"env": PASSWORD}}
        project.environ |= {TOKEN: str(key.token), PASSWORD: secrets.token_urlsafe(20)}
        project.write()

    @property
    def hidden(self) -> dict[str, str]:
        """What must not be seen, by name."""
        environ = self.project.environ
        login = base64.b64encode(f"{USER}:{environ[PASSWORD]}".encode()).decode()
        return {**environ, "basic login": login, "signature": "AWS4-HMAC-SHA256"}

    def absent(self, text: str, where: str) -> None:
        """No secret in a text."""
        for name, secret in self.hidden.items():
            for form in (secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode().rstrip("=")):
                assert form not in text, f"{name} is in {where}"

    def run(self, verb: str, *words: str, code: int | tuple[int, ...] | None = 0) -> str:
        """Run a verb and look at what it prints; returns that."""
        done = self.project.run(verb, *words, code=code)
        shown = f"neuralshelf {verb} {' '.join(words)}"
        self.absent(done.out, f"stdout of {shown}")
        self.absent(done.err, f"stderr of {shown}")
        return done.out + done.err

    def look_at_files(self) -> None:
        """No secret in any file below the project's folder: configuration, plans, state, logs."""
        for path in self.project.folder.rglob("*"):
            if path.is_file():
                self.absent(path.read_bytes().decode("utf-8", "replace"), str(path))

    def look_at_the_cluster(self) -> None:
        """No secret in anything that can be read by REST, system indexes included."""
        for key, body in snapshot(self.project.client).items():
            self.absent(json.dumps(body), key)
        url = f"{self.project.wire.target}/.plugins-ml-*,{self.project.prefix}*/_search?size=1000&expand_wildcards=all"
        with urllib.request.urlopen(url, timeout=60) as answer:
            text = answer.read().decode()
        assert self.project.prefix in text
        self.absent(text, "the system indexes")


@pytest.fixture
def planted(engine: Engine, make_project: MakeProject, tmp_path: Path) -> Iterator[Planted]:
    with ranking_server(engine.host_address, tmp_path) as server:
        key = server.keys.issue(temporary=True)
        yield Planted(make_project(RANKED, server=server.served(key)), key)


def test_no_verb_shows_a_secret_and_no_object_or_file_holds_one(planted: Planted) -> None:
    project = planted.project
    planted.run("plan", "--json", "--out", "first.plan")
    planted.run("apply", "first.plan", "--json")
    project.edit("connectors.text.ingest", {"read_timeout": 31})
    planted.run("plan", "--out", "second.plan")
    planted.run("apply", "second.plan")
    project.environ[SECRET_KEY] += "x"  # the plan tells by a hash alone that there is another one
    assert "connector" in planted.run("plan", "--json")
    project.environ[SECRET_KEY] = project.environ[SECRET_KEY][:-1]
    for words in (["drift"], ["drift", "--json"], ["destroy", "--dry-run", "--json"], ["roles", "--out", "roles"]):
        planted.run(*words)
    for words in (["verify", "--json"], ["doctor", "--json"], ["doctor"], ["status"], ["rotate", "--json"]):
        planted.run(*words, code=(0, 1))
    planted.look_at_the_cluster()
    planted.look_at_files()
    planted.run("destroy", "--yes", "--json")


def test_no_failure_shows_a_secret(planted: Planted) -> None:
    project = planted.project
    planted.run("apply")
    cluster, runtime = project.environment["cluster"], project.environment["runtime"]

    right = dict(project.environ)
    for name, verbs in ((SECRET_KEY, ("apply", "rotate", "verify", "doctor")), (ACCESS_KEY, ("apply",))):
        project.environ[name] = "WRONG" + secrets.token_hex(10).upper()
        for verb in verbs:
            planted.run(verb, code=1 if verb in ("apply", "rotate") else (0, 1))
        project.environ = dict(right)

    url = runtime["url"]
    for wrong in (CLOSED, "http://no.such.host.invalid", "http://127.0.0.1:1/" + "path/" * 20):
        runtime["url"] = wrong
        project.write()
        planted.run("apply", code=1)
    planted.run("doctor", code=(0, 1))
    runtime["url"] = url

    address = cluster["url"]
    cluster["url"] = CLOSED
    project.write()
    for words in (["plan"], ["apply"], ["drift"], ["destroy", "--yes"], ["verify"], ["doctor"], ["unlock", "x"]):
        planted.run(*words, code=1)
    cluster["url"] = address

    planted.look_at_the_cluster()
    project.write()
    without = dict(right)
    del without[TOKEN]
    project.environ = without
    missing = project.run("plan", code=2).err
    project.environ = right
    assert TOKEN in missing
    planted.absent(missing, "a plan without a variable")


@pytest.mark.parametrize(
    ("status", "shape"),
    [(400, "reason"), (400, "text"), (400, "root"), (401, "text"), (403, "reason"), (500, "root")],
)
def test_a_cluster_that_repeats_the_request_in_its_refusal_is_not_repeated(
    planted: Planted, status: int, shape: str
) -> None:
    """Proxies and security plugins do this: what the Authorization header said, and the body."""

    def refuse(request: Request) -> None:
        if "connectors/_create" in request.path:
            credential = json.dumps(json.loads(request.body)["credential"])
            said = f"Basic {planted.hidden['basic login']} sent {credential} in {request.body.decode()}"
            inner = {"type": "refused", "reason": f"can't parse [{said}]"}
            error: Any = {"reason": inner, "text": said, "root": {**inner, "root_cause": [inner], "caused_by": inner}}
            raise Instead(status, {"error": error[shape], "status": status})

    planted.project.wire.before = refuse
    shown = planted.run("apply", code=1)
    assert "connector/" in shown
    assert "***" in shown
    planted.project.wire.before = None
    planted.look_at_files()


def test_no_secret_is_in_a_command_line_while_it_works(planted: Planted) -> None:
    there, go = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if request.writes and "connectors" in request.path and not there.is_set():
            there.set()
            go.wait(60)

    planted.project.wire.before = hold
    process = planted.project.start("apply")
    try:
        assert there.wait(60)
        lines = {path: path.read_bytes().decode("utf-8", "replace") for path in Path("/proc").glob("[0-9]*/cmdline")}
    finally:
        go.set()
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert f"/proc/{process.pid}/cmdline" in map(str, lines)
    for path, line in lines.items():
        planted.absent(line, str(path))


def test_no_exception_holds_a_secret(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    project = planted.project
    for name, secret in project.environ.items():
        monkeypatch.setenv(name, secret)

    def refuse(request: Request) -> None:
        if "connectors/_create" in request.path:
            credential = json.loads(request.body)["credential"]
            raise Instead(400, {"error": {"type": "x", "reason": f"no {credential} here"}, "status": 400})

    project.wire.before = refuse
    with project.provisioner() as made:
        planted.absent(repr(made), "repr of the deployment")
        shown = made.plan()
        planted.absent(repr(shown), "repr of the plan")
        with pytest.raises(NeuralshelfError) as caught:
            made.apply(shown)
    fault: BaseException | None = caught.value
    planted.absent("".join(traceback.format_exception(caught.value)), "a traceback")
    while fault is not None:
        planted.absent(f"{fault} {fault!r} {fault.args} {vars(fault)}", type(fault).__name__)
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def test_a_refused_login_is_not_repeated(planted: Planted) -> None:
    def refuse(request: Request) -> None:
        raise Instead(401, {"error": f"Unauthorized: Basic {planted.hidden['basic login']}", "status": 401})

    planted.project.wire.before = refuse
    for verb in ("plan", "apply", "drift", "verify"):
        assert "401" in planted.run(verb, code=1)
    planted.run("doctor", code=(0, 1))


def test_a_secret_in_clear_text_is_refused_and_not_repeated(planted: Planted) -> None:
    right = planted.project.environment
    keys = ("access_key", "secret_key", "session_token")
    for section, key in (("cluster", "password"), ("cluster", "url"), *(("runtime", key) for key in keys)):
        clear = secrets.token_urlsafe(30)
        text = f"http://{USER}:{clear}@127.0.0.1:9200" if key == "url" else clear
        planted.project.environment = right | {section: right[section] | {key: text}}
        planted.project.write()
        done = planted.project.run("apply", code=2)
        assert key in done.err
        assert clear not in done.out + done.err
