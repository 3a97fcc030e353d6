"""The one path from pixels to boxes: letterbox, engine, selection, suppression, back to the image."""
