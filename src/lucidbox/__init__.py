"""lucidbox: YOLO11 object detection, written to be read, trusted and shipped."""

__version__ = "0.1.0"
