"""The sample catalogue: products of our own, modelled and rendered by this folder (see README.md)."""
