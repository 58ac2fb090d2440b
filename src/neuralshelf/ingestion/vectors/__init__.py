"""Vectors that were made in bulk, joined to a catalogue by key."""
