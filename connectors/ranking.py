"""The connector to a campaign of Amazon Personalize: who likes what, asked once a search."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ClientTuning
from neuralshelf.frozen import Frozen
from neuralshelf.resource import Kind, Resource, ref
from neuralshelf.templates import render

LOCAL_ACCOUNT = "000000000000"
"""The account that the local model server's campaign is of."""

CAMPAIGN = r"^(arn:aws[a-z-]*:personalize:[a-z0-9-]+:\d{12}:campaign/)?[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"

NOTE = "~~"
"""How items begin that are none (templates/connectors/ranking-request.painless.j2)."""

LONGEST_ITEM = LONGEST_USER = 256
MOST_ITEMS = 499
"""Of one GetPersonalizedRanking, but for the note."""

SHARE = 0.9
"""Of the leg of preference in the weights of all legs, and the most that a weight of preference can be with it."""

LEAST = 0.001
"""Of a hit's own score, where the best has 1: as much as OpenSearch's min_max gives the last one."""

TUNING = ClientTuning(
    max_connection=50, connection_timeout=1, read_timeout=1, max_retry_times=0, retry_timeout=1, retry_backoff=50
)
"""A search waits a second for the ranker, then comes in the order it has."""


class RankingSpec(Frozen):
    """Hits in the order of the person who asks.

    Attributes:
        campaign: name or ARN of a campaign of Amazon Personalize, of the recipe aws-personalized-ranking. The local
            model server answers to every name.
        item: keyword field of the index with what is ranked: cluster, or the product's id. Of several values in a
            document the first counts; a document without one is as much liked as any.
        weight: of a person's preference, 0 to 1, against the score of the search; a request may bring its own.
        people: whom the search page offers to search as.
        method: rerank puts hits into order after the search; leg makes what is liked a leg of the hybrid query.
        oversample: of rerank: so many times the hits of the page are ranked; the page is the best of them.
        items: of leg: all values of `item`, unless they are clusters, which are known.
    """

    campaign: str = Field(default="neuralshelf", pattern=CAMPAIGN)
    item: str = "cluster"
    weight: float = Field(default=0.6, ge=0, le=1)
    method: Literal["rerank", "leg"] = "rerank"
    oversample: int = Field(default=10, ge=1, le=10)
    items: tuple[str, ...] = Field(default=(), strict=False, max_length=MOST_ITEMS)
    people: tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_USER)], ...] = Field(default=(), strict=False)
    client: ClientTuning = TUNING

    @property
    def is_named(self) -> bool:
        """Whether the campaign has a name: it is ours to make. One with an ARN is there already."""
        return not self.campaign.startswith("arn:")

    @field_validator("items")
    @classmethod
    def _can_be_asked(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if not 1 <= len(item) <= LONGEST_ITEM or item.startswith(NOTE):
                raise ValueError(f"{item[:50]!r} must have 1 to {LONGEST_ITEM} characters and not begin with {NOTE}")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for option, method in (("oversample", "rerank"), ("items", "leg")):
            if option in self.model_fields_set and self.method != method:
                raise ValueError(f"{option}: goes with method: {method}")
        return self

    @field_validator("client", mode="before")
    @classmethod
    def _over_client(cls, value: object) -> object:
        return TUNING.model_dump() | value if isinstance(value, dict) else value


def ranking_name(prefix: str) -> str:
    """Name of the connector and of its model."""
    return f"{prefix}-ranking"


def ranking_resources(spec: RankingSpec, *, runtime: Runtime, prefix: str, group: str) -> list[Resource]:
    """Connector and model."""
    name = ranking_name(prefix)
    body = render(
        "connectors/personalize-ranking.json.j2",
        name=name,
        spec=spec,
        tuning=spec.client,
        region=runtime.region,
        base_url=runtime.base_url("personalize"),
        campaign=campaign_arn(spec, runtime),
        note=NOTE,
        share=SHARE,
        least=LEAST,
        role_arn=runtime.role_arn,
    )
    model = render(
        "connectors/model.json.j2",
        name=name,
        logical="ranking",
        role="search",
        group=ref(Kind.MODEL_GROUP, group),
        connector=ref(Kind.CONNECTOR, name),
    )
    lent = runtime.expires is not None
    return [Resource(Kind.CONNECTOR, name, body, runtime.secrets(), lent=lent), Resource(Kind.MODEL, name, model)]


def campaign_arn(spec: RankingSpec, runtime: Runtime) -> str:
    """ARN of the campaign, in the account of the runtime unless it is given.

    Raises:
        ConfigError: it is not, and the runtime has no role that would tell the account.
    """
    if runtime.url is not None:
        return named_campaign(spec.campaign.split("/")[-1], region=runtime.region, account=LOCAL_ACCOUNT)
    if not spec.is_named:
        return spec.campaign
    return named_campaign(spec.campaign, region=runtime.region, account=runtime.account)


def named_campaign(name: str, *, region: str, account: str) -> str:
    """ARN of the campaign with this name."""
    partition = "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return f"arn:{partition}:personalize:{region}:{account}:campaign/{name}"
