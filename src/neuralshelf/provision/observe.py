"""Read the cluster: all objects of one deployment, found by their markers. Sends no write."""

from collections.abc import Sequence

from opensearchpy import OpenSearch

from neuralshelf.provision.live import Live, Observed
from neuralshelf.provision.objects import OBJECTS, Scope
from neuralshelf.provision.objects.connector import mistaken
from neuralshelf.provision.objects.index import holders
from neuralshelf.resource import Kind, Resource


def observe(client: OpenSearch, desired: Sequence[Resource], *, prefix: str) -> Observed:
    """What is there of the deployment `prefix`, wanted or not, and what stands in its way.

    Args:
        desired: tells the names of indexes and templates, and what an object should be made from.
    """
    wanted = {resource.address: resource for resource in desired}
    scope = Scope(prefix, wanted)
    found: dict[str, list[Live]] = {}
    for reader in OBJECTS.values():
        for live in reader.read(client, scope):
            found.setdefault(live.address, []).append(live)
    best: dict[str, Live] = {}
    twins: list[Live] = []
    for address, candidates in found.items():
        # An interrupted change can leave two: ours before a namesake, the one that fits before the newest.
        fitting = wanted[address].fingerprint if address in wanted else None
        candidates.sort(key=lambda live: (live.marker is None, live.fingerprint != fitting, -live.created))
        best[address] = candidates[0]
        twins += [live for live in candidates[1:] if live.marker is not None]
    unwanted = [*twins, *(live for address, live in best.items() if address not in wanted and live.marker)]
    connectors = [live.id for live in unwanted if live.kind is Kind.CONNECTOR]
    refused = frozenset(identity for identity in connectors if mistaken(client, identity))
    aliases = {alias for resource in desired if resource.kind is Kind.INDEX for alias in resource.body["aliases"]}
    version = str(client.info()["version"]["number"])
    held = {alias: holders(client, alias) for alias in sorted(aliases)}
    return Observed(version, best, tuple(twins), held, refused)
