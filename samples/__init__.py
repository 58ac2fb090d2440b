"""The sample catalogue: products of our own, modelled and rendered by this folder. Not part of the installed package."""
