"""Tracks of a video as pre-annotations, to be corrected by hand: XML for CVAT, JSON for Label Studio.

Both tools move a box on a straight way between two frames that hold it. So only those frames of a track are
written from which the others follow closely enough: there is less to move by hand.

Sources: https://docs.cvat.ai/docs/manual/advanced/xml_format (version 1.1, interpolation mode), https://labelstud.io/tags/videorectangle.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from lucidbox.core.array_types import Float, Int
from lucidbox.core.text import printable

_Written = TypeVar("_Written")

_CLOSE = 0.02
"""Share of its longer side by which a box that is left out may lie off the way between the two beside it."""


@dataclass
class _Path:
    rows: "array[int]" = field(default_factory=lambda: array("q"))  # of the frames that were looked at
    boxes: "array[float]" = field(default_factory=lambda: array("f"))
    labels: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Span:
    """A part of a track in which it is seen in every frame that was looked at.

    Attributes:
        frames: numbers of the frames that are written, from 0.
        boxes: xyxy in pixels, in these frames.
        end: number of the first frame that was looked at after it; None at the video's end.
    """

    frames: Int[np.ndarray, " n"]
    boxes: Float[np.ndarray, "n 4"]
    end: int | None


class VideoTracks:
    """Collects the tracks of one video: 24 bytes for each box.

    Args:
        name: of the video's file.
        height, width: of its frames.

    Example:
        >>> tracks = VideoTracks("road.mp4", 432, 768)
        >>> tracks.add(0, 0.0, [1], boxes, ["car"])
        >>> text = tracks.cvat()
    """

    def __init__(self, name: str, height: int, width: int) -> None:
        self.name, self.height, self.width = name, height, width
        self._tracks: dict[int, _Path] = {}
        self._frames, self._times = array("q"), array("d")

    def add(
        self,
        frame: int,
        seconds: float,
        ids: Iterable[int],
        boxes: Float[np.ndarray, "n 4"],
        labels: Iterable[str],
    ) -> None:
        """Add one frame: its number from 0, its time, and the id, xyxy box and class name of each object."""
        self._frames.append(frame)
        self._times.append(seconds)
        for track, box, label in zip(ids, boxes.tolist(), labels, strict=True):
            path = self._tracks.setdefault(track, _Path())
            path.rows.append(len(self._frames) - 1)
            path.boxes.extend(box)
            path.labels[label] += 1

    def cvat(self) -> str:
        """CVAT's XML, version 1.1, for videos: "CVAT 1.1" among the formats that it uploads annotations from."""
        names = sorted({_label(path) for path in self._tracks.values()})
        labels = "".join(f"<label><name>{_xml(name)}</name><attributes/></label>" for name in names)
        task = (
            f"<name>{_xml(self.name)}</name><size>{max(self._frames, default=-1) + 1}</size>"
            f"<mode>interpolation</mode><labels>{labels}</labels>"
            f"<original_size><width>{self.width}</width><height>{self.height}</height></original_size>"
        )
        lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
        lines += [f"  <meta><task>{task}</task></meta>", *self._each(self._cvat_track), "</annotations>"]
        return "\n".join(lines) + "\n"

    def label_studio(self) -> str:
        """Label Studio's JSON: one task with predictions for ``<VideoRectangle name="box" toName="video">``."""
        results = list(self._each(self._label_studio_result))
        prediction = {"model_version": "lucidbox", "result": results}
        return json.dumps(
            [{"data": {"video": self.name}, "predictions": [prediction]}], ensure_ascii=False, indent=1
        )

    def _each(self, written: Callable[[int, str, list[Span]], _Written]) -> Iterator[_Written]:
        for track, path in sorted(self._tracks.items()):
            yield written(track, _label(path), list(self._spans(path)))

    def _spans(self, path: _Path) -> Iterator[Span]:
        """A track's parts without holes, thinned to the frames from which the others follow."""
        seen, looked_at = np.array(path.rows, np.int64), np.array(self._frames, np.int64)
        limit = np.tile([self.width, self.height], 2)
        boxes = np.clip(np.array(path.boxes, np.float64).reshape(-1, 4), 0, limit)
        for part in np.split(np.arange(len(seen)), np.flatnonzero(np.diff(seen) > 1) + 1):
            frames = looked_at[seen[part]]
            kept = _needed(frames, boxes[part])
            after = looked_at[seen[part[-1]] + 1 :]
            yield Span(frames[kept], boxes[part[kept]], int(after[0]) if len(after) else None)

    def _cvat_track(self, track: int, label: str, spans: list[Span]) -> str:
        lines = [f'  <track id="{track}" label={quoteattr(printable(label))} source="auto">']
        for span in spans:
            states = [
                (frame, box, 0) for frame, box in zip(span.frames.tolist(), span.boxes.tolist(), strict=True)
            ]
            if span.end is not None:
                states.append((span.end, states[-1][1], 1))
            for frame, box, outside in states:
                sides = zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)
                corners = " ".join(f'{name}="{value:.2f}"' for name, value in sides)
                state = f'frame="{frame}" keyframe="1" outside="{outside}" occluded="0"'
                lines.append(f'    <box {state} {corners} z_order="0"/>')
        return "\n".join([*lines, "  </track>"])

    def _label_studio_result(self, track: int, label: str, spans: list[Span]) -> dict[str, object]:
        """Percent of the image's sides, frames from 1; ``enabled`` is false in the last frame of a part."""
        last, seconds = self._frames[-1], self._times[-1]
        pace = seconds / last if last else 0.0
        sequence = [
            {
                "frame": frame + 1,
                "enabled": row < len(span.frames) - 1,
                "rotation": 0,
                **dict(zip(("x", "y", "width", "height"), self._percent(box), strict=True)),
                "time": round(frame * pace, 3),
            }
            for span in spans
            for row, (frame, box) in enumerate(zip(span.frames.tolist(), span.boxes.tolist(), strict=True))
        ]
        value = {
            "framesCount": last + 1,
            "duration": round(seconds + pace, 3),
            "sequence": sequence,
            "labels": [label],
        }
        place = {"from_name": "box", "to_name": "video", "type": "videorectangle", "origin": "prediction"}
        return {"id": f"track-{track}", **place, "value": value}

    def _percent(self, box: list[float]) -> list[float]:
        left, top, right, bottom = box
        sides = (left / self.width, top / self.height, (right - left) / self.width, (bottom - top) / self.height)
        return [round(100 * side, 4) for side in sides]


def _needed(frames: Int[np.ndarray, " n"], boxes: Float[np.ndarray, "n 4"]) -> list[int]:
    """Rows from which straight ways give all others closely: the first, the last, and where those bend most."""
    allowed = np.maximum(1.0, _CLOSE * (boxes[:, 2:] - boxes[:, :2]).max(axis=1))
    needed, parts = {0, len(frames) - 1}, [(0, len(frames) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        share = (frames[first : last + 1, None] - frames[first]) / (frames[last] - frames[first])
        away = np.abs(boxes[first] + share * (boxes[last] - boxes[first]) - boxes[first : last + 1]).max(axis=1)
        away /= allowed[first : last + 1]
        worst = int(np.argmax(away))
        if away[worst] > 1:
            needed.add(first + worst)
            parts += [(first, first + worst), (first + worst, last)]
    return sorted(needed)


def _label(path: _Path) -> str:
    return path.labels.most_common(1)[0][0]


def _xml(text: str) -> str:
    """Text for XML, which cannot hold control characters."""
    return escape(printable(text))
