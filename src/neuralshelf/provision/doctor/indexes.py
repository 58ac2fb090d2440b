"""The indexes that are searched: alias, blocks, default pipelines, and which model makes which vector."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neuralshelf.provision.doctor.asking import Asker, Json
from neuralshelf.provision.doctor.cluster import Health
from neuralshelf.provision.doctor.findings import Finding, finding
from neuralshelf.provision.marker import Marker

_BLOCKS = ("index.blocks.read_only_allow_delete", "index.blocks.read_only", "index.blocks.write")
_FLOOD = "index.blocks.read_only_allow_delete"
_NORMALISERS = {"normalization-processor", "score-ranker-processor"}


@dataclass(frozen=True)
class LiveIndex:
    """An index as it is.

    Attributes:
        settings: flat.
        ingest, search: bodies of its default pipelines; None where there is none of that name.
    """

    name: str
    aliases: tuple[str, ...]
    settings: Mapping[str, Any]
    mappings: Mapping[str, Any]
    ingest: Mapping[str, Any] | None = None
    search: Mapping[str, Any] | None = None

    @property
    def ingest_name(self) -> str | None:
        """Of the default ingest pipeline."""
        return _name(self.settings.get("index.default_pipeline"))

    @property
    def search_name(self) -> str | None:
        """Of the default search pipeline."""
        return _name(self.settings.get("index.search.default_pipeline"))

    @property
    def vectors(self) -> dict[str, int]:
        """Vector field -> dimension."""
        properties = self.mappings.get("properties", {})
        return {n: int(p["dimension"]) for n, p in properties.items() if p.get("type") == "knn_vector"}

    @property
    def ours(self) -> bool:
        """It carries a marker."""
        return Marker.find(self.mappings.get("_meta", {}).get("neuralshelf")) is not None

    @property
    def on_faiss(self) -> bool:
        """A vector field without a named engine is faiss's."""
        properties = self.mappings.get("properties", {}).values()
        vectors = [p for p in properties if p.get("type") == "knn_vector"]
        return any(p.get("method", {}).get("engine", "faiss") == "faiss" for p in vectors)

    def models(self) -> dict[str, set[str]]:
        """Model id -> vector fields that it makes, or is asked for, in the default pipelines."""
        used: dict[str, set[str]] = {}
        for processor in (self.ingest or {}).get("processors", []):
            for kind, options in processor.items():
                if kind == "text_embedding":
                    used.setdefault(str(options["model_id"]), set()).update(options["field_map"].values())
                elif kind == "text_image_embedding":
                    used.setdefault(str(options["model_id"]), set()).add(options["embedding"])
        for processor in (self.search or {}).get("request_processors", []):
            options = processor.get("neural_query_enricher", {})
            for name, model in options.get("neural_field_default_id", {}).items():
                used.setdefault(str(model), set()).add(name)
            if "default_model_id" in options:
                used.setdefault(str(options["default_model_id"]), set())
        return used


def _name(value: object) -> str | None:
    return None if value in (None, "_none") else str(value)


@dataclass(frozen=True)
class LiveIndexes:
    """What the alias names, and the index of the configuration.

    Attributes:
        taken: an index has the name that should be the alias.
    """

    alias: str
    wanted: str
    found: tuple[LiveIndex, ...] = ()
    taken: bool = False

    @classmethod
    def read(cls, ask: Asker, *, alias: str, wanted: str) -> "LiveIndexes":
        """Raises: Away, Unanswered."""
        bodies: dict[str, Json] = {}
        for name in (alias, wanted):
            bodies |= ask.get(f"/{name}", flat_settings="true") or {}
        found = tuple(_read(ask, name, body) for name, body in bodies.items() if name != alias)
        return cls(alias, wanted, found, alias in bodies)

    @property
    def searched(self) -> tuple[LiveIndex, ...]:
        """Those that carry the alias."""
        return tuple(index for index in self.found if self.alias in index.aliases)

    def check(self, health: Health | None) -> Iterator[Finding]:
        """All that can be seen without asking a model."""
        if self.taken:
            yield finding("alias-taken-by-index", f"index/{self.wanted}", alias=self.alias)
        elif self.found and not self.searched:
            yield finding("alias-missing", f"index/{self.wanted}", alias=self.alias)
        elif len(self.searched) > 1:
            names = ", ".join(sorted(index.name for index in self.searched))
            yield finding("alias-on-many", f"index/{self.wanted}", alias=self.alias, indexes=names)
        for index in self.found:
            yield from _check_state(index, health)
            if index.ours or len(self.searched) < 2:  # of somebody else's index the alias is what is wrong
                yield from _check_pipelines(index)


def _read(ask: Asker, name: str, body: Json) -> LiveIndex:
    bare = LiveIndex(name, tuple(body["aliases"]), body["settings"], body["mappings"])
    ingest, search = bare.ingest_name, bare.search_name
    return LiveIndex(
        bare.name,
        bare.aliases,
        bare.settings,
        bare.mappings,
        (ask.get(f"/_ingest/pipeline/{ingest}") or {}).get(ingest) if ingest else None,
        (ask.get(f"/_search/pipeline/{search}") or {}).get(search) if search else None,
    )


def _check_state(index: LiveIndex, health: Health | None) -> Iterator[Finding]:
    subject = f"index/{index.name}"
    if health is not None and health.indexes.get(index.name) == "red":
        yield finding("index-red", subject, index=index.name)
    for setting in _BLOCKS:
        if str(index.settings.get(setting)).lower() == "true":
            why = " (OpenSearch sets it when a disk is nearly full)" if setting == _FLOOD else ""
            yield finding("index-read-only", subject, index=index.name, setting=setting, why=why)


def _check_pipelines(index: LiveIndex) -> Iterator[Finding]:
    subject = f"index/{index.name}"
    if index.ingest_name is None:
        yield finding("ingest-without-pipeline", subject, index=index.name)
    elif index.ingest is None:
        yield _missing(index, "ingest", index.ingest_name)
    if index.search_name is None:
        yield finding("search-without-normalisation", subject, index=index.name, said="no default search pipeline")
    elif index.search is None:
        yield _missing(index, "search", index.search_name)
    else:
        phases = index.search.get("phase_results_processors", [])
        if not any(_NORMALISERS & set(processor) for processor in phases):
            said = f"search pipeline {index.search_name} does not normalise scores"
            yield finding(
                "search-without-normalisation", f"search-pipeline/{index.search_name}", index=index.name, said=said
            )


def _missing(index: LiveIndex, kind: str, pipeline: str) -> Finding:
    what = "write" if kind == "ingest" else "search"
    subject = f"{kind}-pipeline/{pipeline}"
    return finding("pipeline-missing", subject, index=index.name, kind=kind, pipeline=pipeline, what=what)
