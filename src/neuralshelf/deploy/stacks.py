"""CloudFormation stacks of a deployment: domain, models, access, and all in one as a quick start.

What `deploy` sends to AWS and what a stack holds come from the same templates: policies, models, configurations.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuralshelf.connectors.policy import iam_policy
from neuralshelf.deploy.desired import framework
from neuralshelf.deploy.image import image_uri, repository_arn
from neuralshelf.deploy.names import Names, tag_list
from neuralshelf.deploy.personalize.wanted import interactions_schema, schema_name
from neuralshelf.deploy.policies import bucket_statements
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.hosting import EndpointHosting
from neuralshelf.templates import parse_stack, render, render_text

Json = Any

ACCOUNT, DOMAIN, INVOKE_ROLE = "«account»", "«domain»", "«invoke-role»"
"""What only AWS knows, in the place of its value; each dialect has its own words for it."""

STACK_WORDS = {ACCOUNT: "${AWS::AccountId}", DOMAIN: "${DomainName}", INVOKE_ROLE: "${InvokeRole.Arn}"}

METHODS = ("es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpPut")
ENGINE = "OpenSearch_3.3"
"""The newest that AWS's page "Upgrading Amazon OpenSearch Service domains" names."""

LONGEST_DOMAIN = 28


@dataclass(frozen=True)
class DomainSize:
    """Data nodes of a domain, before anybody chooses others."""

    instance_type: str
    instances: int
    volume_gb: int


FULL = DomainSize("r7g.large.search", 2, 20)
QUICK = DomainSize("t3.small.search", 1, 10)


@dataclass(frozen=True)
class StackEndpoint:
    """A SageMaker endpoint in a stack.

    Attributes:
        id: beginning of its logical ids.
        data: default of the parameter that says where its archive is.
        pattern: which other places that parameter may name: where the endpoints' role may read.
        image: of the container.
        model, config, endpoint: properties of the three resources.
    """

    id: str
    name: str
    data: str
    pattern: str
    image: str
    model: Json
    config: Json
    endpoint: Json


class Stacks:
    """The stacks of one deployment; nothing of AWS is asked."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.hosting = deployment.environment.hosting
        self.names = Names.of(deployment, ACCOUNT)

    @property
    def region(self) -> str:
        """Of the domain."""
        environment = self.deployment.environment
        return environment.cluster.region or environment.runtime.region

    @property
    def domain_name(self) -> str:
        """Default name of the domain: the prefix, cut where it is too long."""
        return self.names.prefix[:LONGEST_DOMAIN].rstrip("-")

    def texts(self) -> dict[str, str]:
        """File name -> stack. Without a section `hosting` there is nothing to host, so no `models.yaml`; without a
        campaign of ours no `personalize.yaml`.

        Raises:
            ConfigError: two endpoints that a stack can't tell apart, or no image is known.
        """
        some = [*(["models"] if self.hosting else []), *(["personalize"] if self.bucket_statements else [])]
        files = ("domain", "access", *some, "quickstart")
        found = {f"{file}.yaml": self._text(file) for file in files}
        for text in found.values():
            parse_stack(text)
        return found

    def policies(self) -> dict[str, Json]:
        """Name of a policy -> its document; ACCOUNT, DOMAIN and INVOKE_ROLE stand in it for what only AWS knows."""
        names, hosting = self.names, self.hosting
        models = {"partition": names.partition, "region": names.region, "account": ACCOUNT}
        domain = models | {"region": self.region, "domain": DOMAIN}
        bucket = {"bucket": hosting.bucket if hosting else None, "places": list(names.places)}
        specs = self.deployment.config.connectors.values()
        found = {
            "opensearch-invoke-trust": render("iam/opensearch-invoke-trust.json.j2", **domain),
            "opensearch-invoke": iam_policy(
                specs, region=names.region, account=ACCOUNT, ranking=self.deployment.config.ranking
            ),
            "provision": render("iam/provision.json.j2", **domain, invoke_role=INVOKE_ROLE),
            "ingest": render("iam/ingest.json.j2", **domain, **bucket),
            "domain-logs": render("iam/domain-logs.json.j2", **domain),
        }
        if hosting:
            found["bucket"] = render("iam/bucket.json.j2", **models, **bucket, more=self.bucket_statements)
            found["endpoint-execution-trust"] = render("iam/endpoint-execution-trust.json.j2", **models)
            archives = [each for hosted in hosting.endpoints.values() for each in hosted.archives.values()]
            found["endpoint-execution"] = render(
                "iam/endpoint-execution.json.j2",
                **models,
                **bucket,
                artefacts=sorted({self._object_arn(each) for each in archives if each.startswith("s3://")}),
                repositories=self._repositories(),
            )
        return found

    @property
    def bucket_statements(self) -> list[Json]:
        """What the bucket must allow Amazon Personalize; nothing where no campaign of ours ranks."""
        ranking = self.deployment.config.ranking
        if self.hosting is None or ranking is None or not ranking.is_named:
            return []
        return bucket_statements(self.names, self.hosting.bucket)

    def endpoints(self, *, quick: bool = False) -> list[StackEndpoint]:
        """The endpoints of `hosting`; `quick`: all of them serverless.

        Raises:
            ConfigError: two that a stack can't tell apart, or no image is known.
        """
        found: dict[str, StackEndpoint] = {}
        for name, hosted in self.hosting.endpoints.items() if self.hosting else ():
            changes = {"mode": "serverless", "targets": {}} if quick else {}
            made = self._endpoint(name, hosted.model_copy(update=changes))
            if made.id in found:
                hint = "rename one of them"
                raise ConfigError(
                    f"endpoints {found[made.id].name} and {name} differ by dashes and capitals only", hint=hint
                )
            found[made.id] = made
        return list(found.values())

    def uploads(self) -> dict[str, str]:
        """Where the stacks look for an archive in S3 -> the one on this machine."""
        found = {}
        for name, hosted in self.hosting.endpoints.items() if self.hosting else ():
            for package, archive in hosted.archives.items():
                if not archive.startswith("s3://"):
                    found[f"{self._folder(name)}{package}.tar.gz"] = archive
        return found

    def image(self, hosted: EndpointHosting) -> str:
        """The container image of an endpoint."""
        instance = None if hosted.mode == "serverless" else hosted.instance_type
        return hosted.image or image_uri(self.names.region, instance, framework(hosted.package))

    def _text(self, file: str) -> str:
        quick = file == "quickstart"
        size = QUICK if quick else FULL
        policies = self.policies()
        archives = [each for hosted in self._hosted() for each in hosted.archives.values()]
        elsewhere = all(each.startswith("s3://") and not each.startswith(self._folder()) for each in archives)
        return render_text(
            f"cloudformation/{file}.yaml.j2",
            prefix=self.names.prefix,
            places=self.names.places,
            domain={"name": self.domain_name, "version": ENGINE} | vars(size),
            methods=METHODS,
            tags=tag_list(self.names.tags()),
            policies={name: in_stack(document) for name, document in policies.items()},
            log_policy=_worded(json.dumps(policies["domain-logs"], ensure_ascii=False)),
            bucket=self.hosting.bucket if self.hosting else None,
            role_arn=self.hosting.role_arn if self.hosting else None,
            ready="true" if elsewhere else "false",
            endpoints=self.endpoints(quick=quick),
            group=self.names.stem,
            schema=interactions_schema(),
            schema_name=schema_name(self.names, interactions_schema()),
        )

    def _hosted(self) -> list[EndpointHosting]:
        return list(self.hosting.endpoints.values()) if self.hosting else []

    def _folder(self, endpoint: str = "") -> str:
        """Where archives of this machine go, with a slash at the end."""
        assert self.hosting is not None
        return f"s3://{self.hosting.bucket}/{self.names.prefix}/models/{endpoint + '/' if endpoint else ''}"

    def _object_arn(self, url: str) -> str:
        return f"arn:{self.names.partition}:s3:::{url.removeprefix('s3://')}"

    def _repositories(self) -> list[str]:
        images = {self.image(hosted) for hosted in self._hosted()} | {each.image for each in self.endpoints(quick=True)}
        return sorted({arn for image in images if (arn := repository_arn(image, self.names.partition))})

    def _endpoint(self, name: str, hosted: EndpointHosting) -> StackEndpoint:
        logical = "".join(part[0].upper() + part[1:].lower() for part in name.split("-") if part)
        several = hosted.mode == "multi-model"
        data = self._folder(name) + ("" if several else f"{hosted.package}.tar.gz")
        pattern = self._folder() + (".+/" if several else r".+\.tar\.gz")
        if hosted.model.startswith("s3://"):
            data, pattern = hosted.model, f"({pattern}|{re.escape(hosted.model)})"
        values = {"name": name, "region": self.names.region, "tags": tag_list(self.names.tags(name)), "hosted": hosted}
        role: Json = {"Fn::GetAtt": ["ExecutionRole", "Arn"]}
        assert self.hosting is not None
        model = render(
            "deploy/model.json.j2",
            **values,
            role_arn=self.hosting.role_arn or role,
            image=self.image(hosted),
            url={"Ref": f"{logical}ModelData"},
        )
        config = render(
            "deploy/endpoint-config.json.j2", **values, model={"Fn::GetAtt": [f"{logical}Model", "ModelName"]}
        )
        made = {"Fn::GetAtt": [f"{logical}Config", "EndpointConfigName"]}
        return StackEndpoint(
            id=logical,
            name=name,
            data=data,
            pattern=f"^{pattern}$",
            image=self.image(hosted),
            # a stack names them itself, so that it can replace them
            model={key: value for key, value in model.items() if key != "ModelName"},
            config={key: value for key, value in config.items() if key != "EndpointConfigName"},
            endpoint=render("deploy/endpoint.json.j2", **values, config=made),
        )


def in_stack(document: Json) -> Json:
    """The document with `Fn::Sub` where it needs what only AWS knows."""
    if isinstance(document, Mapping):
        return {key: in_stack(value) for key, value in document.items()}
    if isinstance(document, list):
        return [in_stack(value) for value in document]
    if isinstance(document, str) and any(word in document for word in STACK_WORDS):
        return {"Fn::Sub": _worded(document)}
    return document


def _worded(text: str) -> str:
    """For `Fn::Sub`, which reads `${!` as `${`."""
    return known(text.replace("${", "${!"), STACK_WORDS)


def known(text: str, words: Mapping[str, str]) -> str:
    """`text` with the words of a dialect in the place of ACCOUNT, DOMAIN and INVOKE_ROLE."""
    for placeholder, word in words.items():
        text = text.replace(placeholder, word)
    return text
