"""What a configuration needs of OpenSearch, known before the cluster is asked to take it.

Measured on 2.19.1 and 3.6.0, the two versions that the tests run on. What the two do differently but need not be told
apart stays out: filters stand in every leg (a hybrid query has `filter` from 3.0 on), and vectors that 2.19 keeps in
`_source` are derived by 3.x when a document is read.
"""

import re
from typing import NamedTuple

from neuralshelf.deployment import Config
from neuralshelf.errors import ConfigError

LEAST = (2, 19)
"""The oldest OpenSearch that works with any configuration: it brings `pagination_depth` of the hybrid query."""

Version = tuple[int, ...]


class Need(NamedTuple):
    """Something that a configuration asks for.

    Attributes:
        feature: in the words of the configuration.
        version: the first that has it.
        hint: what to do without it.
    """

    feature: str
    version: Version
    hint: str


def needs(config: Config) -> list[Need]:
    """All that `config` asks for and not every supported version has."""
    found = []
    if config.search.combination == "rrf":
        hint = "set search.combination to arithmetic_mean, or upgrade the cluster"
        found.append(Need("search.combination rrf with weights", (3, 1), hint))
    elif config.search.normalization == "z_score":
        hint = "set search.normalization to min_max or l2, or upgrade the cluster"
        found.append(Need("search.normalization z_score", (3, 0), hint))
    if config.index.product is not None:
        hint = "leave out index.product, or upgrade the cluster"
        found.append(Need("index.product, a product once in a hybrid query,", (3, 1), hint))
    if config.ranking is not None and config.ranking.method == "leg":
        hint = "leave out ranking.method, or upgrade the cluster"
        found.append(Need("ranking.method leg", (3, 2), hint))
    return found


def check(version: str, config: Config) -> None:
    """Return when a cluster of this version can do all that `config` asks for.

    Args:
        version: as the cluster tells it, such as 2.19.1. One that is no number is let through.

    Raises:
        ConfigError: the first thing that it can't do.
    """
    numbers = re.match(r"\d+(\.\d+)*", version)
    if numbers is None:
        return
    present = tuple(int(part) for part in numbers[0].split("."))
    for feature, least, hint in (Need("neuralshelf", LEAST, "upgrade the cluster"), *needs(config)):
        if present < least:
            wanted = ".".join(map(str, least))
            raise ConfigError(f"{feature} needs OpenSearch ≥ {wanted}, the cluster is {version}", hint=hint)
