"""What a catalogue is written in: formats, and values that fit the fields of an index."""
