"""Where things are: folders on this machine, the cluster, the model runtime. Read once, frozen."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from neuralshelf.frozen import Frozen
from neuralshelf.hosting import Hosting
from neuralshelf.secrets import SecretRef as SecretRef


class ClusterConfig(Frozen):
    """Which OpenSearch, and how to log in to it."""

    provider: Literal["url", "container", "embedded"] = "embedded"
    url: str | None = None
    auth: Literal["none", "basic", "sigv4"] = "none"
    username: str | None = None
    password: SecretRef | None = None
    region: str | None = None
    service: Literal["es", "aoss"] = "es"
    ca_certs: str | None = None
    java_heap: str = Field(default="1g", pattern=r"^[1-9][0-9]*[mg]$")
    http_port: int | None = Field(default=None, ge=1024, le=65535)

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if value is not None and "@" in value.split("//", 1)[1].split("/", 1)[0]:
            raise ValueError("holds a user name or password; use username and password: {env: NAME}")
        return value.rstrip("/") if value else value

    @model_validator(mode="after")
    def _complete(self) -> "ClusterConfig":
        if self.provider == "url" and self.url is None:
            raise ValueError("provider url needs url")
        if self.provider != "url" and self.url is not None:
            raise ValueError(f"url is only for provider url, not {self.provider}")
        if self.auth == "basic" and (self.username is None or self.password is None):
            raise ValueError("auth basic needs username and password")
        if self.auth == "sigv4" and self.region is None:
            raise ValueError("auth sigv4 needs region")
        return self


class RuntimeConfig(Frozen):
    """Where the models answer: AWS itself, or the model server of this project at `url`.

    The credentials are those of `profile` (of the AWS configuration, also one of SSO or of an assumed role), or
    `access_key`, `secret_key` and `session_token`. On Amazon OpenSearch Service it is `role_arn` instead of them.
    With `detector`, the model server that `up` starts also finds things in pictures; `visual` is a file of lite's
    fine-tuned visual block, which it then uses (a path beside neuralshelf.yaml).
    """

    provider: Literal["aws", "local"] = "local"
    region: str = Field(default="us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    url: str | None = None
    detector: bool = False
    visual: str | None = Field(default=None, min_length=1)
    profile: str | None = Field(default=None, min_length=1)
    access_key: SecretRef | None = None
    secret_key: SecretRef | None = None
    session_token: SecretRef | None = None
    role_arn: str | None = Field(default=None, pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")

    @field_validator("region")
    @classmethod
    def _has_models(cls, value: str) -> str:
        if value.startswith("cn-"):
            raise ValueError("regions of AWS China have other host names and are not supported")
        return value

    @model_validator(mode="after")
    def _complete(self) -> "RuntimeConfig":
        keys = (self.access_key, self.secret_key, self.session_token)
        if (self.profile is not None) + any(keys) + (self.role_arn is not None) > 1:
            raise ValueError("give one of profile, access_key with secret_key, and role_arn")
        if any(keys) and not all(keys[:2]):
            raise ValueError("access_key and secret_key belong together")
        if self.detector and (self.provider != "local" or self.url is not None):
            raise ValueError("detector is of the model server that up starts: provider local without a url")
        if self.visual and (self.provider != "local" or self.url is not None):
            raise ValueError("visual is of the model server that up starts: provider local without a url")
        return self

    @property
    def visual_file(self) -> Path | None:
        """`visual` as a path."""
        return None if self.visual is None else Path(self.visual)

    @property
    def has_credentials(self) -> bool:
        """It says with what the models are called."""
        return any((self.profile, self.access_key, self.role_arn))


class VectorStore(Frozen):
    """How the cluster keeps vectors and how many copies."""

    engine: Literal["lucene", "faiss"] = "lucene"
    shards: int = Field(default=1, ge=1, le=1024)
    replicas: int = Field(default=0, ge=0, le=10)


class Environment(Frozen):
    """One file of `environments/`: all that differs between a laptop and AWS."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    cluster: ClusterConfig = ClusterConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    store: VectorStore = VectorStore()
    hosting: Hosting | None = None

    @model_validator(mode="after")
    def _models_can_be_called(self) -> "Environment":
        if self.runtime.provider == "aws" and not self.runtime.has_credentials and self.hosting is None:
            raise ValueError(
                "runtime: provider aws needs role_arn, profile, or access_key and secret_key; "
                "or a section hosting, whose role deploy makes"
            )
        return self

    def in_folder(self, folder: Path) -> "Environment":
        """With the path of `visual` below `folder`, if it is a relative one."""
        if self.runtime.visual is None:
            return self
        runtime = self.runtime.model_copy(update={"visual": str(folder.resolve() / self.runtime.visual)})
        return self.model_copy(update={"runtime": runtime})

    @property
    def uses_deployed_role(self) -> bool:
        """OpenSearch calls the models by the role that `deploy` makes."""
        return self.hosting is not None and self.runtime.provider == "aws" and not self.runtime.has_credentials


@dataclass(frozen=True)
class Folders:
    """Where this user's files go.

    Attributes:
        cache: fetched artefacts and built models, shared by all deployments; can be deleted at any time.
        state: one deployment's engine data, logs, ports and keys.
    """

    cache: Path
    state: Path

    @classmethod
    def default(cls, project: Path, environ: Mapping[str, str] | None = None) -> "Folders":
        """`NEURALSHELF_CACHE` and `NEURALSHELF_STATE`, else the XDG folders; as root below /var, since the engine
        runs as another user there and can't enter root's home. `project` tells checkouts apart."""
        env = os.environ if environ is None else environ
        root = os.geteuid() == 0
        home = Path(env.get("HOME", "~")).expanduser()
        cache = Path(env["XDG_CACHE_HOME"]) if env.get("XDG_CACHE_HOME") else home / ".cache"
        state = Path(env["XDG_STATE_HOME"]) if env.get("XDG_STATE_HOME") else home / ".local" / "state"
        if root:
            cache, state = Path("/var/cache"), Path("/var/lib")
        slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(project.resolve())).strip("-") or "root"
        return cls(
            cache=Path(env.get("NEURALSHELF_CACHE") or cache / "neuralshelf"),
            state=Path(env.get("NEURALSHELF_STATE") or state / "neuralshelf" / slug[-80:]),
        )
