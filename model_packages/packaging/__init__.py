"""A model package and its weights into a `model.tar.gz`, and out of one again."""
