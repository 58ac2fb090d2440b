"""Flow 3 judged: how good the answers of a plain `_search` are."""
