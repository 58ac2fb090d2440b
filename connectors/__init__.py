"""How OpenSearch reaches a model: connectors and remote models of ML Commons."""
