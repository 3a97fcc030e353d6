"""Hugging Face data sets."""

__all__ = [
    "reading",
]  # fmt: skip
