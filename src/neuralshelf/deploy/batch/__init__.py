"""Batch transform: what a job reads, the job itself, and what it wrote."""
