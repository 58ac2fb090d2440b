"""What a person does to a deployment's objects by hand, with curl or in Dashboards."""

import copy
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from opensearchpy import OpenSearch

from tests.engine.provision.deployment import Project
from tests.engine.provision.snapshot import ml_objects

Json = Any

ML = "/_plugins/_ml"


class Hand:
    """Edits of one applied project. Bodies keep the marker, as those of a careful person do."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.client: OpenSearch = project.client
        self.generation = f"{project.prefix}-v1"
        self.index = f"{project.name}-1"
        self.ingest = f"{self.generation}-{project.name}-ingest"
        self.search = f"{self.generation}-{project.name}-search"

    @cached_property
    def ids(self) -> dict[str, str]:
        """`connectors/NAME`, `models/NAME` or `model_groups/NAME` -> id, as first looked at."""
        kinds = ("connectors", "models", "model_groups")
        return {f"{k}/{body['name']}": i for k in kinds for i, body in ml_objects(self.client, k).items()}

    def name(self, role: str) -> str:
        """Name of connector and model: `text-ingest` -> `PREFIX-v1-text-ingest`."""
        return f"{self.generation}-{role}"

    def model(self, role: str) -> str:
        """Id of a model."""
        return self.ids[f"models/{self.name(role)}"]

    def connector(self, role: str) -> str:
        """Id of a connector."""
        return self.ids[f"connectors/{self.name(role)}"]

    def send(self, method: str, path: str, body: Json = None) -> Json:
        """One request."""
        return self.client.transport.perform_request(method, path, body=body)

    def set(self, key: str, value: Json) -> None:
        """A cluster setting."""
        self.client.cluster.put_settings(body={"persistent": {key: value}})

    def set_index(self, **settings: Json) -> None:
        """Settings of the index."""
        self.client.indices.put_settings(index=self.index, body=settings)

    @property
    def group(self) -> str:
        """Id of the model group."""
        return self.ids[f"model_groups/{self.project.prefix}-models"]

    def edit_group(self, **changes: Json) -> None:
        """Change the model group."""
        self.send("PUT", f"{ML}/model_groups/{self.group}", changes)

    def ml_body(self, kind: str, identity: str) -> dict[str, Json]:
        """A connector, model or model group as it is."""
        return dict(copy.deepcopy(ml_objects(self.client, kind)[identity]))

    def edit_model(self, role: str, **changes: Json) -> None:
        """Change a model in place."""
        self.send("PUT", f"{ML}/models/{self.model(role)}", changes)

    def described(self, kind: str, identity: str, text: str) -> str:
        """Its description with other words before the marker."""
        description = self.ml_body(kind, identity)["description"]
        return f"{text} {description[description.index('managed-by') :]}"

    def undeploy(self, role: str) -> None:
        """Take a model out of service."""
        path = f"{ML}/models/{self.model(role)}"
        self.send("POST", f"{path}/_undeploy")
        self.wait(lambda: self.send("GET", path)["model_state"] == "UNDEPLOYED")

    def deploy(self, role: str) -> None:
        """Bring a model into service."""
        path = f"{ML}/models/{self.model(role)}"
        self.send("POST", f"{path}/_deploy")
        self.wait(lambda: self.send("GET", path)["model_state"] == "DEPLOYED")

    def edit_connector(self, role: str, **changes: Json) -> None:
        """Change a connector, for which its model has to be undeployed for a while."""
        self.undeploy(role)
        self.send("PUT", f"{ML}/connectors/{self.connector(role)}", changes)
        self.deploy(role)

    def action(self, role: str) -> dict[str, Json]:
        """The one action of a connector."""
        return dict(self.ml_body("connectors", self.connector(role))["actions"][0])

    def edit_pipeline(self, path: str, change: Callable[[Json], None]) -> None:
        """Change the body of an ingest pipeline (`_ingest/pipeline/…`) or search pipeline (`_search/pipeline/…`)."""
        body = self.send("GET", f"/{path}")[path.rpartition("/")[2]]
        change(body)
        self.send("PUT", f"/{path}", body)

    def edit_template(self, name: str, old: str, new: str) -> None:
        """Replace a text in a stored template."""
        script = self.client.get_script(id=name)["script"]
        assert old in script["source"]
        source = script["source"].replace(old, new)
        self.client.put_script(id=name, body={"script": {"lang": script["lang"], "source": source}})

    def alias(self, *actions: Json) -> None:
        """Change aliases."""
        self.client.indices.update_aliases(body={"actions": list(actions)})

    @staticmethod
    def wait(condition: Callable[[], bool]) -> None:
        """Until it holds."""
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.1)
