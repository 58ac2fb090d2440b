"""A deployment in a folder of its own, worked on through the command line by way of a wire that logs everything."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from opensearchpy import OpenSearch
from pydantic import SecretStr

from neuralshelf.client import connect
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.provision.guard import confirm
from neuralshelf.provision.provisioner import Provisioner
from tests.engine.conftest import ServedModels
from tests.engine.provision.wire import Moment, Wire

Json = Any

ENVIRONMENT = "test"
TIMEOUT_SECONDS = 180
ACCESS_KEY, SECRET_KEY = "SHOP_ACCESS_KEY", "SHOP_SECRET_KEY"

FULL: Mapping[str, Json] = {
    "connectors": {
        "text": {"kind": "sagemaker-text", "endpoint": "neuralshelf-minilm", "dimension": 384},
        "picture": {"kind": "sagemaker-clip", "endpoint": "neuralshelf-clip", "dimension": 512},
    },
    "index": {
        "fields": {"title": "text", "brand": "keyword", "price": "float"},
        "vectors": {
            "text_vector": {"connector": "text", "text": ["title", "brand"]},
            "image_vector": {"connector": "picture", "image": "image"},
        },
    },
    "search": {
        "keyword": ["title^3", "brand"],
        "weights": {"keyword": 0.4, "text_vector": 0.3, "image_vector": 0.3},
        "filters": ["brand", "price"],
    },
}
"""Both kinds of connectors, as the sample deployment has them."""

SMALL: Mapping[str, Json] = {
    "connectors": {"text": FULL["connectors"]["text"]},
    "index": {"fields": {"title": "text"}, "vectors": {"text_vector": {"connector": "text", "text": ["title"]}}},
    "search": {"keyword": ["title"], "weights": {"keyword": 0.5, "text_vector": 0.5}},
}
"""The least that can be had."""

RANKED: Mapping[str, Json] = {
    **SMALL,
    "index": {**SMALL["index"], "fields": {"title": "text", "kind": "keyword"}},
    "ranking": {"item": "kind"},
}
"""And hits in the order of the person who asks."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended; `code` is negative when a signal ended it."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Json:
        """What it printed with --json."""
        return json.loads(self.out)


@dataclass
class Project:
    """One configuration and one environment on disk.

    Attributes:
        name: of the project; index and stored templates are called after it, too, so that no two projects meet.
        config, environment: as they will be written by `write`.
        environ: variables of the commands; the secrets stand there.
    """

    folder: Path
    name: str
    client: OpenSearch
    wire: Wire
    server: ServedModels
    config: dict[str, Json]
    environment: dict[str, Json] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(
        cls, folder: Path, name: str, client: OpenSearch, wire: Wire, server: ServedModels, config: Mapping[str, Json]
    ) -> "Project":
        """Write `config`, in the shape of FULL, under this name."""
        made = copy.deepcopy(dict(config))
        made = {"project": name, **made}
        made["index"] = {"name": name, **made["index"]}
        made["search"] = {"template": f"{name}-search", **made["search"]}
        project = cls(folder, name, client, wire, server, made)
        keys = {"access_key": {"env": ACCESS_KEY}, "secret_key": {"env": SECRET_KEY}}
        project.environment = {
            "name": ENVIRONMENT,
            "cluster": {"provider": "url", "url": wire.url},
            "runtime": {"provider": "local", "region": server.region, "url": server.url, **keys},
        }
        project.environ = {ACCESS_KEY: server.access_key, SECRET_KEY: server.secret_key}
        project.write()
        return project

    @property
    def prefix(self) -> str:
        """Beginning of the names of all objects but index and stored templates."""
        return f"{self.name}-{ENVIRONMENT}"

    @property
    def file(self) -> Path:
        """neuralshelf.yaml."""
        return self.folder / "neuralshelf.yaml"

    def write(self) -> None:
        """Put configuration and environment on disk."""
        (self.folder / "environments").mkdir(parents=True, exist_ok=True)
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False), encoding="utf-8")
        text = yaml.safe_dump(self.environment, sort_keys=False)
        (self.folder / "environments" / f"{ENVIRONMENT}.yaml").write_text(text, encoding="utf-8")

    def edit(self, path: str, value: Json) -> None:
        """Set one key of the configuration (dotted), and write it."""
        *parents, last = path.split(".")
        inner = self.config
        for key in parents:
            inner = inner.setdefault(key, {})
        inner[last] = value
        self.write()

    def deployment(self) -> Deployment:
        """As the command line reads it."""
        return Deployment.load(self.file, ENVIRONMENT)

    def runtime(self) -> Runtime:
        """As the command line reads it."""
        made = Runtime(self.server.region)
        return made.at(self.server.url, self.environ[ACCESS_KEY], SecretStr(self.environ[SECRET_KEY]))

    @contextmanager
    def provisioner(self) -> Iterator[Provisioner]:
        """The same verbs in this process, by way of the wire."""
        deployment = self.deployment()
        client = connect(deployment.environment.cluster)
        try:
            yield Provisioner(client, deployment, self.runtime())
        finally:
            client.close()

    def apply(self) -> None:
        """As the verb does, in this process: for tests of something else."""
        with self.provisioner() as made:
            made.apply(made.plan(), show=lambda _: None)
            confirm(made.client, made.deployment)

    def command(self, verb: str, *words: str) -> list[str]:
        """Command line of a verb."""
        where = ["--config", str(self.file), "-e", ENVIRONMENT]
        return [sys.executable, "-m", "neuralshelf", verb, *where, *words]

    def start(self, verb: str, *words: str) -> "subprocess.Popen[str]":
        """A verb in a process of its own; read its pipes with `communicate`."""
        folders = {"NEURALSHELF_STATE": str(self.folder / "state")}
        return subprocess.Popen(
            self.command(verb, *words),
            cwd=self.folder,
            env=os.environ | folders | self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, verb: str, *words: str, code: int | Sequence[int] | None = 0) -> Finished:
        """A verb from beginning to end; `code`: exit codes that are right, None for any. Never a traceback."""
        begun = time.monotonic()
        process = self.start(verb, *words)
        try:
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            process.kill()
            process.wait()
        done = Finished(process.returncode, out, err, time.monotonic() - begun)
        assert "Traceback" not in err, err
        right = [code] if isinstance(code, int) else code
        assert right is None or done.code in right, f"{verb} {words}: exit code {done.code}\n{out}\n{err}"
        return done

    def kill(
        self,
        which: int | str,
        moment: Moment,
        verb: str,
        *words: str,
        writes: bool = False,
        end: Callable[[int], None] | None = None,
    ) -> Finished:
        """A verb that gets SIGKILL at a request (a write), see `Wire.at`; its code is -9, or its own.

        Args:
            end: gets the process id, for another end than SIGKILL.
        """
        end = end or slay
        self.wire.clear()
        started: list[subprocess.Popen[str]] = []
        self.wire.at(which, moment, lambda: end(started[0].pid), writes=writes)
        begun = time.monotonic()
        started.append(self.start(verb, *words))
        out, err = started[0].communicate(timeout=TIMEOUT_SECONDS)
        self.wire.before = self.wire.after = None
        return Finished(started[0].returncode, out, err, time.monotonic() - begun)


def slay(pid: int) -> None:
    """SIGKILL a child and return when it is gone: it must not live to see an error and write more."""
    os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):  # somebody else has waited for it already
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
