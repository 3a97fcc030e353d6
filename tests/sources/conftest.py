import cv2
import numpy as np
import pytest


@pytest.fixture
def film(tmp_path):
    """Function that writes a video of grey frames, each brighter by 4, with noise in one corner."""

    def write(name, code="MJPG", frames=30, rate=25.0):
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), rate, (64, 48))
        assert writer.isOpened()
        for index in range(frames):
            frame = np.full((48, 64, 3), 4 * index, np.uint8)
            frame[:24, :32] += np.random.default_rng(index).integers(0, 40, (24, 32, 3), np.uint8)
            writer.write(frame)
        writer.release()
        return path

    return write
