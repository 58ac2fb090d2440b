"""neuralshelf: product search by meaning and by picture, done by OpenSearch itself."""

__version__ = "0.1.0"
