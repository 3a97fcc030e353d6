"""``lucidbox serve``: the detector behind an address, for programs and, by a page, for people."""

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import say, say_note, write_line
from lucidbox.cli.options import add_flag, add_number, add_option, add_options, add_verb
from lucidbox.core.errors import OptionError

if TYPE_CHECKING:
    from lucidbox.detector import Detector

DESCRIPTION = (
    "Serve models over HTTP: an API for programs, and a page for people. Needs: pip install 'lucidbox[serve]'"
)

EXAMPLES = """\
examples:
  lucidbox serve                                              # the bundled model; prints the page's address
  lucidbox serve --weights yolo11n.onnx --port 9000
  lucidbox serve --weights fast=yolo11n.onnx --weights good=yolo11m.onnx
  lucidbox serve --host 0.0.0.0 --api-key-file key.txt        # for others; put TLS before it

asking:
  curl --data-binary @street.jpg 'http://127.0.0.1:8000/v1/detect?conf=0.4'
  curl http://127.0.0.1:8000/openapi.json                     # everything that can be asked

Stopped by SIGTERM or Ctrl-C it answers what is in hand, and ends with 0; with 1 if it could not within --grace.
"""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "serve", DESCRIPTION, EXAMPLES, run)
    model = parser.add_argument_group("models")
    add_option(
        model,
        "--weights",
        action="append",
        metavar="[NAME=]FILE",
        help="a model, again for each more; the first is the default (default: the bundled model)",
    )
    model.add_argument("--name", metavar="NAME", help="name of the only model (default: its file's)")
    add_options(model, "--size", "--engine", "--precision", "--threads")
    model.add_argument(
        "--explain", action=argparse.BooleanOptionalAction, default=True, help="offer explanations (default: yes)"
    )
    place = parser.add_argument_group("where, and for whom")
    place.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, this machine only"
    )
    add_number(place, "--port", "default: 8000; 0 takes any that is free", 8000)
    place.add_argument("--api-key-file", metavar="FILE", help="a file with the key that clients must send")
    place.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="a site whose pages may call the server, such as https://example.org; may be repeated",
    )
    place.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which a server on loopback without a key may be called, as behind a proxy",
    )
    bounds = parser.add_argument_group("bounds")
    add_number(bounds, "--max-bytes", "longest upload (default: 67108864)")
    add_number(bounds, "--max-pixels", "refuse larger pictures (default: 50000000)")
    add_number(bounds, "--queue", "most requests that wait; one more is answered 429 (default: 64)")
    for name, text in (
        ("--timeout", "for an upload, and again for its answer"),
        ("--grace", "when it is stopped"),
    ):
        bounds.add_argument(name, type=float, metavar="S", help=f"seconds {text} (default: 30)")
    add_number(bounds, "--connections", "most open connections (default: 1000)")
    add_flag(parser, "--quiet", "no access log on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped; 0, or 1 if something in hand had to be cut off."""
    try:
        from lucidbox.serve import ServerSettings, app, running
    except ImportError as error:
        raise OptionError(f"serving needs {error.name}; pip install 'lucidbox[serve]'") from error
    bounds = ("max_bytes", "max_pixels", "queue", "timeout", "grace", "connections")
    given = {name: getattr(arguments, name) for name in bounds if getattr(arguments, name) is not None}
    key, loopback = _key(arguments.api_key_file), arguments.host in _LOOPBACK
    settings = ServerSettings(
        api_key=key,
        hosts=(*_LOOPBACK, *map(str.lower, arguments.allow_host)) if loopback and key is None else (),
        allow_origins=tuple(arguments.allow_origin),
        explain=arguments.explain,
        log=(lambda record: None) if arguments.quiet else _log,
        **given,
    )
    with running.bound_socket(arguments.host, arguments.port) as bound:
        if not loopback and key is None:
            say_note(
                f"--host {arguments.host} without --api-key-file: everybody who reaches this address may use it"
            )
        application = app(_detectors(arguments), settings)
        host, port = bound.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        names = ", ".join(application.service.models.by_name)
        done = running.run(application, bound, lambda: say(f"serving {names} at {address}"))
    return 0 if done else 1


def _log(record: Mapping[str, Any]) -> None:
    """One line of JSON on standard output for each request."""
    import json

    with contextlib.suppress(OSError):  # whoever read it has gone, or the disk is full: serving goes on
        write_line(json.dumps(record), sys.stdout)


def _detectors(arguments: argparse.Namespace) -> "dict[str, Detector]":
    """Every model by its name.

    Raises:
        OptionError: a name is there twice, or cannot stand in an address.
    """
    from lucidbox.detector import Detector
    from lucidbox.model_files import bundled

    weights = arguments.weights or [str(bundled.weights())]
    if arguments.name and len(weights) > 1:
        raise OptionError("--name is for one model; of several say --weights NAME=FILE")
    options = {name: getattr(arguments, name) for name in ("engine", "precision", "size", "threads")}
    detectors: dict[str, Detector] = {}
    for text in weights:
        name, path = _named(text)
        name = arguments.name or name
        if name in detectors:
            raise OptionError(f"two models are called {name}; say --weights NAME=FILE")
        detectors[name] = Detector.load(path, **options, say=say)
    return detectors


def _named(text: str) -> tuple[str, str]:
    """A model's name and its file: of ``NAME=FILE``, or of a file, whose name it takes."""
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists() and "/" not in name and os.sep not in name:
        return name, path
    stem = Path(text).stem
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in stem
    ), text


def _key(file: str | None) -> str | None:
    """The key that a file holds.

    Raises:
        OptionError: the file cannot be read, or holds no key.
    """
    if file is None:
        return None
    path = Path(file)
    try:
        mode = path.stat().st_mode
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no ASCII text"
        raise OptionError(f"--api-key-file {file}: {reason[:1].lower()}{reason[1:]}") from error
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        say_note(f"--api-key-file {file} can be read by others on this machine; chmod 600 {file}")
    if len(key) < 8 or not key.isprintable() or " " in key:
        raise OptionError(f"--api-key-file {file}: give one line, of at least 8 letters without spaces")
    return key
