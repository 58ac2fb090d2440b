"""What a handler raises when the server refuses a request: SageMaker's PyTorch container answers 500 to all else."""

from neuralshelf.model_packages.server.refusals import CONTAINER_STATUS, Refusal


def refused(fault: Refusal) -> Exception:
    """The error of `sagemaker_inference` that answers with the refusal's status, words and code; the refusal itself
    where that toolkit is not installed.

    Use as `raise refused(fault) from None`: the container sends the traceback along.
    """
    try:
        from sagemaker_inference.errors import BaseInferenceToolkitError
    except ImportError:
        return fault
    error: Exception = BaseInferenceToolkitError(CONTAINER_STATUS[type(fault)], fault.message, type(fault).__name__)
    return error
