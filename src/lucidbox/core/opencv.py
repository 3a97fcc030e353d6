"""OpenCV's videos without its own words on standard error: errors are raised as exceptions."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# Read by OpenCV at their first use in a process.
for variable, value in {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    # Packets that a grab may pass over until it gives up: those of other streams, and undecodable ones.
    "OPENCV_FFMPEG_READ_ATTEMPTS": "1000000000",
    "OPENCV_FFMPEG_DECODE_ATTEMPTS": "1000000000",
}.items():
    os.environ.setdefault(variable, value)


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's messages off standard error within the block."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        if before != logging.LOG_LEVEL_SILENT:  # else another thread is in here, and knows what to put back
            logging.setLogLevel(before)
