"""What `cluster` does on a stack."""

from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.local.provisioning import say
from neuralshelf.local.stack import Stack
from neuralshelf.personalisation.numbering import Clustered, Options, number_documents
from neuralshelf.pipelines.ranking import BASE_FIELD


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
