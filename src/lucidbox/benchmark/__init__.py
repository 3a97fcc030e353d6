"""How long each part of the one path takes, how much of the machine it uses, and how far to trust that.

Knows: detectors, pictures, clocks. Does not know: printing, exit codes. Needs no torch; matplotlib only to plot.
"""

from lucidbox.benchmark.against import Duel, duel
from lucidbox.benchmark.machine import Machine, examine_machine
from lucidbox.benchmark.measuring import Measurement, Setting, measure
from lucidbox.benchmark.pictures import ImageSample, sample
from lucidbox.benchmark.spread import Spread

__all__ = [
    "Duel", "Machine", "Measurement", "ImageSample", "Setting", "Spread", "duel", "examine_machine", "measure",
    "sample", "against", "machine", "plot",
]  # fmt: skip
