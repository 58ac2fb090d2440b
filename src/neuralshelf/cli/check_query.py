"""The verb check-query: whether a search means what it says."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError, InputError

Run = Callable[[argparse.Namespace], int]
EXIT_CODES = {"correct": 0, "refused": 1, "rewritten": 3}


def add(verb: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """The verb with its options."""
    made = verb(
        "check-query", check_query, "whether a _search is right: correct, rewritten, or refused with the reason"
    )
    made.add_argument("file", nargs="?", metavar="FILE", help="body of the search, JSON; - for stdin")
    made.add_argument("--index", metavar="NAME", help="what is searched (default: the index of the configuration)")
    made.add_argument("--url-params", default="", metavar="QUERY", help="as in the URL: size=20&search_pipeline=NAME")
    made.add_argument("--template", metavar="ID", help="check what a stored template makes instead of a file")
    made.add_argument("--params", metavar="JSON", help="its parameters, an object")
    made.add_argument("--offline", action="store_true", help="ask no cluster, believe the configuration")
    made.add_argument("--json", action="store_true")


def check_query(words: argparse.Namespace) -> int:
    from neuralshelf.checker import check
    from neuralshelf.checker.live import read_facts, rendered
    from neuralshelf.tables import verdict_text

    if (words.file is None) == (words.template is None):
        raise ConfigError("check-query takes a FILE or --template ID", hint="check-query query.json")
    if words.offline and (words.template or words.index):
        raise ConfigError("--offline knows neither other indexes nor what a template makes", hint="leave --offline out")
    params = _object(words.params or "{}", "--params")
    stack, deployment = context(words)
    facts = deployment.facts
    if words.offline:
        body = _body(words.file)
    else:
        client = stack.client(deployment)
        body = rendered(client, words.template, params) if words.template else _body(words.file)
        facts = read_facts(client, words.index or deployment.config.index.name, facts)
    found = check(facts, body, dict(parse_qsl(words.url_params, keep_blank_values=True)))
    print(json.dumps(found.as_dict(), ensure_ascii=False) if words.json else verdict_text(found))
    return EXIT_CODES[found.word]


def _body(file: str) -> Any:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"query {file} can't be read: {fault}", hint="give a file of JSON, or -") from None
    except (ValueError, RecursionError) as fault:
        raise InputError(f"query {file} is no JSON: {fault}", hint="give the body of a _search") from None


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as fault:
        raise ConfigError(f"{name} is no JSON: {fault}", hint=f'{name} \'{{"text": "red shoes"}}\'') from None
    if not isinstance(found, dict):
        raise ConfigError(f"{name} must be a JSON object", hint=f'{name} \'{{"text": "red shoes"}}\'')
    return found
