"""Which vectors are right, and how the others are mended."""
