"""What OpenSearch runs: the index, the ingest pipeline, the search pipeline, stored search templates."""

from neuralshelf.pipelines.resources import pipeline_resources

__all__ = ["pipeline_resources"]
