"""Specs to resources: connector and model a role, one model group a deployment, the cluster settings they need."""

from neuralshelf.connectors.policy import trusted_endpoints
from neuralshelf.connectors.runtime import Runtime
from neuralshelf.connectors.spec import ROLES, ConnectorSpec, Role
from neuralshelf.resource import Kind, Resource, ref
from neuralshelf.templates import render


def model_name(prefix: str, logical: str, role: Role) -> str:
    """Name of the model, and of its connector, of one role."""
    return f"{prefix}-{logical}-{role}"


def model_address(prefix: str, logical: str, role: Role) -> str:
    """Address of that model among the resources."""
    return f"{Kind.MODEL}/{model_name(prefix, logical, role)}"


def cluster_settings(runtime: Runtime, *, personalize: bool = False) -> Resource:
    """Where connectors may go; empty for SageMaker and Bedrock, which need no setting.

    A server of our own has to be trusted, and private addresses allowed. Remote models run on data nodes anyway, so
    `only_run_on_ml_node` stays as it is.
    """
    body = render(
        "connectors/cluster-settings.json.j2",
        endpoints=trusted_endpoints(runtime, personalize=personalize),
        private=runtime.url is not None,
    )
    return Resource(Kind.SETTINGS, "ml-commons", body)


def model_group(prefix: str) -> Resource:
    """The group of all models of a deployment; without one, ML Commons makes a group for each model."""
    return Resource(Kind.MODEL_GROUP, f"{prefix}-models", render("connectors/model-group.json.j2", prefix=prefix))


def connector_resources(
    logical: str, spec: ConnectorSpec, *, runtime: Runtime, prefix: str, group: str
) -> list[Resource]:
    """Connector and model for ingest and for search; the models belong to the model group named `group`."""
    service = "bedrock" if spec.kind == "bedrock-titan-multimodal" else "sagemaker"
    made: list[Resource] = []
    for role in ROLES:
        name = model_name(prefix, logical, role)
        body = render(
            f"connectors/{spec.kind}.json.j2",
            name=name,
            logical=logical,
            role=role,
            spec=spec,
            tuning=spec.tuning(role),
            region=runtime.region,
            base_url=runtime.base_url(service),
            api_url=runtime.base_url("sagemaker-api"),
            role_arn=runtime.role_arn,
        )
        made.append(Resource(Kind.CONNECTOR, name, body, runtime.secrets(), lent=runtime.expires is not None))
        model = render(
            "connectors/model.json.j2",
            name=name,
            logical=logical,
            role=role,
            group=ref(Kind.MODEL_GROUP, group),
            connector=ref(Kind.CONNECTOR, name),
        )
        made.append(Resource(Kind.MODEL, name, model))
    return made
