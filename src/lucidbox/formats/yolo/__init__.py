"""YOLO's text files and data.yaml."""

__all__ = [
    "description", "reading", "without_yaml",
]  # fmt: skip
