"""What `cluster` does on a stack."""

from neuralshelf.deployment import Deployment
from neuralshelf.local.provisioning import say
from neuralshelf.local.stack import Stack
from neuralshelf.personalisation.numbering import Clustered, Options, number_documents


def cluster_index(stack: Stack, deployment: Deployment, options: Options) -> Clustered:
    """Number the documents of the deployment's index; its clusters are kept in the state folder.

    Raises:
        NeuralshelfError: as `number_documents`.
    """
    folder = stack.folders.state / "clusters"
    client = stack.client(deployment)
    return number_documents(client, deployment.config.index, deployment.generation, folder, options, say)
