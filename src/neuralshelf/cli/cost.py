"""The verb cost: what a deployment will cost on AWS."""

import argparse
import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

Run = Callable[[argparse.Namespace], int]


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb("cost", cost, "what a deployment will cost on AWS, before anything of it is there")
    made.add_argument("--products", type=int, default=10_000, metavar="N", help="in the catalogue (default: 10000)")
    made.add_argument("--pictures", type=int, metavar="N", help="of all products (default: one each)")
    asked = made.add_mutually_exclusive_group()
    asked.add_argument("--searches-per-month", type=float, metavar="N", help="default: 100000")
    asked.add_argument("--searches-per-second", type=float, metavar="Q", help="on average, while everything is up")
    made.add_argument("--picture-share", type=float, default=0.1, metavar="0-1", help="of the searches (default: 0.1)")
    made.add_argument("--updates-per-month", type=float, default=1_000, metavar="N", help="default: 1000")
    made.add_argument("--hours", type=float, default=730, metavar="H", help="a month that it is up (default: 730)")
    made.add_argument("--domain-instance", default="t3.small.search", metavar="TYPE", help="default: t3.small.search")
    made.add_argument("--domain-instances", type=int, default=1, metavar="N", help="data nodes (default: 1)")
    made.add_argument("--volume-gb", type=float, metavar="GB", help="of all nodes (default: what the catalogue needs)")
    made.add_argument("--region", help="default: that of the models")
    made.add_argument("--prices", type=Path, metavar="FILE", help="prices of your own, as docs/cost.md says")
    made.add_argument("--assume", action="append", default=[], metavar="NAME=N", help="another assumption")
    made.add_argument("--json", action="store_true")


def cost(words: argparse.Namespace) -> int:
    from neuralshelf.deploy.cost import Estimator, Usage
    from neuralshelf.deploy.prices import Prices
    from neuralshelf.tables import cost_text

    _, deployment = context(words)
    searches = words.searches_per_month
    if words.searches_per_second is not None:
        searches = words.searches_per_second * 3600 * words.hours
    usage = Usage(
        products=words.products,
        pictures=words.products if words.pictures is None else words.pictures,
        searches=100_000 if searches is None else searches,
        picture_share=words.picture_share,
        updates=words.updates_per_month,
        hours=words.hours,
        instance_type=words.domain_instance,
        instances=words.domain_instances,
        volume_gb=words.volume_gb,
    )
    prices = Prices.load(words.region or deployment.environment.runtime.region, words.prices)
    found = Estimator(deployment, usage, prices, _assumed(words.assume)).estimate()
    if words.json:
        print(json.dumps({"format_version": 1} | found.as_dict(), ensure_ascii=False))
    else:
        print(cost_text(found, date.today()))
    return 0


def _assumed(given: Sequence[str]) -> dict[str, float]:
    found = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise ConfigError(f"--assume {each!r} has no number", hint="such as: picture-seconds=0.3") from None
        if not 0 <= found[name] < float("inf"):
            raise ConfigError(f"--assume {each!r} is out of range", hint="give 0 or more")
    return found
