"""CLIP (Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021) by open_clip."""
