"""Clusters as the ingest pipeline knows them: a document gets the id of the centroid that its vector is nearest to."""

import json
import math
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from neuralshelf.errors import ConfigError
from neuralshelf.files import replacing
from neuralshelf.frozen import Frozen

SCALE = 127
"""Centroids are kept as whole numbers, so that Python and Painless reckon with the very same ones."""

MOST_STEPS = 900_000
"""Painless ends a script after a million loop steps."""


class ClusterSpec(Frozen):
    """Products that look or read alike, by one vector.

    Attributes:
        vector: of the index.
        field: keyword field of the index for the cluster's id.
        file: where `cluster` writes the centroids, beside neuralshelf.yaml; `apply` puts them into the ingest pipeline.
    """

    vector: str
    field: str = "cluster"
    file: str = Field(default="clusters.json", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}\.json$")


class Centroids(Frozen):
    """The content of that file.

    Attributes:
        generation: of the vectors (`Deployment.generation`): those of another one are nowhere near.
        ids: of clusters; one keeps its meaning when clusters are found again.
        centroids: whole numbers from -127 to 127; only their direction counts.
    """

    generation: str
    vector: str
    ids: tuple[str, ...] = Field(min_length=1)
    centroids: tuple[tuple[int, ...], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        lengths = {len(centroid) for centroid in self.centroids}
        if len(self.ids) != len(self.centroids) or len(set(self.ids)) != len(self.ids) or len(lengths) != 1:
            raise ValueError("ids and centroids don't fit")
        if any(abs(number) > SCALE for centroid in self.centroids for number in centroid):
            raise ValueError(f"a centroid has numbers beyond {SCALE}")
        if not all(any(centroid) for centroid in self.centroids):
            raise ValueError("a centroid is nothing but zeros")
        if len(self.centroids) * lengths.pop() > MOST_STEPS:
            raise ValueError(f"clusters × dimensions are over {MOST_STEPS}, more than a pipeline can compare")
        return self

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None when there is no such file.

        Raises:
            ConfigError: it can't be used.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as fault:
            words = fault.errors()[0]["msg"] if isinstance(fault, ValidationError) else str(fault)
            raise ConfigError(f"{path}: {words}", hint="delete it, then neuralshelf cluster") from None

    def write(self, path: Path) -> None:
        """Whole or not at all.

        Raises:
            InputError: it can't be written.
        """
        kept = self.model_dump()
        lines = ",\n    ".join(json.dumps(centroid, separators=(",", ":")) for centroid in kept.pop("centroids"))
        head = json.dumps(kept, indent=2, ensure_ascii=False).removesuffix("\n}")
        with replacing(path) as file:
            file.write(f'{head},\n  "centroids": [\n    {lines}\n  ]\n}}\n')

    @property
    def lengths(self) -> list[float]:
        """Of centroids."""
        return [math.hypot(*centroid) for centroid in self.centroids]

    def numbering(self, spec: ClusterSpec) -> dict[str, Any]:
        """Parameters of the ingest pipeline's script."""
        return {
            "vector": self.vector,
            "field": spec.field,
            "ids": self.ids,
            "centroids": self.centroids,
            "lengths": self.lengths,
        }
