"""YOLO's text files and data.yaml."""

__all__ = [
    "description", "label_files", "reading", "without_yaml",
]  # fmt: skip
