"""The cluster itself: version, plugins, indexes of ML Commons, settings that stand in the way."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from neuralshelf.provision.doctor.asking import Asker, Json
from neuralshelf.provision.doctor.findings import Finding, finding
from neuralshelf.resource import Kind, Resource

LEAST_VERSION = (2, 19)
PLUGINS = {"opensearch-ml": "ML Commons", "opensearch-knn": "k-NN", "opensearch-neural-search": "neural search"}

_ML = "plugins.ml_commons."
_TRUSTED = f"{_ML}trusted_connector_endpoints_regex"
_PRIVATE = f"{_ML}connector.private_ip_enabled"
_ROLES = f"{_ML}task_dispatcher.eligible_node_role.remote_model"
_EXCLUDED = f"{_ML}exclude_nodes._name"
_REMOTE = (f"{_ML}remote_inference.enabled", f"{_ML}remote_inference_enabled")
_BLOCKS = ("cluster.blocks.read_only", "cluster.blocks.read_only_allow_delete", "cluster.blocks.create_index")
_SYSTEM = ".plugins-ml-"


def check_version(greeting: Json | None) -> Iterator[Finding]:
    """Of the answer to `GET /`; a login that may not ask is not asked for more."""
    if greeting is None:
        return
    numbers = str(greeting["version"].get("number", ""))
    if tuple(int(part) for part in numbers.split(".")[:2] if part.isdigit()) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        yield finding("version-too-old", "cluster", version=numbers, least=least)


@dataclass(frozen=True)
class Nodes:
    """Node -> its roles, and node -> its plugins; both empty for a cluster that does not tell."""

    roles: Mapping[str, frozenset[str]]
    plugins: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, ask: Asker) -> "Nodes":
        """Raises: Away, Unanswered."""
        answer = ask.get("/_nodes/plugins", filter_path="nodes.*.name,nodes.*.roles,nodes.*.plugins.name") or {}
        nodes = sorted(answer.get("nodes", {}).values(), key=lambda node: str(node["name"]))
        return cls(
            {str(node["name"]): frozenset(node.get("roles", ())) for node in nodes},
            {str(node["name"]): frozenset(p["name"] for p in node["plugins"]) for node in nodes if "plugins" in node},
        )

    def check(self) -> Iterator[Finding]:
        """Every node needs the plugins."""
        lacking: dict[tuple[str, ...], list[str]] = {}
        for node, present in self.plugins.items():
            if missing := tuple(f"{plugin} ({what})" for plugin, what in PLUGINS.items() if plugin not in present):
                lacking.setdefault(missing, []).append(node)
        for missing, where in lacking.items():
            yield finding("plugin-missing", "cluster", nodes=", ".join(where), plugins=", ".join(missing))


@dataclass(frozen=True)
class Health:
    """Index -> green, yellow or red; what this login may see."""

    indexes: Mapping[str, str]

    @classmethod
    def read(cls, ask: Asker) -> "Health":
        """Raises: Away, Unanswered."""
        answer = ask.get("/_cluster/health", level="indices") or {}
        return cls({name: str(state["status"]) for name, state in answer.get("indices", {}).items()})

    def check(self) -> Iterator[Finding]:
        """The indexes that ML Commons keeps its objects in."""
        for name, status in sorted(self.indexes.items()):
            if name.startswith(_SYSTEM) and status == "red":
                yield finding("system-index-red", name, index=name)
        # A new key is made when a node starts without one, so a missing index shows before that only.
        if f"{_SYSTEM}connector" in self.indexes and f"{_SYSTEM}config" not in self.indexes:
            said = f"{_SYSTEM}config is not there"
            yield finding("master-key-lost", f"{_SYSTEM}config", said=said)


@dataclass(frozen=True)
class Settings:
    """Cluster settings in force: transient before persistent before the default."""

    values: Mapping[str, Any]

    @classmethod
    def read(cls, ask: Asker) -> "Settings":
        """Raises: Away, Unanswered."""
        answer = ask.get("/_cluster/settings", flat_settings="true", include_defaults="true") or {}
        return cls({**answer.get("defaults", {}), **answer.get("persistent", {}), **answer.get("transient", {})})

    def on(self, key: str) -> bool | None:
        """Of a switch; None when it is not known."""
        value = self.values.get(key)
        return None if value is None else str(value).lower() == "true"

    def listed(self, key: str) -> list[str] | None:
        """Of a list, which a cluster may show as text."""
        value = self.values.get(key)
        if value is None:
            return None
        return [str(item) for item in value] if isinstance(value, list) else [v for v in str(value).split(",") if v]

    def check(self, desired: Sequence[Resource], nodes: Nodes) -> Iterator[Finding]:
        """What keeps the deployment from being made or used."""
        for key in _BLOCKS:
            if self.on(key):
                yield finding("cluster-read-only", "cluster", setting=key)
        if any(self.on(key) is False for key in _REMOTE):
            yield finding("remote-models-disabled", "cluster")
        urls = sorted({url for resource in desired for url in connector_urls(resource.kind, resource.body)})
        patterns = self.listed(_TRUSTED)
        untrusted = [] if patterns is None else [url for url in urls if not _matched(patterns, url)]
        for place in dict.fromkeys(map(origin, untrusted)):
            yield finding("endpoint-not-trusted", _owner(_TRUSTED, desired), url=place)
        if self.on(_PRIVATE) is not True and (private := [url for url in urls if _is_private(url)]):
            yield finding("private-address-refused", _owner(_PRIVATE, desired), url=origin(private[0]))
        yield from self._check_nodes(nodes)

    def _check_nodes(self, nodes: Nodes) -> Iterator[Finding]:
        eligible, excluded = self.listed(_ROLES), self.listed(_EXCLUDED) or []
        if eligible is None or any(nodes.roles[node] & set(eligible) for node in nodes.roles.keys() - set(excluded)):
            return
        if nodes.roles:
            said = f"{_ROLES} is {', '.join(eligible) or 'empty'}, and no node has that role"
            left_out = f"; {_EXCLUDED} leaves out {', '.join(excluded)}" if excluded else ""
            yield finding("no-node-for-models", "cluster", said=said + left_out)


def connector_urls(kind: Kind, body: Mapping[str, Any]) -> list[str]:
    """Where a connector's body sends requests; [] of any other object."""
    if kind is not Kind.CONNECTOR:
        return []
    return [str(action["url"]) for action in body.get("actions", []) if "url" in action]


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _owner(key: str, desired: Iterable[Resource]) -> str:
    """The address of the resource that sets `key`; "cluster" when apply leaves it as it is."""
    settings = (r for r in desired if r.kind is Kind.SETTINGS and key in r.body["persistent"])
    return next((resource.address for resource in settings), "cluster")


def _matched(patterns: Iterable[str], url: str) -> bool:
    """Whether a pattern takes the whole URL; one that only Java understands counts, since it can't be told here."""
    for pattern in patterns:
        try:
            if re.fullmatch(pattern, url):
                return True
        except re.error:
            return True
    return False


def _is_private(url: str) -> bool:
    """Of an address written as numbers; names are the cluster's to resolve."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:
        return False
