"""Objects in a picture by their names, and their crops (Liu et al., Grounding DINO, 2023, arXiv:2303.05499)."""
