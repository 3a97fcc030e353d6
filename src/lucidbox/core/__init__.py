"""Values and small tools that every room uses; knows nothing of networks, data sets or the command line."""

__all__ = [
    "array_types", "assignment", "boxes", "class_names", "columns", "detection_tables", "detections", "errors",
    "file_names", "filesystem", "forking", "html_tables", "locking", "matching", "opencv", "parallel", "progress",
    "storage", "temporary", "text", "version",
]  # fmt: skip
