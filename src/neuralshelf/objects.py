"""The things in a picture, for the search page: found, listed to choose from, and one of them cropped."""

import asyncio
import base64
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, field_validator
from starlette.concurrency import run_in_threadpool

from neuralshelf.frozen import Frozen
from neuralshelf.model_packages.grounding_dino.contract import (
    BOX_THRESHOLD,
    PICTURES,
    TEXT_THRESHOLD,
    Box,
    Detector,
    crop_file,
    file_type_of,
)
from neuralshelf.model_packages.server.pictures import PictureError, decode, from_base64
from neuralshelf.model_packages.server.refusals import InputRefused
from neuralshelf.storefront import MAX_PICTURE_BYTES, Refusal

MOST_WAITING = 4
"""Pictures that wait for the one that is looked at; each takes a tenth of a second, the worst that is let in two."""

MOST_OBJECTS = 12
"""More boxes than that nobody can choose from."""

Share = Annotated[float, Field(ge=0, le=1)]


class Look(Frozen):
    """What the page asks: the body of POST /api/objects.

    Attributes:
        image: base64.
        box: what was chosen, to be cropped without looking: centre and size, in shares of the picture.
    """

    image: str = Field(min_length=1, max_length=4 * (MAX_PICTURE_BYTES // 3 + 1))
    box: tuple[Share, Share, Share, Share] | None = None

    @field_validator("box")
    @classmethod
    def _has_an_area(cls, value: Box | None) -> Box | None:
        if value is not None and not (value[2] and value[3]):
            raise ValueError("width and height must be above 0")
        return value


@dataclass
class Finder:
    """One picture at a time; a few may wait, more are refused at once.

    Attributes:
        detector: of this machine, or anything else behind the contract.
        prompt: what it is asked for.
    """

    detector: Detector
    prompt: str
    _asking: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def asking(self) -> int:
        """Pictures that are looked at or wait."""
        return self._asking

    async def answer(self, look: Look) -> dict[str, Any]:
        """`objects`, the best first, each with `box`, `score` and `phrase`; and `crop`, a file in base64, of the box
        that was given or of the only object, else null.

        Raises:
            Refusal: the picture can't be taken (400, bad_picture), or too many wait (429, busy).
        """
        if self._asking > MOST_WAITING:
            raise Refusal(429, "busy", "too many pictures are being looked at", "try again in a moment")
        self._asking += 1
        try:
            async with self._turn:
                return await run_in_threadpool(self._answer, look)
        finally:
            self._asking -= 1

    def _answer(self, look: Look) -> dict[str, Any]:
        try:
            file = from_base64(look.image)
            pixels = decode(file, PICTURES)
            found = [] if look.box else self.detector.detect(pixels, self.prompt, BOX_THRESHOLD, TEXT_THRESHOLD)
        except PictureError as fault:
            hint = "use a JPEG, PNG, WebP or GIF below 4.5 MB"
            raise Refusal(400, "bad_picture", f"{fault.code}: {fault.message}", hint) from None
        except InputRefused as fault:
            raise Refusal(400, "refused", fault.message, "shorten the prompt of the detector") from None
        best = sorted(found, key=lambda one: -one.score)[:MOST_OBJECTS]
        box = look.box or (best[0].box if len(best) == 1 else None)
        crop = None if box is None else crop_file(pixels, box, file_type_of(file))
        return {
            "objects": [{"box": list(one.box), "score": one.score, "phrase": one.phrase} for one in best],
            "crop": None if crop is None else base64.b64encode(crop).decode("ascii"),
        }
