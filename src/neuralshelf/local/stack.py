"""Start and stop the local stack, and know where its parts are."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from opensearchpy import OpenSearch
from pydantic import SecretStr

from neuralshelf.aws import Profile
from neuralshelf.client import connect
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import MissingDependencyError, NeuralshelfError, ServerError
from neuralshelf.local.progress import Progress
from neuralshelf.local.state import Running, State
from neuralshelf.settings import ClusterConfig, Folders

STOP_TIMEOUT_SECONDS = 60.0


class _Remote(NeuralshelfError):
    """An error that happened in the supervisor, shown as if it had happened here."""

    def __init__(self, message: str, hint: str, exit_code: int) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def _require_local() -> None:
    """Raises MissingDependencyError when the supervisor would miss a package of the extra `local`."""
    for name in ("uvicorn", "starlette", "jgo", "onnxruntime", "tokenizers"):
        if importlib.util.find_spec(name) is None:
            raise MissingDependencyError(f"{name} is not installed", hint="pip install 'neuralshelf[local,aws]'")


@dataclass(frozen=True)
class Stack:
    """The stack of one configuration and environment on this machine."""

    config: Path
    environment: str
    folders: Folders

    @property
    def state(self) -> State:
        """Its state folder."""
        return State(self.folders.state)

    def running(self) -> Running:
        """Where its parts are.

        Raises:
            ServerError: it is not up.
        """
        found = self.state.running()
        if found is None:
            raise ServerError("nothing is running here", hint="start it with: neuralshelf up (or ./inv up)")
        return found

    def start(self, *, watch: bool = False) -> tuple[Running, "subprocess.Popen[str] | None"]:
        """Bring the stack up, with progress on stderr; one that is up already is left as it is.

        Args:
            watch: let the stack end with this process, even when this process is killed.

        Returns:
            where the parts are, and the supervisor when it was started by this call.

        Raises:
            NeuralshelfError: what the part that failed says.
        """
        found = self.state.running()
        if found is not None:
            return found, None
        _require_local()
        log = self.folders.state / "logs" / "supervisor.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        words = ["--config", str(self.config), "--environment", self.environment]
        words += ["--cache", str(self.folders.cache), "--state", str(self.folders.state)]
        with log.open("ab") as errors:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "neuralshelf.local.supervisor", *words, *(["--watch"] if watch else [])],
                stdin=subprocess.PIPE if watch else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        try:
            self._follow(supervisor, log)
        except BaseException:
            if supervisor.poll() is None:
                supervisor.terminate()
                supervisor.wait(STOP_TIMEOUT_SECONDS)
            raise
        return self.running(), supervisor

    def _follow(self, supervisor: "subprocess.Popen[str]", log: Path) -> None:
        assert supervisor.stdout is not None
        with Progress() as progress:
            for line in supervisor.stdout:
                event = json.loads(line)
                if event["event"] == "progress":
                    progress.update(event["step"], event["done"], event["total"])
                elif event["event"] == "error":
                    supervisor.wait(STOP_TIMEOUT_SECONDS)
                    raise _Remote(event["message"], event["hint"], event["exit_code"])
                elif event["event"] == "ready":
                    return
        raise ServerError(f"the stack ended while starting (status {supervisor.wait()})", hint=f"see {log}")

    def stop(self) -> bool:
        """Take the stack down and wait for its end; False when nothing was up."""
        found = self.state.running()
        if found is None:
            return False
        os.kill(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            try:
                os.kill(found.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.1)
        raise ServerError(f"the stack (process {found.pid}) did not end in time", hint=f"kill {found.pid}")

    def purge(self, cluster: ClusterConfig) -> None:
        """Delete the data of a stack that is down: index, keys, ports, logs. The cache stays."""
        if self.state.running() is not None:
            raise ServerError("the stack is up", hint="neuralshelf down --purge")
        if cluster.provider == "container":
            from neuralshelf.engine.container import ContainerEngine

            ContainerEngine(cluster, self.folders).remove_data()
        shutil.rmtree(self.folders.state, ignore_errors=True)

    def client(self, deployment: Deployment, *, pool: int = 10) -> OpenSearch:
        """A client of the cluster: one that has an address needs nothing to be up here.

        Raises:
            ServerError: it would have to be up.
        """
        cluster = deployment.environment.cluster
        return connect(cluster, cluster.url or self.running().engine_url, pool=pool)

    def runtime(self, deployment: Deployment, profile: Profile | None = None) -> Runtime:
        """Where OpenSearch finds the models, with the keys that are accepted there.

        Args:
            profile: see `Runtime.from_config`.

        Raises:
            ServerError: that is a server of this stack, which is not up.
            DeployError: the role of `deploy` is needed, and nobody is logged in to AWS.
        """
        config = deployment.environment.runtime
        if deployment.environment.uses_deployed_role:
            from neuralshelf.deploy.login import invoke_role_arn

            return replace(Runtime.from_config(config), role_arn=invoke_role_arn(deployment))
        if config.provider == "aws" or config.url is not None:
            return Runtime.from_config(config, profile)
        url = self.running().runtime_url
        if url is None:
            raise ServerError("no model server is up here", hint="neuralshelf down, then up")
        access, secret = self.state.keys()
        return Runtime.from_config(config).at(url, access, SecretStr(secret))
