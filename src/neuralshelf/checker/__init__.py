"""Whether a `_search` body does what it says on an index of ours."""
