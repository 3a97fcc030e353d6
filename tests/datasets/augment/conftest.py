"""Pictures whose objects can be found again by their colour."""

import numpy as np
import pytest

from lucidbox.datasets.augment import Sample

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255), (255, 255, 255)]


class Painting:
    """Helpers of the tests of augmentation; class ids are indices into the colours."""

    count = len(COLOURS)

    @staticmethod
    def painted(height, width, *boxes, classes=(0,)):
        """Black with rectangles of whole pixels, each in the colour of its class."""
        image = np.zeros((height, width, 3), np.uint8)
        for (left, top, right, bottom), label in zip(boxes, classes, strict=True):
            image[top:bottom, left:right] = COLOURS[label]
        return Sample(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64))

    @staticmethod
    def mask(image, label):
        """Pixels of a class's colour: more than half of it where it was blended with black or grey."""
        return ((image > 127) == (np.array(COLOURS[label]) > 127)).all(axis=2)

    @classmethod
    def found(cls, image, label):
        """The box around all pixels of a class's colour; None where there are none."""
        rows, columns = np.nonzero(cls.mask(image, label))
        if not len(rows):
            return None
        return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float64)

    @staticmethod
    def picture(height, width, seed=0):
        """Smooth colours everywhere, and no boxes."""
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[:height, :width, :1][:2].astype(np.float64)
        waves = 120 + 100 * np.sin(rows * rng.uniform(0.05, 0.2, 3) + columns * rng.uniform(0.05, 0.2, 3))
        return Sample(waves.astype(np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


class FreshColours:
    """Samples of which every one that is read has another colour, whatever its index: none comes twice."""

    def __init__(self, drawing, size):
        self.drawing, self.size, self.read = drawing, size, []

    def __len__(self):
        return 50

    def __getitem__(self, index):
        label = len(self.read)
        height, width = self.drawing.integers(self.size // 2, self.size, 2, endpoint=True).tolist()
        if self.drawing.random() < 0.5:
            height = self.size
        else:
            width = self.size
        # Away from the picture's edge, so that no two colours meet at the seams of a mosaic.
        left, top = (int(self.drawing.integers(8, side - 24)) for side in (width, height))
        right, bottom = (
            int(self.drawing.integers(start + 8, side - 8)) for start, side in ((left, width), (top, height))
        )
        self.read.append((left, top, right, bottom))
        return Painting.painted(height, width, (left, top, right, bottom), classes=(label,))


@pytest.fixture(scope="session")
def painting():
    return Painting


@pytest.fixture(scope="session")
def fresh_colours():
    return FreshColours
