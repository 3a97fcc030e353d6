"""COCO's JSON."""

__all__ = [
    "annotations", "columns", "results", "substitutes",
]  # fmt: skip
