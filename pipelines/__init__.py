"""What OpenSearch runs: index, ingest pipeline, search pipeline, stored search templates."""
