"""One way from an image file to RGB pixels: reading applies a file's orientation, headers tell sizes."""

__all__ = ["headers", "reading"]
