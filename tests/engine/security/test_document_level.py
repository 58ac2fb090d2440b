"""What document-level security does to a hybrid query, and that the query checker says so."""

from dataclasses import replace
from typing import Any

import pytest
from opensearchpy import OpenSearch, TransportError

from neuralshelf.checker import check, facts_of
from neuralshelf.checker.live import read_facts
from neuralshelf.deployment import Config
from neuralshelf.settings import VectorStore
from tests.engine.pipelines.conftest import SHOP
from tests.engine.pipelines.test_search import hybrid

from .node import SecuredNode

DLS = '{"term": {"colour": "red"}}'
RIGHTS = ["indices:data/read*", "indices:admin/get", "indices:admin/mappings/get", "indices:admin/aliases/get"]
CLUSTER = ["cluster:admin/opensearch/ml/predict", "cluster:admin/search/pipeline/get", "indices:data/read*"]


def test_a_role_that_narrows_is_refused_or_at_least_told(
    full_shop: Any, engine: SecuredNode, client: OpenSearch
) -> None:
    permission = {"index_patterns": ["shelf*"], "allowed_actions": RIGHTS, "dls": DLS}
    body = {"cluster_permissions": CLUSTER, "index_permissions": [permission]}
    user = engine.client(engine.add_user(client, "narrow", "narrow", body))
    sent = hybrid("red teapot")
    filtered = {"query": {"bool": {"filter": [{"term": {"colour": "red"}}]}}, "size": 0}
    assert user.search(index="shelf", body={"query": {"match_all": {}}, "size": 0})["hits"]["total"]["value"] == 9
    assert client.search(index="shelf", body=filtered)["hits"]["total"]["value"] == 9
    with pytest.raises(TransportError, match="must be a top level query"):
        user.search(index="shelf", body=sent)
    near = {"query_text": "red teapot", "k": 9}
    found = user.search(index="shelf", body={"query": {"neural": {"text_vector": near}}})["hits"]["hits"]
    within = {"neural": {"text_vector": {**near, "filter": {"term": {"colour": "red"}}}}}
    assert len(found) < len(user.search(index="shelf", body={"query": within})["hits"]["hits"]) == 9

    config = Config.parse({**SHOP, "project": "shelf", "index": {**SHOP["index"], "name": "shelf"}}, "shop.yaml")
    configured = facts_of(
        config.index, config.search, config.connectors, store=VectorStore(), prefix=f"{config.project}-test"
    )
    facts = read_facts(user, "shelf", configured)
    assert facts.secured is None, "such a login may not read roles"
    assert check(facts, sent).findings[0].issue == "neural-search #1303, ml-commons #3815"
    assert read_facts(client, "shelf", configured).secured is False
    assert check(replace(facts, secured=True), sent).word == "refused"
    user.close()
