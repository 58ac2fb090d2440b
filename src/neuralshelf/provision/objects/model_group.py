"""The model group of a deployment. Its name is unique in the cluster; it can't go while it has models."""

import time
from collections.abc import Iterable, Mapping

from opensearchpy import ConflictError, NotFoundError, OpenSearch

from neuralshelf.provision.live import Live
from neuralshelf.provision.objects.base import Json, Scope, Writing, unmarked
from neuralshelf.provision.objects.ml import ML, search_all
from neuralshelf.resource import Kind, Resource

SETTLE_SECONDS = 10.0


class ModelGroups:
    """Model groups of ML Commons."""

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        for identity, source in search_all(client, "model_groups", scope.prefix, scope.names(Kind.MODEL_GROUP)):
            description, marker = unmarked(source.get("description"))
            if scope.concerns(Kind.MODEL_GROUP, str(source.get("name")), marker):
                body = {"name": source.get("name"), "description": description}
                created = int(source.get("created_time") or 0)
                yield Live(Kind.MODEL_GROUP, str(source.get("name")), identity, marker, body, created)

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        return resource.body

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        body = writing.body(resource)
        if live is None:
            return str(writing.send("POST", f"{ML}/model_groups/_register", body)["model_group_id"])
        writing.send("PUT", f"{ML}/model_groups/{live.id}", {key: body[key] for key in ("name", "description")})
        return live.id

    def delete(self, writing: Writing, live: Live) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                writing.send("DELETE", f"{ML}/model_groups/{live.id}")
                return
            except NotFoundError:
                return
            except ConflictError:  # models that were just deleted are still counted for a moment
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)
