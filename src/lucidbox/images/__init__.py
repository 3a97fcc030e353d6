"""One way from an image file to RGB pixels: reading applies the orientation that a file states, headers give sizes."""

__all__ = ["headers", "reading"]
