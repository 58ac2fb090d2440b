"""What would stop a deployment, looked at before anything is made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from neuralshelf.connectors.spec import BedrockTitanMultimodal
from neuralshelf.deploy.archives import Archive
from neuralshelf.deploy.calls import Aws, Denied
from neuralshelf.deploy.desired import Desired
from neuralshelf.deploy.observed import observe_bucket
from neuralshelf.errors import NeuralshelfError
from neuralshelf.model_packages.packaging.archive import check
from neuralshelf.model_packages.packaging.manifest import PackageError

Json = Any
State = Literal["ok", "warn", "fail"]

LINKED_ROLE = "AWSServiceRoleForAmazonOpenSearchService"
SERVERLESS_BODY = 4_000_000  # bytes (Amazon SageMaker AI developer guide, "Invoke a serverless endpoint")
SERVERLESS_QUOTA = "Maximum total concurrency that can be allocated across all serverless endpoints"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        found: one line.
        remedy: the next step; empty when it is ok.
    """

    name: str
    state: State
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return {"name": self.name, "state": self.state, "found": self.found, "remedy": self.remedy}


@dataclass(frozen=True)
class Preflight:
    """All checks, in their order."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Nothing fails; there may be warnings."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """What would stop the deployment."""
        return tuple(check for check in self.checks if check.state == "fail")

    def as_dict(self) -> dict[str, Json]:
        """For `--json`."""
        return {"format_version": 1, "ok": self.ok, "checks": [check.as_dict() for check in self.checks]}


def preflight(aws: Aws, desired: Desired, who: str) -> Preflight:
    """Look at everything that a deployment needs. Sends no write and asks no model.

    Args:
        who: ARN of the login, as `identity` gives it.
    """
    looks: dict[str, Callable[[], Iterator[Check]]] = {
        "region": lambda: _region(desired),
        "service-linked role": lambda: _linked_role(aws, desired),
        "connectors": lambda: _connectors(desired),
        "archives": lambda: _archives(aws, desired),
        "images": lambda: _images(desired),
        "bucket": lambda: _bucket(aws, desired),
        "quotas": lambda: _quotas(aws, desired),
        "bedrock": lambda: _bedrock(aws, desired),
    }
    checks = [Check("login", "ok", who)]
    for name, look in looks.items():
        try:
            checks += look()
        except Denied as fault:
            checks.append(Check(name, "warn", f"not looked at: {fault.message}", fault.hint))
        except NeuralshelfError as fault:
            checks.append(Check(name, "fail", fault.message, fault.hint))
    return Preflight(tuple(checks))


def _region(desired: Desired) -> Iterator[Check]:
    import boto3

    session, region = boto3.Session(), desired.names.region
    if region in session.get_available_regions("sagemaker", partition_name=desired.names.partition):
        yield Check("region", "ok", f"{region} has SageMaker")
    else:
        remedy = "correct runtime.region; a newer boto3 may know more regions: pip install --upgrade boto3"
        yield Check("region", "warn", f"SageMaker is not known to be in {region}", remedy)


def _linked_role(aws: Aws, desired: Desired) -> Iterator[Check]:
    """A domain in a VPC can't be made without it, and AWS makes it only where somebody uses the console."""
    if desired.deployment.environment.cluster.auth != "sigv4":
        return
    if aws.ask("iam", "GetRole", RoleName=LINKED_ROLE) is None:
        remedy = "aws iam create-service-linked-role --aws-service-name opensearchservice.amazonaws.com"
        yield Check(
            "service-linked role", "warn", f"{LINKED_ROLE} is not there: no domain in a VPC can be made", remedy
        )
    else:
        yield Check("service-linked role", "ok", LINKED_ROLE)


def _connectors(desired: Desired) -> Iterator[Check]:
    """Connectors and endpoints name each other."""
    endpoints = desired.hosting.endpoints
    called = set()
    for name, spec in desired.deployment.config.connectors.items():
        if isinstance(spec, BedrockTitanMultimodal):
            continue
        called.add(spec.endpoint)
        hosted = endpoints.get(spec.endpoint)
        if hosted is None:
            yield Check(
                "connectors",
                "warn",
                f"connector {name} calls endpoint {spec.endpoint}, which hosting.endpoints does not name",
                f"add hosting.endpoints.{spec.endpoint}, unless somebody else hosts it",
            )
            continue
        targets = {f"{package}.tar.gz" for package in hosted.archives} if hosted.mode == "multi-model" else {None}
        if spec.target_model not in targets:
            known = ", ".join(sorted(filter(None, targets))) or "none"
            found = f"connector {name}: target_model {spec.target_model} is none of {spec.endpoint}'s ({known})"
            yield Check("connectors", "fail", found, f"correct connectors.{name}.target_model")
        if hosted.mode == "serverless" and getattr(spec, "max_body", 0) > SERVERLESS_BODY:
            found = f"connector {name} sends up to {spec.max_body} bytes, a serverless endpoint takes {SERVERLESS_BODY}"  # type: ignore[union-attr]
            yield Check("connectors", "warn", found, f"set connectors.{name}.max_body: {SERVERLESS_BODY}")
    for endpoint in sorted(endpoints.keys() - called):
        yield Check("connectors", "warn", f"no connector calls endpoint {endpoint}", "take it out, or add a connector")
    if called and called <= endpoints.keys():
        yield Check("connectors", "ok", f"{len(called)} endpoints are called")


def _archives(aws: Aws, desired: Desired) -> Iterator[Check]:
    for name, hosted in desired.hosting.endpoints.items():
        for file in desired.archives(hosted).values():
            archive = Archive.read(file)
            try:
                check(file)
            except PackageError as fault:
                yield Check("archives", "fail", f"{name}: {fault.message}", fault.hint)
                continue
            yield Check("archives", "ok", f"{name}: {file.name}, {archive.bytes} bytes, sha256 {archive.sha256}")
        for model in hosted.archives.values():
            if model.startswith("s3://"):
                bucket, _, key = model.removeprefix("s3://").partition("/")
                head = aws.ask("s3", "HeadObject", Bucket=bucket, Key=key)
                if head is None:
                    yield Check("archives", "fail", f"{name}: {model} is not there", "correct its model")
                else:
                    yield Check("archives", "ok", f"{name}: {model}, {head['ContentLength']} bytes")


def _images(desired: Desired) -> Iterator[Check]:
    for name, image in desired.images.items():
        yield Check("images", "ok", f"{name}: {image}")


def _bucket(aws: Aws, desired: Desired) -> Iterator[Check]:
    name = desired.hosting.bucket
    found = observe_bucket(aws, desired.names, name)
    if found is None:
        yield Check("bucket", "ok", f"{name} is not there yet: deploy makes it")
    else:
        yield Check("bucket", "ok", f"{name} is there" + ("" if found.ours else ", not made by us: it will stay"))


def _quotas(aws: Aws, desired: Desired) -> Iterator[Check]:
    """Instances of each type and serverless concurrency against the account's quotas; other users aren't counted."""
    needs: dict[str, int] = {}
    for hosted in desired.hosting.endpoints.values():
        if hosted.mode == "serverless":
            quota, amount = SERVERLESS_QUOTA, hosted.max_concurrency
        else:
            quota, amount = f"{hosted.instance_type} for endpoint usage", hosted.instances
        needs[quota] = needs.get(quota, 0) + amount
    given = _values(aws, "ListAWSDefaultServiceQuotas") | _values(aws, "ListServiceQuotas")
    for quota, amount in needs.items():
        remedy = f"ask for more of {quota!r}: AWS console, Service Quotas, Amazon SageMaker"
        if quota not in given:
            yield Check("quotas", "warn", f"{quota}: {amount} needed, the quota is not listed", remedy)
        elif given[quota] < amount:
            yield Check("quotas", "fail", f"{quota}: {amount} needed, {given[quota]:g} allowed", remedy)
        else:
            yield Check("quotas", "ok", f"{quota}: {amount} of {given[quota]:g}")


def _values(aws: Aws, operation: str) -> dict[str, float]:
    """Quotas by their names, which are the same in all accounts, as their codes are not documented."""
    found = aws.pages("service-quotas", operation, "Quotas", ServiceCode="sagemaker")
    return {quota["QuotaName"]: quota["Value"] for quota in found}


def _bedrock(aws: Aws, desired: Desired) -> Iterator[Check]:
    for model in sorted(_titans(desired)):
        if model.startswith("arn:"):
            yield Check("bedrock", "ok", f"{model} is your own")
            continue
        found = aws.ask("bedrock", "GetFoundationModel", modelIdentifier=model)
        if found is None:
            yield Check(
                "bedrock", "fail", f"{model} is not in {desired.names.region}", "choose another region or model"
            )
            continue
        status = found["modelDetails"].get("modelLifecycle", {}).get("status", "ACTIVE")
        access = aws.ask("bedrock", "GetFoundationModelAvailability", modelId=model) or {}
        missing = [key for key, good in _ACCESS.items() if access.get(key) not in (None, good)]
        if missing:
            said = ", ".join(f"{key} {access[key]}" for key in missing)
            yield Check("bedrock", "fail", f"{model}: {said}", "ask for access: AWS console, Bedrock, Model access")
        elif status != "ACTIVE":
            yield Check("bedrock", "warn", f"{model} is {status}: AWS will take it away", "plan a migration")
        else:
            yield Check("bedrock", "ok", f"{model} may be used")


_ACCESS = {
    "authorizationStatus": "AUTHORIZED",
    "entitlementAvailability": "AVAILABLE",
    "regionAvailability": "AVAILABLE",
}


def _titans(desired: Desired) -> set[str]:
    specs = desired.deployment.config.connectors.values()
    return {spec.model_id for spec in specs if isinstance(spec, BedrockTitanMultimodal)}
