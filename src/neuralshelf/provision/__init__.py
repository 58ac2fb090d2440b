"""Flow 1: configuration becomes the objects in the cluster."""
