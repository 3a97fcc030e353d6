"""How well objects are followed: HOTA, CLEAR (MOTA) and Identity (IDF1) of tracks, as TrackEval computes them.

>>> from lucidbox.evaluate.tracks import evaluate_tracks, load_sequence
>>> print(evaluate_tracks(load_sequence("gt.txt", "tracks.txt")))
"""

from lucidbox.evaluate.tracks.sequence import TrackSequence, load_sequence, sequence_of
from lucidbox.evaluate.tracks.summary import TrackSummary, evaluate_tracks

__all__ = ["TrackSequence", "TrackSummary", "evaluate_tracks", "load_sequence", "sequence_of"]
