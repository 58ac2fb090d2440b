"""The verb `batch`: a catalogue embedded by SageMaker batch transform, and indexed."""
