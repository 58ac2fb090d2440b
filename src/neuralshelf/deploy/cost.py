"""What a deployment will cost on AWS, before anything of it is there. The formulas are those of docs/cost.md."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from neuralshelf.connectors.spec import BedrockTitanMultimodal, ConnectorSpec
from neuralshelf.deploy.prices import Prices, Source
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.hosting import EndpointHosting

MONTH_HOURS = 730
GB = 1e9
SMALLEST_VOLUME_GB = 10  # of a gp3 volume of a data node
VECTOR_OVERHEAD = 44
"""Bytes of a float vector on disk besides 4 a dimension: 1,580 for 384, 4,140 for 1,024 (docs/ingestion.md)."""

NOT_COUNTED = (
    "data transfer, VPC endpoints, CloudWatch logs, secrets, taxes",
    "volumes of SageMaker instances, provisioned concurrency, repeated calls after errors",
    "free tiers, Savings Plans and reserved instances, which lower it",
)


class Assumption(NamedTuple):
    """A number that an estimate needs and nobody has measured yet for this catalogue."""

    value: float
    unit: str
    why: str


ASSUMPTIONS: Mapping[str, Assumption] = {
    "document-bytes": Assumption(2000, "bytes", "fields of a document, as the index keeps them"),
    "picture-bytes": Assumption(100_000, "bytes", "a picture; it travels in base64, a third longer"),
    "text-bytes": Assumption(200, "bytes", "a text on its way to a model"),
    "text-tokens": Assumption(50, "tokens", "a text, as Titan counts it"),
    "text-seconds": Assumption(0.1, "seconds", "a serverless endpoint works on a text; measure your own"),
    "picture-seconds": Assumption(0.4, "seconds", "a serverless endpoint works on a picture; measure your own"),
    "pictures-per-second": Assumption(4.4, "per second", "an instance in batch transform: about 1,600 in 6 minutes"),
    "archive-bytes": Assumption(600e6, "bytes", "the archive of a model"),
    "interactions": Assumption(100_000, "interactions", "that a ranking learns from"),
    "interaction-bytes": Assumption(60, "bytes", "a row of them"),
    "trainings": Assumption(4, "a month", "personalize up with new interactions, once a week"),
    "training-hours": Assumption(
        2.135, "hours", "one for 100,000 interactions, told of User-Personalization; measure your own"
    ),
    "disk-factor": Assumption(1.45, "times", "disk beside the index, AWS's own advice on sizing domains"),
}


@dataclass(frozen=True)
class Usage:
    """What is kept and asked.

    Attributes:
        pictures: of all products together.
        searches, updates: a month. An update makes all vectors of its document anew.
        picture_share: of the searches, from 0 to 1; the others are texts.
        hours: a month, that domain and instances are up.
        instance_type, instances: data nodes of the domain.
        volume_gb: of all nodes together; None computes it from the catalogue.
    """

    products: int = 10_000
    pictures: int = 10_000
    searches: float = 100_000
    picture_share: float = 0.1
    updates: float = 1_000
    hours: float = MONTH_HOURS
    instance_type: str = "t3.small.search"
    instances: int = 1
    volume_gb: float | None = None

    def __post_init__(self) -> None:
        for name in ("products", "pictures", "searches", "updates", "hours", "volume_gb"):
            value = getattr(self, name)
            if value is not None and not (0 <= value < math.inf):
                raise ConfigError(f"{name.replace('_', '-')} {value} is out of range", hint="give 0 or more")
        if not 0 <= self.picture_share <= 1:
            raise ConfigError(f"picture-share {self.picture_share} is out of range", hint="give 0 to 1")
        if self.hours > 744:
            raise ConfigError(f"hours {self.hours:g} are more than a month has", hint="give at most 744")
        if self.instances < 1:
            raise ConfigError(f"domain-instances {self.instances} is out of range", hint="give 1 or more")

    @property
    def documents(self) -> int:
        """Of the index: a product with several pictures has one for each."""
        return max(self.products, self.pictures)


@dataclass(frozen=True)
class Line:
    """One position: `quantity` of a unit at a price."""

    when: Literal["once", "month"]
    what: str
    quantity: float
    per: str
    key: str
    price: float

    @property
    def cost(self) -> float:
        return self.quantity * self.price


@dataclass(frozen=True)
class Estimate:
    """Positions, and what they rest on."""

    usage: Usage
    prices: Prices
    lines: tuple[Line, ...]
    assumptions: Mapping[str, Assumption]
    not_counted: tuple[str, ...]

    @property
    def sources(self) -> dict[str, Source]:
        """Where the prices of its positions come from."""
        return {self.prices.of(line.key).source: self.prices.source(line.key) for line in self.lines}

    def total(self, when: Literal["once", "month"]) -> float:
        """Sum of the positions that fall due then."""
        return sum(line.cost for line in self.lines if line.when == when)

    @property
    def hourly(self) -> float:
        """The month's positions for an hour that everything is up."""
        return self.total("month") / self.usage.hours if self.usage.hours else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "currency": self.prices.content.currency,
            "region": self.prices.region,
            "once": round(self.total("once"), 6),
            "month": round(self.total("month"), 6),
            "hour": round(self.hourly, 6),
            "lines": [
                {"when": each.when, "what": each.what, "quantity": each.quantity, "per": each.per, "price": each.price}
                | {"key": each.key, "source": self.prices.of(each.key).source, "cost": each.cost}
                for each in self.lines
            ],
            "assumptions": {name: each._asdict() for name, each in self.assumptions.items()},
            "sources": {name: source.model_dump(mode="json") for name, source in self.sources.items()},
            "not_counted": list(self.not_counted),
        }


@dataclass(frozen=True)
class Work:
    """Texts and pictures that a model has to look at."""

    texts: float = 0
    pictures: float = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.texts + other.texts, self.pictures + other.pictures)


class Estimator:
    """Goes through domain, models and bucket of one deployment."""

    def __init__(
        self, deployment: Deployment, usage: Usage, prices: Prices, assumed: Mapping[str, float] | None = None
    ) -> None:
        unknown = sorted((assumed or {}).keys() - ASSUMPTIONS.keys())
        if unknown:
            raise ConfigError(f"no assumption {unknown[0]!r}", hint=f"known: {', '.join(ASSUMPTIONS)}")
        self.deployment = deployment
        self.usage = usage
        self.prices = prices
        self.assumptions = {
            name: each._replace(value=assumed[name], why="as given") if assumed and name in assumed else each
            for name, each in ASSUMPTIONS.items()
        }
        self.notes: list[str] = []

    def estimate(self) -> Estimate:
        """All positions.

        Raises:
            ConfigError: a price is missing; the message names its key and the file.
        """
        parts = (self._domain(), self._models(), self._ranking(), self._bucket())
        lines = tuple(line for part in parts for line in part if line.quantity)
        return Estimate(self.usage, self.prices, lines, self.assumptions, (*self.notes, *NOT_COUNTED))

    def _domain(self) -> Iterator[Line]:
        usage = self.usage
        what = f"domain, {usage.instances} × {usage.instance_type}"
        yield self._line("month", what, usage.instances * usage.hours, f"opensearch.{usage.instance_type}")
        volume = usage.volume_gb if usage.volume_gb is not None else self._volume()
        months = usage.hours / MONTH_HOURS
        yield self._line("month", f"volumes of the domain, {volume:g} GB", volume * months, "opensearch.gp3")

    def _volume(self) -> float:
        """GB of gp3 on all nodes together."""
        config, store = self.deployment.config, self.deployment.environment.store
        dimensions = [config.connectors[vector.connector].dimension for vector in config.index.vectors.values()]
        document = self._assumed("document-bytes") + sum(4 * each + VECTOR_OVERHEAD for each in dimensions)
        index = self.usage.documents * document * (1 + store.replicas)
        return max(SMALLEST_VOLUME_GB * self.usage.instances, math.ceil(index * self._assumed("disk-factor") / GB))

    def _models(self) -> Iterator[Line]:
        hosting = self.deployment.environment.hosting
        hosted = hosting.endpoints if hosting else {}
        used: set[str] = set()
        for name, spec in self.deployment.config.connectors.items():
            first, month = self._work(name)
            if isinstance(spec, BedrockTitanMultimodal):
                yield from self._titan("once", name, first)
                yield from self._titan("month", name, month)
            elif spec.endpoint in hosted:
                used.add(spec.endpoint)
                yield from self._endpoint(spec.endpoint, hosted[spec.endpoint], spec, first, month)
            else:
                self.notes.append(f"endpoint {spec.endpoint} is not in hosting: what it costs is not counted")
        for endpoint in hosted:
            if endpoint not in used:
                yield from self._instances(endpoint, hosted[endpoint])

    def _work(self, connector: str) -> tuple[Work, Work]:
        """What a model gets for the catalogue once, and for updates and searches in a month."""
        usage, first, month = self.usage, Work(), Work()
        for vector in self.deployment.config.index.vectors.values():
            if vector.connector != connector:
                continue
            texts, pictures = bool(vector.text), vector.image is not None
            first += Work(texts * usage.documents, pictures * usage.pictures)
            by_picture = usage.searches * usage.picture_share if pictures else 0
            searches = Work(usage.searches * (1 - usage.picture_share), by_picture)
            month += Work(texts * usage.updates, pictures * usage.updates) + searches
        return first, month

    def _endpoint(
        self, name: str, hosted: EndpointHosting, spec: ConnectorSpec, first: Work, month: Work
    ) -> Iterator[Line]:
        """Pictures of the catalogue go through batch transform, texts and all of the month through the endpoint."""
        yield from self._batch(name, hosted, first.pictures)
        yield from self._instances(name, hosted)
        whens: tuple[tuple[Literal["once", "month"], Work], ...] = (("once", Work(first.texts)), ("month", month))
        for when, work in whens:
            if hosted.mode == "serverless":
                seconds = work.texts * self._assumed("text-seconds") + work.pictures * self._assumed("picture-seconds")
                memory = hosted.memory_mb / 1024
                yield self._line(when, f"{name}, {memory:g} GB serverless", memory * seconds, "sagemaker.serverless")
            moved = work.texts * self._assumed("text-bytes") + work.pictures * self._assumed("picture-bytes") * 4 / 3
            answers = (work.texts + work.pictures) * spec.dimension * 12  # digits of a number and its comma
            yield self._line(when, f"{name}, requests and answers", (moved + answers) / GB, "sagemaker.data")

    def _instances(self, name: str, hosted: EndpointHosting) -> Iterator[Line]:
        if hosted.mode != "serverless":
            hours = hosted.instances * self.usage.hours
            what = f"{name}, {hosted.instances} × {hosted.instance_type} {hosted.mode}"
            yield self._line("month", what, hours, f"sagemaker.{hosted.instance_type}")

    def _batch(self, name: str, hosted: EndpointHosting, pictures: float) -> Iterator[Line]:
        hours = pictures / self._assumed("pictures-per-second") / 3600
        if hours:
            what = f"{name}, batch transform, {hours * 60:.0f} min of {hosted.instance_type}"
            yield self._line("once", what, hours, f"sagemaker.{hosted.instance_type}")

    def _titan(self, when: Literal["once", "month"], name: str, work: Work) -> Iterator[Line]:
        thousands = work.texts * self._assumed("text-tokens") / 1000
        yield self._line(when, f"{name}, Titan, texts", thousands, "bedrock.titan-multimodal.tokens")
        yield self._line(when, f"{name}, Titan, pictures", work.pictures, "bedrock.titan-multimodal.picture")

    def _ranking(self) -> Iterator[Line]:
        """Each search asks the campaign, which has at least one transaction a second, asked or not."""
        spec, usage = self.deployment.config.ranking, self.usage
        if spec is None:
            return
        if not spec.is_named:
            self.notes.append(f"campaign {spec.campaign} is there already: what it costs is not counted")
            return
        name = f"campaign {spec.campaign}"
        gigabytes = self._assumed("interactions") * self._assumed("interaction-bytes") / GB
        trainings = self._assumed("trainings")
        whens: tuple[tuple[Literal["once", "month"], float], ...] = (("once", 1), ("month", trainings))
        for when, times in whens:
            yield self._line(when, f"{name}, import", times * gigabytes, "personalize.data")
            yield self._line(when, f"{name}, training", times * self._assumed("training-hours"), "personalize.training")
        asked = max(usage.hours, usage.searches / 3600)
        yield self._line("month", f"{name}, searches", asked, "personalize.ranking")

    def _bucket(self) -> Iterator[Line]:
        """Archives of the models, and the pictures as batch transform reads them."""
        hosting = self.deployment.environment.hosting
        if hosting is None:
            return
        pictures = self.usage.pictures if self.deployment.config.index.images else 0
        kept = pictures * self._assumed("picture-bytes") + len(hosting.endpoints) * self._assumed("archive-bytes")
        yield self._line("month", f"bucket {hosting.bucket}", kept / GB, "s3.storage")
        yield self._line("once", "pictures into the bucket", pictures / 1000, "s3.put")
        yield self._line("once", "pictures out of the bucket", pictures / 1000, "s3.get")

    def _assumed(self, name: str) -> float:
        return self.assumptions[name].value

    def _line(self, when: Literal["once", "month"], what: str, quantity: float, key: str) -> Line:
        price = self.prices.of(key)
        return Line(when, what, quantity, price.per, key, price.price)
