"""What the shop's index and its search are, as read from neuralshelf.yaml."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from neuralshelf.connectors.spec import ConnectorSpec, SageMakerText
from neuralshelf.frozen import Frozen
from neuralshelf.pipelines.stamps import picture_field, stamp_field

FieldType = Literal["text", "keyword", "float", "integer", "boolean"]
"""OpenSearch field types a document field may have."""

Normalization = Literal["min_max", "l2", "z_score"]
Combination = Literal["arithmetic_mean", "geometric_mean", "harmonic_mean", "rrf"]
"""What OpenSearch's normalization-processor and score-ranker-processor can do."""

SpaceType = Literal["cosinesimil", "l2"]
"""How two vectors are compared, in k-NN's words: by the angle between them, or by Euclidean distance."""

KEYWORD_LEG = "keyword"
MAX_LEGS = 5  # OpenSearch's own limit of sub-queries in a hybrid query
NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
TEMPLATE_PARAMETERS = frozenset(
    {"text", "image", "from", "size", "weights", "vectors", "all_views", "user", "user_weight", "explain"}
)
MAX_CANDIDATES = 10_000
"""The most neighbours that k-NN gives per shard, and the deepest that OpenSearch pages."""
MAX_VIEWS = 100


class VectorSpec(Frozen):
    """One vector of a document: of its text, of its picture, or of both in one.

    Attributes:
        connector: name of the connector whose model makes it.
        text: text fields, joined in this order.
        image: name of the field in which a document brings its picture as base64. The bytes are not kept.
        space: cosinesimil gives the score (1 + cosine) / 2, l2 gives 1 / (1 + distance²). Of vectors of length 1, as
            all our models give, both rank alike.
    """

    connector: str
    text: tuple[str, ...] = Field(default=(), strict=False)
    image: str | None = Field(default=None, pattern=NAME.pattern)
    space: SpaceType = "cosinesimil"

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.text and self.image is None:
            raise ValueError("a vector needs text: [FIELD, …], image: FIELD, or both")
        return self

    @property
    def joint(self) -> bool:
        """Text and picture make one vector together."""
        return bool(self.text) and self.image is not None

    def cosine(self, score: float) -> float:
        """The cosine of two vectors of length 1 that a search by this vector alone gives `score`."""
        return 2 * score - 1 if self.space == "cosinesimil" else 1 - (1 / score - 1) / 2

    def stamps(self, name: str) -> tuple[str, ...]:
        """Fields that say what this vector, called `name`, was made from (`pipelines.stamps`)."""
        return (stamp_field(name), picture_field(name)) if self.joint else (stamp_field(name),)


class IndexSpec(Frozen):
    """The index behind the alias `name`: its fields and its vectors.

    Attributes:
        name: the alias that people search; the index behind it is `name`-`version`.
        version: the next number makes a new index, as new vectors or other field types need one.
        fields: field -> OpenSearch type. The mapping is closed: a document with another field is refused.
        vectors: vector field -> what it is made of.
        product: keyword field that holds the product's id in each of its documents. With it, a product may have several
            pictures, each in a document of its own; the stored templates list it once, by its best.
        views: the most documents that a product has. A leg fetches so many times more (`candidates`), since all of them
            may be among its nearest.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")
    version: int = Field(default=1, ge=1)
    fields: dict[str, FieldType] = Field(min_length=1)
    vectors: dict[str, VectorSpec] = Field(min_length=1, max_length=MAX_LEGS - 1)
    product: str | None = None
    views: int = Field(default=10, ge=1, le=MAX_VIEWS)

    @field_validator("fields", "vectors")
    @classmethod
    def _names(cls, value: dict[str, object]) -> dict[str, object]:
        for name in value:
            if not NAME.match(name):
                raise ValueError(f"field name {name!r} must be small letters, digits and _, beginning with a letter")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        taken = set(self.fields) | set(self.vectors)
        for name, vector in self.vectors.items():
            if name in self.fields or name == KEYWORD_LEG or name in TEMPLATE_PARAMETERS:
                raise ValueError(f"vectors.{name}: the name is taken, choose another")
            for field in vector.text:
                if self.fields.get(field) not in ("text", "keyword"):
                    raise ValueError(f"vectors.{name}.text: {field!r} is no text or keyword field")
            if vector.image in taken:
                raise ValueError(f"vectors.{name}.image: {vector.image!r} is a field that is kept; pictures are not")
        if self.product is not None and self.fields.get(self.product) != "keyword":
            raise ValueError(f"product: {self.product!r} is no keyword field of the index")
        if self.product is None and "views" in self.model_fields_set:
            raise ValueError("views: goes with product, the field of the product's id")
        for field in self.made:
            if field in self.fields:
                raise ValueError(f"fields.{field}: the ingest pipeline writes this field, choose another name")
        return self

    @property
    def images(self) -> tuple[str, ...]:
        """Names under which a document brings pictures, each once."""
        return tuple(dict.fromkeys(v.image for v in self.vectors.values() if v.image is not None))

    @property
    def made(self) -> tuple[str, ...]:
        """Fields that the ingest pipeline writes: vectors, and what they were made from (`pipelines.stamps`)."""
        stamps = (field for name, vector in self.vectors.items() for field in vector.stamps(name))
        return (*self.vectors, *stamps)

    @property
    def physical_name(self) -> str:
        """The index behind the alias."""
        return f"{self.name}-{self.version}"


class SearchSpec(Frozen):
    """How the index is searched.

    Attributes:
        template: id of the stored search template.
        keyword: fields of the keyword leg, each with an optional boost (`title^3`).
        weights: leg -> weight; the legs are `keyword` and each vector, the sum is 1.
        picture_weights: the same of a search by text and picture together, where it is to weigh the legs otherwise. The
            stored template knows whether a picture came along; a hybrid query by hand is weighed by `weights`.
        normalization: how the scores of a leg are made comparable with those of others.
        combination: how a document's scores are joined: a mean weighted by `weights`, or the ranks alone (rrf), for
            which nothing is normalised.
        rank_constant: of rrf: a document at rank r (from 1) of a leg gets weight / (rank_constant + r).
        k: candidates a leg gives per shard, and how deep paging goes; of products, where they have several documents
            (`candidates`); at least the ten hits of a page.
        filters: fields that a search can be narrowed by.
        deadline: seconds that the page and `neuralshelf search` wait before they search by words alone. OpenSearch
            waits for a model as long as its connector's search.read_timeout.
    """

    template: str = Field(default="product-search", pattern=r"^[a-z][a-z0-9-]*-search$")
    keyword: tuple[str, ...] = Field(min_length=1, strict=False)
    weights: dict[str, float]
    picture_weights: dict[str, float] = Field(default_factory=dict)
    normalization: Normalization = "min_max"
    combination: Combination = "arithmetic_mean"
    rank_constant: int = Field(default=60, ge=1, le=10_000)
    k: int = Field(default=100, ge=10, le=10_000)
    filters: tuple[str, ...] = Field(default=(), strict=False)
    deadline: float = Field(default=10.0, ge=0.1, le=600)

    @field_validator("weights", "picture_weights")
    @classmethod
    def _sum_to_one(cls, value: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        if not value and info.field_name == "picture_weights":
            return value
        for leg, weight in value.items():
            if not 0 <= weight <= 1:
                raise ValueError(f"weight of {leg} is {weight}, must be from 0 to 1")
        total = sum(value.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"weights sum to {total:g}, must be 1")
        return value

    @field_validator("keyword")
    @classmethod
    def _boosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if not re.match(r"^[a-z][a-z0-9_]*(\^\d+(\.\d+)?)?$", item):
                raise ValueError(f"{item!r} is no field with an optional boost, such as title^3")
        return value

    @model_validator(mode="after")
    def _can_be_joined(self) -> Self:
        if self.normalization == "z_score" and self.combination not in ("arithmetic_mean", "rrf"):
            raise ValueError(f"normalization: z_score goes with arithmetic_mean only, not with {self.combination}")
        return self

    @property
    def keyword_template(self) -> str:
        """Id of the stored template that needs no model: `product-search` -> `product-keyword-search`."""
        return f"{self.template.removesuffix('-search')}-keyword-search"

    def weights_of(self, *, pictured: bool) -> dict[str, float]:
        """Weights of a search by text: with a picture, or without one."""
        return self.picture_weights if pictured and self.picture_weights else self.weights

    def weights_at(self, vector_weight: float, *, pictured: bool = False) -> dict[str, float]:
        """Weights for a slider: `vector_weight` (0 to 1) to the vectors, in their own proportions, the rest to words.

        Args:
            pictured: a picture comes along with the text.

        Raises:
            ValueError: `vector_weight` is not from 0 to 1.
        """
        if not 0 <= vector_weight <= 1:
            raise ValueError(f"vector_weight is {vector_weight}, must be from 0 to 1")
        vectors = {leg: weight for leg, weight in self.weights_of(pictured=pictured).items() if leg != KEYWORD_LEG}
        total = sum(vectors.values())
        shares = {leg: weight / total if total else 1 / len(vectors) for leg, weight in vectors.items()}
        # Three decimals: smaller numbers get an exponent of their own in mustache, which a decimal there can't have.
        return {KEYWORD_LEG: round(1 - vector_weight, 3)} | {
            leg: round(vector_weight * share, 3) for leg, share in shares.items()
        }

    @property
    def keyword_fields(self) -> tuple[str, ...]:
        """Fields of the keyword leg without their boosts."""
        return tuple(item.split("^")[0] for item in self.keyword)


def candidates(index: IndexSpec, search: SearchSpec) -> int:
    """Documents that a leg gives per shard: enough for `search.k` products, were all views of each among them."""
    return search.k * (index.views if index.product else 1)


def check(index: IndexSpec, search: SearchSpec, connectors: Mapping[str, ConnectorSpec]) -> None:
    """Hold the three parts of a configuration against each other.

    Raises:
        ValueError: the first thing that doesn't fit, beginning with its key.
    """
    for name, vector in index.vectors.items():
        at = f"index.vectors.{name}"
        connector = connectors.get(vector.connector)
        if connector is None:
            raise ValueError(f"{at}.connector: no connector {vector.connector!r}; there are {_listed(connectors)}")
        if vector.image is not None and isinstance(connector, SageMakerText):
            raise ValueError(f"{at}.image: connector {vector.connector!r} ({connector.kind}) takes text only")
    legs = (KEYWORD_LEG, *index.vectors)
    for key, weights in (("weights", search.weights), ("picture_weights", search.picture_weights or search.weights)):
        if set(weights) != set(legs):
            raise ValueError(f"search.{key}: give one for each of {_listed(legs)}, not for {_listed(weights)}")
    if search.picture_weights and not index.images:
        raise ValueError("search.picture_weights: there is no vector with an image, so nobody searches by picture")
    if (needed := candidates(index, search)) > MAX_CANDIDATES:
        product = f"{index.views} × search.k {search.k} is {needed}"
        raise ValueError(f"index.views: {product}, over the {MAX_CANDIDATES} candidates of a leg")
    for field in search.keyword_fields:
        if index.fields.get(field) not in ("text", "keyword"):
            raise ValueError(f"search.keyword: {field!r} is no text or keyword field of the index")
    for field in search.filters:
        if index.fields.get(field) not in ("keyword", "float", "integer"):
            raise ValueError(f"search.filters: {field!r} is no keyword or number field of the index")
        if field in TEMPLATE_PARAMETERS:
            raise ValueError(f"search.filters: {field!r} is a parameter of the search template already")


def _listed(names: Mapping[str, object] | tuple[str, ...]) -> str:
    return ", ".join(names)
