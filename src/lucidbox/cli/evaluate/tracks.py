"""``lucidbox evaluate --tracks``: how well objects of a video are followed."""

import argparse
from typing import Any

from lucidbox.core.errors import OptionError

_TAKEN = {"tracks", "predictions", "json", "mot_challenge", "seed", "run"}


def check_tracks(arguments: argparse.Namespace) -> None:
    """Refuse options that judge pictures or run a model.

    Raises:
        OptionError: names the option, or says that tracks to be judged are missing.
    """
    if arguments.mot_challenge and not arguments.tracks:
        raise OptionError("--mot-challenge is a rule for tracks and needs --tracks")
    if not arguments.tracks:
        return
    if arguments.predictions is None:
        raise OptionError("--tracks needs --predictions: the tracks to be judged, as MOT text")
    for name, value in vars(arguments).items():
        if name not in _TAKEN and value is not None and value is not False:
            raise OptionError(f"--{name.replace('_', '-')} has no meaning with --tracks; leave one of them out")


def track_figures(arguments: argparse.Namespace) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """The table, the document for JSON, and the notes.

    Raises:
        DataError: a file is malformed.
    """
    from lucidbox.evaluate.tracks import evaluate_tracks, load_sequence

    sequence = load_sequence(arguments.tracks, arguments.predictions, mot_challenge=arguments.mot_challenge)
    summary = evaluate_tracks(sequence)
    return str(summary), summary.to_dict(), summary.notes
