"""Engine, model server and search page on this machine, as one stack."""
