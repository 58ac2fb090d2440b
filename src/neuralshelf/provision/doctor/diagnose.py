"""The examination: what the others are built on first, so that causes are reported and not their echoes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from neuralshelf.connectors.probe import rank
from neuralshelf.connectors.ranking import ranking_name
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.deployment import Deployment
from neuralshelf.errors import NeuralshelfError, ProvisionError
from neuralshelf.provision.doctor.asking import Asker, Away, Json, Unanswered, quiet, read_only
from neuralshelf.provision.doctor.cluster import Health, Nodes, Settings, check_version
from neuralshelf.provision.doctor.faults import FAULTS
from neuralshelf.provision.doctor.findings import Diagnosis, Finding, finding
from neuralshelf.provision.doctor.indexes import LiveIndexes
from neuralshelf.provision.doctor.models import Answer, LiveModel, ask_models, check_answers, check_states, read_models
from neuralshelf.provision.doctor.reach import greet, not_opensearch, why_away
from neuralshelf.provision.doctor.vectors import check_dimensions, check_spaces, check_used
from neuralshelf.provision.lock import holder
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.plan import Change
from neuralshelf.provision.provisioner import Provisioner
from neuralshelf.resource import Kind, Resource
from neuralshelf.settings import ClusterConfig


def diagnose(cluster: ClusterConfig, client: OpenSearch, deployment: Deployment, runtime: Runtime) -> Diagnosis:
    """Look at everything between a client of the cluster and the models, and name what is wrong.

    Sends no write; each model is asked once or twice for a vector. A request takes 10 s at most, and a cluster that is
    away is given up after 12 s. Never raises because of the cluster's state.

    Args:
        cluster: as the client was made from; its URL is the client's own where it has none.
    """
    host = client.transport.hosts[0]
    url = cluster.url or f"{host.get('scheme', 'http')}://{host['host']}:{host.get('port', 9200)}"
    with quiet():
        return _Examination(cluster, url, Asker(read_only(client)), deployment, runtime).run()


@dataclass
class _Examination:
    cluster: ClusterConfig
    url: str
    ask: Asker
    deployment: Deployment
    runtime: Runtime
    desired: Sequence[Resource] = ()
    greeting: Json | None = None
    health: Health | None = None
    nodes: Nodes = field(default_factory=lambda: Nodes({}, {}))
    indexes: LiveIndexes | None = None
    models: Sequence[LiveModel] | None = None
    answers: Sequence[Answer] = ()
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> Diagnosis:
        """Each check may rest on what those before it have read."""
        self.desired = self.deployment.resources(self.runtime)
        steps: dict[str, Callable[[], Iterable[Finding]]] = {
            "cluster answers": self._reach,
            "version": lambda: check_version(self.greeting),
            "plugins": self._nodes,
            "health": self._health,
            "cluster settings": self._settings,
            "vector engine": self._engine,
            "index and pipelines": self._indexes,
            "models": self._models,
            "endpoints": self._answers,
            "vectors": self._vectors,
            "ranker": self._ranker,
            "lock": self._lock,
            "configuration": self._drift,
        }
        checks: list[str] = []
        unchecked: list[str] = []
        for name, step in steps.items():
            if any(FAULTS[found.code].ends for found in self.findings):
                unchecked.append(name)
                continue
            try:
                self._keep(step())
                checks.append(name)
            except Unanswered:
                unchecked.append(name)
            except Away as away:
                self._keep([why_away(away.fault, self.url)])
                unchecked.append(name)
        if self.ask.denied:
            self._keep([finding("role-lacks-permission", "cluster", actions=", ".join(self.ask.denied))])
        return Diagnosis(tuple(self.findings), tuple(checks), tuple(unchecked))

    def _keep(self, found: Iterable[Finding]) -> None:
        """What an earlier check has named is not named again by a later one."""
        named = {old.code for old in self.findings}
        for new in found:
            if new.code not in named and new not in self.findings:
                self.findings.append(new)

    def _reach(self) -> Iterator[Finding]:
        self.greeting = greet(self.ask)
        if self.greeting is not None and (other := not_opensearch(self.greeting, self.url)):
            yield other

    def _nodes(self) -> Iterator[Finding]:
        self.nodes = Nodes.read(self.ask)
        yield from self.nodes.check()

    def _health(self) -> Iterator[Finding]:
        self.health = Health.read(self.ask)
        yield from self.health.check()

    def _settings(self) -> Iterator[Finding]:
        yield from Settings.read(self.ask).check(self.desired, self.nodes)

    def _engine(self) -> Iterator[Finding]:
        """Only of the embedded engine it is known that the library is missing."""
        if self.cluster.provider == "embedded" and self.deployment.environment.store.engine == "faiss":
            yield finding("faiss-without-native-library", f"index/{self.deployment.config.index.physical_name}")

    def _indexes(self) -> Iterator[Finding]:
        index = self.deployment.config.index
        self.indexes = LiveIndexes.read(self.ask, alias=index.name, wanted=index.physical_name)
        yield from self.indexes.check(self.health)
        on_faiss = [live for live in self.indexes.found if live.on_faiss]
        if self.cluster.provider == "embedded" and on_faiss:
            yield finding("faiss-without-native-library", f"index/{on_faiss[0].name}")

    def _models(self) -> Iterator[Finding]:
        self.models = read_models(self.ask, self.deployment)
        yield from check_states(self.models)

    def _answers(self) -> Iterator[Finding]:
        self.answers = ask_models(self.ask, self.models or ())
        yield from check_answers(self.answers)
        yield from check_dimensions(self.deployment, self.indexes.found if self.indexes else (), self.answers)

    def _vectors(self) -> Iterator[Finding]:
        if self.indexes is None or self.models is None:
            raise Unanswered
        yield from check_used(self.ask, self.indexes.found, self.models)
        yield from check_spaces(self.indexes.found, self.answers)

    def _ranker(self) -> Iterator[Finding]:
        if self.deployment.config.ranking is None:
            return
        name = ranking_name(self.deployment.prefix)
        hits = self.ask.search("/_plugins/_ml/models/_search", {"query": {"term": {"name.keyword": name}}})
        for model in [hit["_id"] for hit in hits if Marker.find(hit["_source"].get("description"))]:
            try:
                rank(self.ask.client, model, name=name)
            except ProvisionError as fault:
                yield finding("ranker-silent", f"{Kind.MODEL}/{name}", said=fault.message, hint=fault.hint)

    def _lock(self) -> Iterator[Finding]:
        prefix = self.deployment.prefix
        if self.ask.get(f"/{prefix}-lock") is None:
            return
        try:
            held = holder(self.ask.client, prefix)
        except NeuralshelfError as fault:
            yield finding("locked", f"lock/{prefix}-lock", holder=fault.message, id="ID")
            return
        if held is not None:
            yield finding("locked", f"lock/{prefix}-lock", holder=held, id=held.id)

    def _drift(self) -> Iterator[Finding]:
        """What no other finding explains. While somebody is writing, differences say nothing."""
        if any(found.code == "locked" for found in self.findings):
            raise Unanswered
        try:
            found = Provisioner(self.ask.client, self.deployment, self.runtime).plan()
        except (OpenSearchException, NeuralshelfError):
            raise Unanswered from None
        settings = {resource.address for resource in self.desired if resource.kind is Kind.SETTINGS}
        if not found.ids.keys() - settings:
            # what apply sets by itself is no fault before it
            self.findings = [old for old in self.findings if old.subject not in settings]
            yield finding("not-applied", self.deployment.prefix, prefix=self.deployment.prefix)
            return
        if any(found.remedy.startswith("neuralshelf apply") for found in self.findings):
            return  # which mends these, too
        explained = {found.subject for found in self.findings}
        changed = [change for change in (*found.writes, *found.blocked) if not _state_alone(change)]
        left = sorted({change.address for change in changed} - explained)
        if left:
            shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
            yield finding("unapplied-changes", self.deployment.prefix, count=len(left), addresses=shown)


def _state_alone(change: Change) -> bool:
    """A model that is not deployed is the matter of another check."""
    return bool(change.differences) and all(d.path == "model_state" for d in change.differences)
