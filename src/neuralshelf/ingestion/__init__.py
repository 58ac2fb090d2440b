"""Flow 2: a catalogue row and its picture become a document with vectors, or a dead letter with its cause."""
