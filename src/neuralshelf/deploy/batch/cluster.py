"""Transform jobs that the cluster starts, with its connector's credentials: `batch_predict` of ML Commons."""

from typing import Any

from opensearchpy import ConnectionError as ClusterUnreachable
from opensearchpy import OpenSearch, TransportError

from neuralshelf.client import reason
from neuralshelf.deploy.batch.job import Task
from neuralshelf.errors import ConfigError, ServerError
from neuralshelf.templates import render

TIMEOUT_SECONDS = 60


def start_by_cluster(client: OpenSearch, model: str, task: Task, number: int) -> str:
    """Let the cluster create that attempt (POST /_plugins/_ml/models/MODEL/_batch_predict).

    Args:
        model: id of a model of the cluster whose connector has the action.

    Returns:
        id of the cluster's own task, which follows the job, too.

    Raises:
        ConfigError: the cluster or the connector can't do that.
        ServerError: SageMaker refuses the job, or the cluster does not answer.
    """
    name = task.attempt(number)
    body = render("batch/batch-predict.json.j2", job=task.body(number))
    path = f"/_plugins/_ml/models/{model}/_batch_predict"
    try:
        answer: Any = client.transport.perform_request(
            "POST", path, params={"request_timeout": TIMEOUT_SECONDS}, body=body
        )
    except ClusterUnreachable:
        raise ServerError(f"transform job {name}: the cluster did not answer", hint="run it again") from None
    except TransportError as fault:
        cause = reason(fault)
        if "no handler found" in cause or fault.status_code == 405:
            raise ConfigError(
                "this cluster has no batch_predict: that is of OpenSearch 2.16 and later",
                hint="leave out --through-opensearch",
            ) from None
        if "batch_predict" in cause.lower():
            raise ConfigError(f"the cluster's connector can't start jobs: {cause}", hint="neuralshelf apply") from None
        raise ServerError(
            f"transform job {name}: the cluster could not start it: {cause}",
            hint="allow sagemaker:CreateTransformJob to the connector's role, or leave out --through-opensearch",
        ) from None
    return str(answer.get("task_id", ""))
