"""What `cluster` does on a stack."""

import sys
from datetime import date
from pathlib import Path

from tqdm import tqdm

from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.files import write_files
from neuralshelf.local.pictures import picture_file, pixels
from neuralshelf.local.provisioning import say
from neuralshelf.local.stack import Stack
from neuralshelf.personalisation.numbering import Clustered, Options, number_documents
from neuralshelf.personalisation.report import page
from neuralshelf.pipelines.ranking import BASE_FIELD
from neuralshelf.thumbnails import Picture


def cluster_index(stack: Stack, deployment: Deployment, options: Options) -> Clustered:
    """Give the documents of the deployment's index their clusters, which are kept beside its configuration.

    Raises:
        ConfigError: the configuration has no clusters.
        NeuralshelfError: as `number_documents`.
    """
    config = deployment.config
    if config.clusters is None:
        raise ConfigError(
            "this configuration has no clusters",
            hint=f"add clusters: {{vector: {next(iter(config.index.vectors))}}} and index.fields.cluster: keyword",
        )
    file = stack.config.parent / config.clusters.file
    client = stack.client(deployment)
    also = {BASE_FIELD: 1} if config.ranking else {}
    return number_documents(client, config.index, config.clusters, deployment.generation, file, options, say, also)


def write_page(file: Path, stack: Stack, found: Clustered, *, images: Path | None, dry_run: bool) -> None:
    """What was found as one page, with pictures from the folders of the search page, or from `images`.

    Raises:
        InputError: the file can't be written.
    """
    folders = stack.state.picture_folders()
    with tqdm(desc="pictures", unit="", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:

        def picture(path: str) -> Picture | None:
            bar.update()
            return pixels(picture_file(path, folders, images))

        text = page(found, title=found.index, picture=picture, today=date.today(), dry_run=dry_run)
    write_files({file.name: text}, file.parent)
