"""The verbs of the stack on this machine."""

import argparse
import json
import sys

from neuralshelf.cli.context import context


def demo(words: argparse.Namespace) -> int:
    from neuralshelf.local.demo import demo as run

    stack, deployment = context(words)
    catalogue = words.catalogue or words.config.resolve().parent / "samples" / "catalogue.jsonl"
    return run(stack, deployment, catalogue, once=words.once)


def up(words: argparse.Namespace) -> int:
    from neuralshelf.local.provisioning import apply_deployment

    stack, deployment = context(words)
    running, _ = stack.start()
    apply_deployment(stack, deployment)
    print(f"engine: {running.engine_url}\nserver: {running.server_url}\npage:   {running.page_url}")
    return 0


def down(words: argparse.Namespace) -> int:
    stack, deployment = context(words)
    print("stopped" if stack.stop() else "nothing was up", file=sys.stderr)
    if words.purge:
        stack.purge(deployment.environment.cluster)
    return 0


def status(words: argparse.Namespace) -> int:
    from neuralshelf.local.status import status as ask
    from neuralshelf.tables import status_table

    found = ask(*context(words))
    print(json.dumps(found, indent=2) if words.json else status_table(found))
    return 0
