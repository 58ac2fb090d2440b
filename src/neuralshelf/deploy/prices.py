"""Prices of AWS as a file says them: a price a line, each with its source and the date of that."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from neuralshelf import yamlfile
from neuralshelf.errors import ConfigError
from neuralshelf.frozen import Frozen

SHIPPED = Path(__file__).with_name("prices.yaml")
OLD_MONTHS = 12
"""A price older than this is said to be so. AWS changes few of its prices in a year, and lowers most of those."""


class Source(Frozen):
    """Where prices come from.

    Attributes:
        where: page, list or document.
        date: when AWS had that price.
        confirmed: AWS's own text was at hand; False is what others repeat of it.
    """

    where: str = Field(min_length=1)
    date: datetime.date
    confirmed: bool

    def months(self, today: datetime.date) -> int:
        """Whole months from its date to `today`."""
        return (today.year - self.date.year) * 12 + today.month - self.date.month - (today.day < self.date.day)


class Price(Frozen):
    """What one unit costs, in the currency of its file."""

    price: float = Field(ge=0, allow_inf_nan=False)
    per: str = Field(min_length=1)
    source: str


class PriceFile(Frozen):
    """The content of a file of prices: region -> key -> price."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    sources: dict[str, Source]
    regions: dict[str, dict[str, Price]]

    @model_validator(mode="after")
    def _sources_are_there(self) -> Self:
        for region, prices in self.regions.items():
            for key, price in prices.items():
                if price.source not in self.sources:
                    raise ValueError(f"regions.{region}.{key}: no source {price.source!r} among sources")
        return self


@dataclass(frozen=True)
class Prices:
    """The prices of one region, and the file they stand in."""

    file: Path
    region: str
    content: PriceFile

    @classmethod
    def load(cls, region: str, file: Path | None = None) -> Self:
        """Prices of `region` from `file`, or from the one that comes with neuralshelf.

        Raises:
            ConfigError: the file can't be read or is wrong, or has no such region.
        """
        path = file or SHIPPED
        if not path.is_file():
            raise ConfigError(f"prices {path} do not exist", hint="give a file with --prices; docs/cost.md shows one")
        content = PriceFile.parse(yamlfile.load(path), str(path))
        if region not in content.regions:
            known = ", ".join(content.regions) or "none"
            step = f"--region of: {known}, for a rough idea; or --prices FILE with those of {region}"
            raise ConfigError(f"{path}: no prices of region {region}", hint=step)
        return cls(path, region, content)

    def of(self, key: str) -> Price:
        """The price called `key`.

        Raises:
            ConfigError: it is not in the file.
        """
        found = self.content.regions[self.region].get(key)
        if found is None:
            step = f"copy the file, add {key}, and give it with --prices"
            raise ConfigError(f"{self.file}: no price {key} in regions.{self.region}", hint=step)
        return found

    def source(self, key: str) -> Source:
        """Where the price called `key` comes from."""
        return self.content.sources[self.of(key).source]
