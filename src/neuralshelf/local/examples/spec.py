"""An example as its folder says it: neuralshelf.yaml, environments/, and example.yaml: questions, what they find."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from neuralshelf import yamlfile
from neuralshelf.errors import ConfigError
from neuralshelf.frozen import Frozen

NAME = "example.yaml"


class Question(Frozen):
    """One search, and what its hits must be.

    Attributes:
        text, image: what is asked for; a path beside the file.
        size: how many hits.
        expect: field -> values: each hit has one of them.
        first: id of the first hit.
    """

    text: str | None = None
    image: str | None = None
    size: int = Field(default=5, ge=1, le=100)
    expect: dict[str, Annotated[tuple[str, ...], Field(strict=False)]] = Field(default={})
    first: str | None = None

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.text is None and self.image is None:
            raise ValueError("give text, image, or both")
        return self

    @property
    def title(self) -> str:
        """As it is shown."""
        parts = [f'"{self.text}"'] * (self.text is not None) + [Path(self.image or "").name] * (self.image is not None)
        return " + ".join(parts)


class Views(Frozen):
    """Other pictures of the catalogue's products, to be asked for: each must find its product.

    Attributes:
        file: lines {"id": PRODUCT, "image": PATH}, several a product.
        indexed: how many of a product's views are indexed beside its own picture; the others are asked.
        rank_1, rank_5: the least share of views whose product is the first hit, or one of the first five.
    """

    file: str
    indexed: int = Field(default=0, ge=0)
    rank_1: float = Field(ge=0, le=1)
    rank_5: float = Field(ge=0, le=1)


class Scene(Frozen):
    """Several products in one picture: catalogue pictures set side by side.

    Attributes:
        products: their ids, from left to right.
        prompt: what the detector is asked for, such as `chair . mug`.
        find: ids of those that must be among the first five hits for one of the objects.
    """

    products: tuple[str, ...] = Field(min_length=1, strict=False)
    prompt: str = Field(min_length=1)
    find: tuple[str, ...] = Field(default=(), strict=False)


class ExampleSpec(Frozen):
    """example.yaml.

    Attributes:
        about: one line, as `neuralshelf example` lists it.
        catalogue: a path beside the file.
        questions: in the order in which they are shown.
        self_match: ask for every picture of the catalogue, which must find itself first with cosine 1.
        clusters: find clusters of the products, and give each its own.
    """

    about: str = Field(min_length=1)
    catalogue: str
    questions: tuple[Question, ...] = Field(default=(), strict=False)
    self_match: bool = False
    views: Views | None = None
    clusters: bool = False
    scene: Scene | None = None


@dataclass(frozen=True)
class Example:
    """A folder below `examples/`."""

    folder: Path
    spec: ExampleSpec

    @classmethod
    def load(cls, examples: Path, name: str) -> Self:
        """The example of that name.

        Raises:
            ConfigError: there is none, or its file is wrong.
        """
        folder = examples / name
        if name not in names(examples):
            known = ", ".join(names(examples))
            hint = f"choose one of: {known}" if known else "run it in a clone of the repository"
            raise ConfigError(f"no example {name!r} in {examples}", hint=hint)
        return cls(folder, ExampleSpec.parse(yamlfile.load(folder / NAME), str(folder / NAME)))

    @property
    def config(self) -> Path:
        """Its neuralshelf.yaml."""
        return self.folder / "neuralshelf.yaml"

    def path(self, name: str) -> Path:
        """A file that example.yaml names."""
        return (self.folder / name).resolve()


def names(examples: Path) -> list[str]:
    """Folders with an example.yaml, in the order of the alphabet."""
    return sorted(file.parent.name for file in examples.glob(f"*/{NAME}"))
