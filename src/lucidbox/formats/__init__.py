"""Annotation formats: each is read and written here, and nowhere else."""

__all__ = [
    "coco", "dataset", "hub", "json_text", "problems", "writing", "yolo",
]  # fmt: skip
