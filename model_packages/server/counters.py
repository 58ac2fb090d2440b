"""What a server has done since it started: numbers only, never names or content."""

import threading
from collections import Counter
from collections.abc import Iterable

from neuralshelf.model_packages.encoder import Sample


class Counters:
    """Thread safe. `snapshot` is what `GET /` shows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)

    def batch(self, samples: Iterable[Sample]) -> None:
        """What one call of a model held."""
        held = Counter("text_samples" if sample.image is None else "picture_samples" for sample in samples)
        self.add(text_batches="text_samples" in held, picture_batches="picture_samples" in held, **held)

    def error(self, code: str) -> None:
        with self._lock:
            self._errors[code] += 1

    def snapshot(self) -> dict[str, object]:
        """requests, images, texts, dropped; of texts and of pictures (with or without texts) the calls of models that
        held some, and how many; errors by code."""
        with self._lock:
            counts, errors = dict(self._counts), dict(sorted(self._errors.items()))
        shown: dict[str, object] = {name: counts.get(name, 0) for name in ("requests", "images", "texts", "dropped")}
        for kind in ("text", "picture"):
            batches = shown[f"{kind}_batches"] = counts.get(f"{kind}_batches", 0)
            shown[f"{kind}s_a_batch"] = round(counts.get(f"{kind}_samples", 0) / batches, 3) if batches else 0.0
        shown["errors"] = errors
        return shown
