"""COCO's JSON."""

__all__ = [
    "annotations", "columns", "results",
]  # fmt: skip
