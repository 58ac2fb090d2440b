"""The verb example: the systems of `examples/`, listed or run."""

import argparse
import json
from collections.abc import Callable

from neuralshelf.cli.context import context

Run = Callable[[argparse.Namespace], int]


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb(
        "example", example, "run one of the systems in examples/ beside the configuration; lists them without NAME"
    )
    made.add_argument("name", nargs="?", metavar="NAME")
    made.add_argument("--once", action="store_true", help="stop after the answers")
    made.add_argument("--json", action="store_true")


def example(words: argparse.Namespace) -> int:
    from neuralshelf.local.examples.run import run_example
    from neuralshelf.local.examples.spec import Example, names
    from neuralshelf.tables import examples_table

    folder = words.config.resolve().parent / "examples"
    if words.name is None:
        found = {name: Example.load(folder, name).spec.about for name in names(folder)}
        print(json.dumps({"format_version": 1, "examples": found}) if words.json else examples_table(found))
        return 0
    chosen = Example.load(folder, words.name)
    words.config = chosen.config
    return run_example(*context(words), chosen, once=words.once, as_json=words.json)
