"""Annotation formats: each is read and written here, and nowhere else."""
