"""Annotation formats: each is read and written here, and nowhere else."""

__all__ = [
    "coco", "dataset", "frame_records", "hub", "json_text", "mot", "problems", "video_tracks", "writing", "yolo",
]  # fmt: skip
