"""Who is logged in to AWS, and what follows from it without being written down."""

from neuralshelf.deploy.calls import Aws
from neuralshelf.deploy.desired import hosting_of
from neuralshelf.deploy.names import Names
from neuralshelf.deployment import Deployment
from neuralshelf.errors import DeployError


def identity(aws: Aws, deployment: Deployment) -> tuple[str, str]:
    """Account and ARN of who is logged in.

    Raises:
        DeployError: nobody is, or into another account than `hosting.account`.
    """
    found = aws.ask("sts", "GetCallerIdentity")
    wanted = hosting_of(deployment).account
    if wanted and found["Account"] != wanted:
        hint = "choose another AWS_PROFILE, or correct hosting.account"
        raise DeployError(f"logged in to account {found['Account']}, hosting.account is {wanted}", hint=hint)
    return found["Account"], found["Arn"]


def account_of(deployment: Deployment) -> str:
    """Twelve digits: as `hosting.account` says, else of who is logged in.

    Raises:
        ConfigError, DeployError: as `invoke_role_arn`.
    """
    return hosting_of(deployment).account or identity(Aws(deployment.environment.runtime.region), deployment)[0]


def invoke_role_arn(deployment: Deployment) -> str:
    """ARN of the role that OpenSearch takes on: the one of `deploy`, found without being copied anywhere.

    Asks AWS who is logged in, unless `hosting.account` says the account.

    Raises:
        ConfigError: the environment has no section `hosting`.
        DeployError: nobody is logged in.
    """
    names = Names.of(deployment, account_of(deployment))
    return names.role_arn(names.invoke_role)
