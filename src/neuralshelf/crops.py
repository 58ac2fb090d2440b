"""Which things in a catalogue's pictures become pictures of their own: the section `crops` of neuralshelf.yaml."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from neuralshelf.frozen import Frozen

if TYPE_CHECKING:
    from neuralshelf.model_packages.grounding_dino.contract import Box, Detection


class CropRules(Frozen):
    """How good a find has to be.

    Attributes:
        prompt: what is looked for, " . " between names; None: all that the detector knows.
        min_score: 0 to 1.
        min_area, max_area: of a box, in shares of its picture. Smaller ones are too coarse to compare, larger ones show
            what the picture shows.
        most: crops of one picture, the best.
        whole: the picture stays, before its crops. Without any crop it stays in any case.
        without: what becomes of a product in whose pictures nothing is found.
    """

    prompt: str | None = Field(default=None, pattern=r"[^.\s]", max_length=1000)
    min_score: float = Field(default=0.3, ge=0, le=1)
    min_area: float = Field(default=0.01, ge=0, le=1)
    max_area: float = Field(default=0.8, ge=0, le=1)
    most: int = Field(default=5, ge=1, le=50)
    whole: bool = True
    without: Literal["keep", "skip"] = "keep"

    @model_validator(mode="after")
    def _in_order(self) -> "CropRules":
        if self.min_area >= self.max_area:
            raise ValueError("min_area must be below max_area")
        return self

    def boxes(self, found: "Sequence[Detection]") -> "list[Box]":
        """Of the things found in one picture, what is cropped, the best first."""
        good = [
            one
            for one in sorted(found, key=lambda one: -one.score)
            if one.score >= self.min_score and self.min_area <= one.box[2] * one.box[3] <= self.max_area
        ]
        return [one.box for one in good[: self.most]]
