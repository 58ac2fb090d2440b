"""Pictures to vectors by a vision transformer trained without labels (Caron et al., DINO, 2021, arXiv:2104.14294)."""
