"""The command line: ``lucidbox VERB``. One file or folder a verb; only the chosen verb is imported.

Exit codes: 0 done, 1 a part failed and the rest is done, 2 wrong usage or bad input, 3 a comparison said no,
130 stopped by Ctrl-C or SIGTERM (what was done stays).
"""

import argparse
import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

from lucidbox.cli.console import say, say_error, say_note
from lucidbox.core.errors import LucidboxError
from lucidbox.core.version import __version__

VERBS = {
    "predict": "find objects in pictures, videos, cameras",
    "track": "follow and count objects in videos",
    "evaluate": "COCO's average precision of predictions",
    "train": "train a detector on pictures of yours",
    "batch": "very many pictures, resumable, on one machine or many",
    "serve": "the detector behind an address, and a page",
    "explain": "why this box, and why not that one",
    "data": "check, count, split, convert and show data sets",
    "weights": "show and convert weights files",
    "export": "write ONNX, OpenVINO IR, TorchScript",
    "parity": "do two files of one network find the same?",
    "benchmark": "how fast, in which part, and how sure",
    "doctor": "what is installed, and which engine and precision will be used",
}

EXAMPLES = """\
examples:
  lucidbox predict street.jpg --weights yolo11n.pt
  lucidbox predict photos/ --weights yolo11n.pt --json > found.jsonl
  lucidbox weights convert yolo11n.pt yolo11n.safetensors
  lucidbox doctor
"""

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code; an error that a user can act on takes one line and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a letter (LANG=C) gets a question mark
            stream.reconfigure(errors="replace")
    arguments = parse_arguments(sys.argv[1:] if argv is None else list(argv))
    if threading.current_thread() is threading.main_thread():
        # A service that is stopped, or whose terminal closes, ends as by Ctrl-C: no file is left half-written.
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            # As one line of ours instead of Python's two.
            warnings.showwarning = lambda message, *_: say_note(str(message))
            code: int = arguments.run(arguments)
        if sys.stdout:
            sys.stdout.flush()
    except LucidboxError as error:
        say_error(error)
        return 2
    except KeyboardInterrupt:
        say("stopped; what was done so far stays")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (| head): nothing is wrong.
        _discard_standard_output()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        say_error(_unwritten(error))
        return 2
    return code


def _unwritten(error: OSError) -> str:
    """What a full disk, met where nobody foresaw it, left unwritten."""
    import tempfile
    import traceback
    from pathlib import Path

    from lucidbox.core.filesystem import output_error

    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    # Only the command line prints, and it writes no files.
    if frame.f_globals["__name__"].startswith(("lucidbox.cli", "tqdm")):
        _discard_standard_output()
        return f"standard output cannot be written: {error.strerror}"
    place = Path(error.filename or tempfile.gettempdir())
    return f"{output_error(place, error)} (TMPDIR names a folder for temporary files)"


def _discard_standard_output() -> None:
    """Send what is still buffered to the null device: Python would report the error again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments of the chosen verb; wrong usage exits with 2."""
    parser = argparse.ArgumentParser(
        prog="lucidbox",
        description="YOLO11 object detection, written to be read, trusted and shipped.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lucidbox {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    chosen = argv[0] if argv and argv[0] in VERBS else None
    for verb, summary in VERBS.items():
        if chosen is None:
            verbs.add_parser(verb, help=summary)
        elif verb == chosen:
            import_module(f"lucidbox.cli.{verb}").register(verbs)
    return parser.parse_args(argv)


__all__ = [
    "main",
]  # fmt: skip
