"""What a server has done since it started: numbers only, never names or content."""

import threading
from collections import Counter


class Counters:
    """Thread safe. `snapshot` is what `GET /` shows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def add(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)

    def error(self, code: str) -> None:
        with self._lock:
            self._errors[code] += 1

    def snapshot(self) -> dict[str, object]:
        """requests, images, texts, batches, samples, dropped; mean_batch (samples a batch); errors by code."""
        with self._lock:
            counts, errors = dict(self._counts), dict(sorted(self._errors.items()))
        shown: dict[str, object] = {
            name: counts.get(name, 0) for name in ("requests", "images", "texts", "batches", "samples", "dropped")
        }
        batches = counts.get("batches", 0)
        shown["mean_batch"] = round(counts.get("samples", 0) / batches, 3) if batches else 0.0
        shown["errors"] = errors
        return shown
