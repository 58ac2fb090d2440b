"""What every verb begins with: the configuration, and where its parts are."""

import argparse
import sys
from typing import TYPE_CHECKING

from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.deployment import Deployment
    from neuralshelf.local.stack import Stack


def confirm(warning: str, name: str) -> None:
    """Let a person type `name` before something goes for good.

    Raises:
        ConfigError: they typed something else, or there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise ConfigError("this wants a confirmation", hint="give --yes, or run it in a terminal")
    print(f"{warning} Type {name} to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != name:
        raise ConfigError("not confirmed: nothing was deleted", hint=f"type {name}, or give --yes")


def context(words: argparse.Namespace) -> "tuple[Stack, Deployment]":
    """The stack on this machine and its deployment.

    Raises:
        ConfigError: the configuration or the environment is wrong.
    """
    from neuralshelf.deployment import Deployment
    from neuralshelf.local.stack import Stack
    from neuralshelf.settings import Folders

    config = words.config.resolve()
    deployment = Deployment.load(config, words.environment)
    folders = Folders.default(config.parent / words.environment)
    return Stack(config, words.environment, folders), deployment
