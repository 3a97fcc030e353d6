"""YOLO's text files and data.yaml."""

__all__ = [
    "description", "reading",
]  # fmt: skip
