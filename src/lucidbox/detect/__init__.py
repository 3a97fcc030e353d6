"""The one path from pixels to boxes: letterbox, engine, selection, suppression, back to the image."""

__all__ = ["anchor_outcome", "letterbox", "merging", "nms", "predictor", "stream", "tiles"]
