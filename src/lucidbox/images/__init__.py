"""One way from an image file to upright RGB pixels; headers give sizes without decoding."""

__all__ = ["headers", "kinds", "pixels", "reading"]
