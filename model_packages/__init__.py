"""What answers behind a connector. Nothing in here imports the rest of neuralshelf."""
