"""Where an OpenSearch comes from: a URL, a container, or this machine."""
