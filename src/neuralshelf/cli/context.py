"""What every verb begins with: the configuration, and where its parts are."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuralshelf.local.stack import Stack
    from neuralshelf.provision.deployment import Deployment


def context(words: argparse.Namespace) -> "tuple[Stack, Deployment]":
    """The stack on this machine and its deployment.

    Raises:
        ConfigError: the configuration or the environment is wrong.
    """
    from neuralshelf.local.stack import Stack
    from neuralshelf.provision.deployment import Deployment
    from neuralshelf.settings import Folders

    config = words.config.resolve()
    deployment = Deployment.load(config, words.environment)
    folders = Folders.default(config.parent / words.environment)
    return Stack(config, words.environment, folders), deployment
