"""Three people who do not exist and what they did with the sample products: `samples/interactions.jsonl`.

    python -m samples.personas            # writes it; --check only compares

Each likes a few kinds of things and looks at others now and then. Times are fixed: a taste does not fade by itself.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FILE = FOLDER / "interactions.jsonl"
END = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAYS = 60
EVENTS = 40
LIKING = 0.85  # of what they do, the share with kinds that they like
PERSONAS: Mapping[str, tuple[str, ...]] = {
    "gardener": ("plant pot", "birdhouse", "park bench", "bucket", "mailbox", "barrel"),
    "musician": ("acoustic guitar", "drum", "maraca", "sunglasses", "cowboy hat", "sombrero"),
    "host": ("wine glass", "beer glass", "pitcher", "teapot", "mixing bowl", "candle", "dining table"),
}
FUNNEL = (("view", 0.7), ("cart", 0.2), ("purchase", 0.1))


def interactions() -> Iterator[dict[str, Any]]:
    """One after another, by person, then time."""
    rows = [json.loads(line) for line in (FOLDER / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()]
    for persona, kinds in PERSONAS.items():
        chance = random.Random(f"persona {persona}")
        liked = [row["id"] for row in rows if row["kind"] in kinds]
        others = [row["id"] for row in rows if row["kind"] not in kinds]
        ago = sorted((chance.uniform(0, DAYS * 86_400) for _ in range(EVENTS)), reverse=True)
        for seconds in ago:
            item = chance.choice(liked if chance.random() < LIKING else others)
            event = chance.choices([name for name, _ in FUNNEL], [share for _, share in FUNNEL])[0]
            time = (END - timedelta(seconds=round(seconds))).isoformat()
            yield {"user": persona, "item": item, "event": event, "time": time}


def main() -> int:
    """Write or compare; 1 when it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    text = "".join(json.dumps(row) + "\n" for row in interactions())
    if not parser.parse_args().check:
        FILE.write_text(text, encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != text:
        print(f"{FILE} is not what {Path(__file__).name} makes: run python -m samples.personas", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
