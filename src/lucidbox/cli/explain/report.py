"""What ``lucidbox explain`` prints and writes to disk."""

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lucidbox.cli.console import say, tell, write_json
from lucidbox.core.file_names import safe_name
from lucidbox.core.filesystem import atomic_write, numbered_folder
from lucidbox.core.text import printable
from lucidbox.draw.annotate import draw
from lucidbox.explain.counterfactual import Counterfactual
from lucidbox.explain.drawing import overlay
from lucidbox.explain.drise import Masking
from lucidbox.explain.effort import Effort
from lucidbox.explain.explanation import Explanation
from lucidbox.explain.methods import METHODS
from lucidbox.explain.near_anchors import Near, spelled
from lucidbox.save.encode import save_image

_DEFAULT_FOLDER = "runs/explain"


def masking_of(arguments: argparse.Namespace) -> Masking:
    """The masks of drise, as asked for on the command line."""
    asked = {"masks": arguments.masks, "seed": arguments.seed}
    return Masking(**{name: value for name, value in asked.items() if value is not None})


def effort_of(arguments: argparse.Namespace) -> Effort:
    """What other methods that search may spend, as asked for on the command line."""
    asked = {"steps": arguments.steps, "inferences": arguments.inferences, "seed": arguments.seed}
    return Effort(**{name: value for name, value in asked.items() if value is not None})


def say_near(arguments: argparse.Namespace, near: Sequence[Near], name: str) -> None:
    """A line for each of the nearest anchors."""
    out = sys.stderr if arguments.json else sys.stdout
    tell(printable(f"{arguments.picture}: the anchors nearest to a {name} at {arguments.at}"), out)
    for one in near:
        box = ",".join(f"{side:.0f}" for side in one.box)
        by = "" if one.suppressor is None else f": box {','.join(f'{side:.0f}' for side in one.suppressor)}"
        tell(f"  score {spelled(one.score)}  IoU {one.iou:.2f}  box {box}  {one.fate}{by}", out)


@contextmanager
def output_folder(arguments: argparse.Namespace) -> Iterator[Path]:
    """A new folder for the results: made before any work, which may take minutes, and removed if it stays empty.

    Raises:
        OutputError: it cannot be made.
    """
    folder = numbered_folder(arguments.save or _DEFAULT_FOLDER)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # it holds results
            folder.rmdir()
        raise


def save_explanation(
    arguments: argparse.Namespace,
    folder: Path,
    stems: Sequence[str],
    explanations: Sequence[Explanation],
    near: Sequence[Near] = (),
    otherwise: Counterfactual | None = None,
) -> None:
    """Print each explanation's captions; then write its panel, and its map as array and as image.

    Args:
        arguments: the command line's.
        folder: the new folder.
        stems: how the files of each explanation begin.
        explanations: what is written.
        near: of what was missed: the nearest anchors.
        otherwise: of what was missed: what would have to be different; its picture is written, too.
    """
    out = sys.stderr if arguments.json else sys.stdout
    close: dict[str, Any] = {"near": [one.to_dict() for one in near]} if near else {}
    if otherwise is not None:
        close["counterfactual"] = otherwise.to_dict()
    records = [explanation.to_dict() | close for explanation in explanations]
    for explanation in explanations:
        lines = [*explanation.captions(), *(otherwise.sentences() if otherwise else [])]
        tell("\n  ".join(map(printable, lines)), out)
    blind = any(one.faithfulness.suspicious for one in explanations)
    if blind and METHODS[explanations[0].method].search is None:
        say("--best looks for a map that says more; it takes seconds a detection")
    if arguments.json:
        write_json(records, 1)
    for stem, explanation in zip((safe_name(one) for one in stems), explanations, strict=True):
        save_image(folder / f"{stem}-panel.png", explanation.draw())
        save_image(folder / f"{stem}-overlay.png", overlay(explanation.raw.image, explanation.heatmap))
        # Sixteen bits keep the levels of a faint map.
        levels = np.rint(explanation.heatmap * 65535).astype(np.uint16)
        atomic_write(folder / f"{stem}-heat.png", cv2.imencode(".png", levels)[1].tobytes())
        array = io.BytesIO()
        np.save(array, explanation.heatmap)
        atomic_write(folder / f"{stem}-heat.npy", array.getvalue())
    if otherwise is not None:
        drawn = draw(otherwise.picture, explanations[0].detection)
        save_image(folder / f"{safe_name(stems[0])}-counterfactual.png", drawn)
    atomic_write(folder / "explanations.json", json.dumps(records, indent=1, ensure_ascii=False) + "\n")
    tell(printable(f"saved in {folder}"), out)
