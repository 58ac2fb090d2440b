"""Dead letters: documents that did not get in, why, and how they are tried again."""
