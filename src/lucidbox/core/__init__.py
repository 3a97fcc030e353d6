"""Values and small tools that every room uses; knows nothing of networks, data sets or the command line."""

__all__ = [
    "array_types", "assignment", "boxes", "class_names", "columns", "detections", "errors", "file_names",
    "filesystem", "locking", "opencv", "parallel", "progress", "temporary", "text", "version", "matching",
]  # fmt: skip
