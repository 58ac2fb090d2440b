"""Stored search templates. They have no description: the marker is a comment at the beginning of the source."""

import contextlib
from collections.abc import Iterable, Mapping

from opensearchpy import AuthorizationException, NotFoundError, OpenSearch

from neuralshelf.provision.live import Live
from neuralshelf.provision.marker import Marker
from neuralshelf.provision.objects.base import Json, Scope, Writing, get_or_none
from neuralshelf.resource import Kind, Resource, resolve


class SearchTemplates:
    """Scripts of the language mustache."""

    def read(self, client: OpenSearch, scope: Scope) -> Iterable[Live]:
        for name, script in _scripts(client, scope.names(Kind.SEARCH_TEMPLATE)).items():
            marker = Marker.find(script.get("source"))
            if scope.concerns(Kind.SEARCH_TEMPLATE, name, marker):
                source = str(script.get("source"))
                plain = {key: value for key, value in script.items() if key != "options"}
                body = {**plain, "source": source.removeprefix(comment(marker)) if marker else source}
                yield Live(Kind.SEARCH_TEMPLATE, name, name, marker, {"script": body})

    def wanted(self, resource: Resource, ids: Mapping[str, str]) -> Json:
        return resolve(resource.body, ids)

    def write(self, writing: Writing, resource: Resource, live: Live | None) -> str:
        script = resolve(resource.body, writing.ids)["script"]
        marked = {**script, "source": comment(writing.marker(resource)) + script["source"]}
        writing.send("PUT", f"/_scripts/{resource.name}", {"script": marked})
        return resource.name

    def delete(self, writing: Writing, live: Live) -> None:
        with contextlib.suppress(NotFoundError):
            writing.send("DELETE", f"/_scripts/{live.name}")


def comment(marker: Marker) -> str:
    """The beginning of a marked source."""
    return "{{! " + str(marker) + " }}"


def _scripts(client: OpenSearch, names: list[str]) -> Mapping[str, Json]:
    """All stored scripts: only the cluster's state lists them; where that may not be read, those of the given names."""
    try:
        path = "/_cluster/state/metadata"
        state = client.transport.perform_request("GET", path, params={"filter_path": "metadata.stored_scripts"})
    except AuthorizationException:
        found = {name: get_or_none(client, f"/_scripts/{name}") for name in names}
        return {name: answer["script"] for name, answer in found.items() if answer}
    return dict(state.get("metadata", {}).get("stored_scripts", {}))
