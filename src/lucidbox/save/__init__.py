"""What ``predict`` writes to disk.

``encode`` (images), ``video``, ``json_lines``, ``results`` (crops and YOLO text of one image) and ``writers``,
which puts all of them into one new folder.
"""

__all__ = ["encode", "json_lines", "results", "video", "writers"]
