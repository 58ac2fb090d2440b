"""The faults that doctor knows, as data: a stable code, what is the matter, what to do about it.

`{words}` in a text are filled with the facts of the case. docs/faults.md is this list as a table.
"""

import re
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        severity: error: something does not work; warning: it works, and will not for long or not for everybody.
        ends: nothing further can be told while this lasts, so that doctor stops looking.
    """

    code: str
    cause: str
    remedy: str
    severity: Severity = "error"
    ends: bool = False


_CLUSTER = (
    Fault(
        "cluster-refused",
        "nothing listens at {address}: OpenSearch is not running, or host or port are wrong",
        "start OpenSearch (a local one: neuralshelf up), or correct cluster.url of the environment",
        ends=True,
    ),
    Fault(
        "cluster-name-unknown",
        "the name of {address} can't be resolved here",
        "correct cluster.url of the environment, or ask for the DNS entry; a private domain needs its VPN or VPC",
        ends=True,
    ),
    Fault(
        "cluster-timeout",
        "{address} does not answer in time: a firewall or security group drops the packets, or the cluster is stuck",
        "open the way from this machine to that port, then look at the cluster's log and load",
        ends=True,
    ),
    Fault(
        "cluster-certificate-untrusted",
        "the TLS certificate of {address} is not trusted: {said}",
        "give the certificate of its authority as cluster.ca_certs; if it names another host, use that host in "
        "cluster.url; if it has expired, renew it",
        ends=True,
    ),
    Fault(
        "cluster-wrong-scheme",
        "{address} speaks {right}, cluster.url says {wrong}",
        "write {right}:// in cluster.url of the environment",
        ends=True,
    ),
    Fault(
        "cluster-not-opensearch",
        "what answers at {address} is not OpenSearch: {said}",
        "correct cluster.url of the environment: a proxy, a dashboard or another program answers there",
        ends=True,
    ),
    Fault(
        "cluster-unavailable",
        "{address} answers, and says that it can't work: {said}",
        "look at the log of the cluster's nodes; when no cluster manager is elected, start the missing nodes",
        ends=True,
    ),
    Fault(
        "login-refused",
        "{address} refuses the login: {said}",
        "correct auth, username and password of the environment's cluster; for sigv4, log in to AWS again",
        ends=True,
    ),
    Fault(
        "role-lacks-permission",
        "this login may not do: {actions}",
        "map the user to a role that has these permissions (neuralshelf roles writes such roles)",
    ),
    Fault(
        "version-too-old",
        "OpenSearch {version} is older than {least}",
        "upgrade the cluster to {least} or newer",
        ends=True,
    ),
    Fault("plugin-missing", "{nodes}: not installed: {plugins}", "install it on every node and restart", ends=True),
    Fault(
        "memory-breaker-open",
        "a memory circuit breaker of the cluster refuses requests: {said}",
        "give the nodes more heap or send less at once; look for big aggregations and bulks",
        ends=True,
    ),
    Fault(
        "cluster-overloaded",
        "the cluster rejects requests because its queues are full: {said}",
        "send less at once, or add nodes",
        "warning",
    ),
    Fault(
        "system-index-red",
        "{index}, where ML Commons keeps its objects, has no live copy",
        "bring back the node that holds it, or restore the index from a snapshot; GET _cluster/allocation/explain "
        "says why it is not allocated",
        ends=True,
    ),
    Fault(
        "cluster-read-only",
        "the cluster setting {setting} is on: nothing can be created or written",
        "free disk space where a full disk caused it, then set it to null",
    ),
)

_MACHINE_LEARNING = (
    Fault(
        "endpoint-not-trusted",
        "plugins.ml_commons.trusted_connector_endpoints_regex does not match {url}: connectors to it can't be made or "
        "changed, so the next apply, rotate or restore fails",
        "add a pattern for it to that list (neuralshelf apply does so for a model server of one's own); the list "
        "replaces the default one, so keep the AWS patterns",
    ),
    Fault(
        "private-address-refused",
        "the models answer at a private address ({url}), and plugins.ml_commons.connector.private_ip_enabled is off",
        "set it to true (neuralshelf apply does so for a model server of one's own)",
    ),
    Fault(
        "no-node-for-models",
        "no node may run remote models: {said}",
        "let data nodes do it: plugins.ml_commons.task_dispatcher.eligible_node_role.remote_model: [data, ml], and "
        "plugins.ml_commons.exclude_nodes._name empty; or add a node of the role ml",
    ),
    Fault(
        "remote-models-disabled",
        "plugins.ml_commons.remote_inference.enabled is off: no connector can be used",
        "set it to true",
    ),
    Fault(
        "master-key-lost",
        "the key that credentials of connectors are encrypted with is gone or another one ({said}): the index "
        ".plugins-ml-config was deleted or not restored, so credentials can't be read any more, at the latest after "
        "the next restart",
        "make all connectors anew, which needs no new credentials: neuralshelf rotate --force; put .plugins-ml-config "
        "into every snapshot together with the other .plugins-ml indexes",
    ),
    Fault(
        "model-disabled",
        "{names}: switched off (is_enabled is false), so that ingest and search with it are refused",
        'switch it on: PUT _plugins/_ml/models/ID {"is_enabled": true}; find out who switched it off, and why',
    ),
    Fault(
        "model-not-deployed",
        "{names}: state {state}; the next request deploys it and waits for that, or fails where "
        "plugins.ml_commons.model_auto_deploy.enable is off",
        "POST _plugins/_ml/models/ID/_deploy, or neuralshelf apply",
        "warning",
    ),
    Fault(
        "model-partially-deployed",
        "{names}: deployed on {current} of {planned} nodes; requests that reach another node fail or wait",
        "look why the other nodes refuse it (log of the node), then POST _plugins/_ml/models/ID/_deploy",
        "warning",
    ),
)

_ENDPOINT = (
    Fault(
        "endpoint-down",
        "nothing answers at {url} when the cluster calls it: {said}",
        "start the endpoint, or correct endpoint, region or runtime.url, then neuralshelf apply; check that the "
        "cluster's nodes, not just this machine, reach it",
    ),
    Fault(
        "endpoint-unknown",
        "{url} answers that there is no such endpoint or model: {said}",
        "correct endpoint or model_id of the connector, or the region, then neuralshelf apply; or deploy the endpoint",
    ),
    Fault(
        "wrong-secret",
        "the secret key does not belong to the access key: {said}",
        "correct runtime.secret_key, then neuralshelf rotate",
    ),
    Fault(
        "credentials-unknown",
        "the access key or its session token is not known to AWS (any more): {said}",
        "give a valid runtime.access_key, secret_key and, with temporary keys, session_token, then neuralshelf rotate",
    ),
    Fault(
        "credentials-expired",
        "the session token has expired: {said}",
        "get new temporary credentials and run neuralshelf rotate; rotate --watch keeps doing it",
    ),
    Fault(
        "access-denied",
        "the credentials are valid, and may not call the endpoint: {said}",
        "allow sagemaker:InvokeEndpoint or bedrock:InvokeModel on it; for Bedrock also ask for access to the model",
    ),
    Fault(
        "clock-skew",
        "the clocks of the cluster's nodes and of AWS are more than five minutes apart: {said}",
        "synchronise the clocks of the cluster's nodes (NTP)",
    ),
    Fault(
        "endpoint-throttled",
        "the endpoint is over its quota: {said}",
        "raise the quota or add instances; write with fewer documents at once, or spread over time",
        "warning",
    ),
    Fault(
        "endpoint-slow",
        "an answer took {seconds}, the connector for {role} gives up after {patience} s",
        "add instances or take a bigger one; when the model is only so slow, raise read_timeout of the connector",
    ),
    Fault(
        "endpoint-failing",
        "the endpoint fails: {said}",
        "look at the log of the endpoint (SageMaker: CloudWatch)",
    ),
    Fault(
        "answer-not-a-vector",
        "what the endpoint answers is no vector of the expected form: {said}",
        "serve the kind of model that the connector's kind says, or choose the kind that fits the endpoint",
    ),
    Fault(
        "dimension-mismatch",
        "{said}",
        "correct dimension of the connector; when the index has vectors of another size already, raise index.version "
        "and run neuralshelf migrate",
    ),
    Fault(
        "vector-space-mismatch",
        "{names}: gives other vectors than those that are in {index} ({field}: cosine {cosine}): another model "
        "answers there now, and its vectors can't be compared with the old ones",
        "bring the old model back, or raise index.version and run neuralshelf migrate",
    ),
    Fault(
        "ranker-silent",
        "{said}; searches for a person come in the order that they have for everybody",
        "{hint}",
        "warning",
    ),
)

_INDEX = (
    Fault(
        "alias-taken-by-index",
        "{alias} is an index, not an alias: somebody wrote to it before it was provisioned, and its documents have "
        "no vectors",
        "keep what is in it elsewhere (_reindex), delete it, then neuralshelf apply and ingest again",
    ),
    Fault(
        "alias-missing",
        "no index carries the alias {alias}, so searches and writes by that name fail or make a new index",
        "neuralshelf apply",
    ),
    Fault(
        "alias-on-many",
        "the alias {alias} is on {indexes}: searches see documents twice or with other pipelines, writes are refused",
        "take it away from the index that should not be searched: POST _aliases",
    ),
    Fault(
        "index-red",
        "{index}: a shard has no live copy; searches miss documents, writes wait",
        "bring back the node that holds it, or restore the index; GET _cluster/allocation/explain says why",
    ),
    Fault(
        "index-read-only",
        "{index}: {setting} is on, so that writes are refused{why}",
        "free disk space where a full disk caused it, then set it to null in the index's settings",
    ),
    Fault(
        "pipeline-missing",
        "{index} has the default {kind} pipeline {pipeline}, which does not exist: every {what} is refused",
        "neuralshelf apply",
    ),
    Fault(
        "ingest-without-pipeline",
        "{index} has no default ingest pipeline: documents are indexed without vectors, and nobody is told",
        "neuralshelf apply, then ingest again what was written meanwhile",
    ),
    Fault(
        "search-without-normalisation",
        "{index}: {said}; a hybrid search answers 200 with scores that mean nothing",
        "neuralshelf apply",
    ),
    Fault(
        "pipeline-model-missing",
        "{pipeline} uses the model {model}, which does not exist: what it should embed is refused",
        "neuralshelf apply",
    ),
    Fault(
        "faiss-without-native-library",
        "vectors are kept by the engine faiss, and the embedded OpenSearch has no native library for it: the first "
        "search would end the node",
        "write store.engine: lucene in the environment, raise index.version when the index exists, then neuralshelf "
        "apply and ingest",
    ),
)

_DEPLOYMENT = (
    Fault(
        "locked",
        "the deployment is held by {holder}",
        "wait for it; when it is surely dead: neuralshelf unlock {id}",
        "warning",
    ),
    Fault("not-applied", "nothing of {prefix} is in the cluster yet", "neuralshelf apply", "warning"),
    Fault(
        "unapplied-changes",
        "{count} of the deployment's objects differ from the configuration: {addresses}",
        "neuralshelf plan shows what; neuralshelf apply mends it",
        "warning",
    ),
)

FAULTS = {fault.code: fault for fault in (*_CLUSTER, *_MACHINE_LEARNING, *_ENDPOINT, *_INDEX, *_DEPLOYMENT)}
"""Code -> fault, in the order in which they are looked for."""


def table() -> str:
    """The catalogue as a table in Markdown; facts of a case are shown in capitals."""
    lines = ["| code | what is the matter | what to do |", "| --- | --- | --- |"]
    for fault in FAULTS.values():
        warning = " (warning)" if fault.severity == "warning" else ""
        lines.append(f"| `{fault.code}`{warning} | {_shown(fault.cause)} | {_shown(fault.remedy)} |")
    return "\n".join(lines) + "\n"


def _shown(text: str) -> str:
    return re.sub(r"\{([a-z]+)\}", lambda found: found[1].upper(), text).replace("|", "\\|")
