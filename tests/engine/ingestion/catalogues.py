"""Catalogues and pictures for tests."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw


def written(path: Path, rows: Iterable[Any]) -> Path:
    """A catalogue of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def picture(seed: int, side: int = 64) -> bytes:
    """A JPEG that no other seed below 4096 gives."""
    image = Image.new("RGB", (side, side), (seed * 37 % 256, seed * 11 % 256, seed // 16))
    ImageDraw.Draw(image).ellipse((8, 8, 8 + seed % 40, 8 + seed // 40 % 40), fill=(250, 240, seed % 256))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()
