"""Reads attacked checkpoints and reports everything that Python did meanwhile. Run as a program, on its own:
audit hooks cannot be removed.

Usage: audit_probe.py CHECKPOINT MARKER → JSON: attack's name → [message, audit events, new modules].
"""

import json
import sys
from functools import partial
from pathlib import Path

import forge

from lucidbox.core.errors import WeightsError
from lucidbox.weights.reading import read_content

events = None


def hook(event, arguments):
    if events is not None:
        events.append(f"{event} {arguments!r:.200}")


def observed(content):
    """Message, audit events and new modules of reading a file's content."""
    global events
    modules = set(sys.modules)
    message, events = "", []
    try:
        read_content(content, "attacked.pt")
    except WeightsError as error:
        message = str(error)
    seen, events = events, None
    return [message, seen, sorted(set(sys.modules) - modules)]


def main(checkpoint, marker):
    content = Path(checkpoint).read_bytes()
    # What reading itself imports is imported now: torch for the shapes, a codec for the names in these zips.
    read_content(forge.with_pickle(content, bytes), "whole.pt")
    # Mere names are refused before any tensor is read, so they do without 5 MB of tensors.
    without = forge.zipped({name: data for name, data in forge.entries(content).items() if "/data/" not in name})
    sys.addaudithook(hook)
    report = {"nothing spliced": observed(content)}
    for name, attack in forge.attacks(marker).items():
        # Live ones at the end, after all was built; the many others at the start, where they are quickly read.
        splice = forge.spliced_late if attack.is_live else forge.spliced_early
        report[name] = observed(
            forge.with_pickle(without if ":" in name else content, partial(splice, attack=attack.code))
        )
    report["control"] = control()
    print(json.dumps(report))


def control():
    """What the hook sees of a call that does happen."""
    global events
    events = []
    compile("1", "control", "eval")
    seen, events = events, None
    return ["", seen, []]


if __name__ == "__main__":
    main(*sys.argv[1:])
