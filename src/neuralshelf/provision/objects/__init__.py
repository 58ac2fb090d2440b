"""The kinds of objects in a cluster."""

from collections.abc import Mapping

from neuralshelf.provision.objects.base import Guard, Object, Scope, Writing
from neuralshelf.provision.objects.connector import Connectors
from neuralshelf.provision.objects.index import Indexes
from neuralshelf.provision.objects.model import Models
from neuralshelf.provision.objects.model_group import ModelGroups
from neuralshelf.provision.objects.pipeline import Pipelines
from neuralshelf.provision.objects.search_template import SearchTemplates
from neuralshelf.provision.objects.settings import ClusterSettings
from neuralshelf.resource import Kind

OBJECTS: Mapping[Kind, Object] = {
    Kind.SETTINGS: ClusterSettings(),
    Kind.CONNECTOR: Connectors(),
    Kind.MODEL_GROUP: ModelGroups(),
    Kind.MODEL: Models(),
    Kind.INGEST_PIPELINE: Pipelines(Kind.INGEST_PIPELINE, "/_ingest/pipeline"),
    Kind.SEARCH_PIPELINE: Pipelines(Kind.SEARCH_PIPELINE, "/_search/pipeline"),
    Kind.INDEX: Indexes(),
    Kind.SEARCH_TEMPLATE: SearchTemplates(),
}
"""By kind, in the order in which they are made."""

__all__ = ["OBJECTS", "Guard", "Object", "Scope", "Writing"]
