"""What ``lucidbox data`` prints of data sets: statistics, splits and counts, as text tables for a terminal."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from lucidbox.cli.tables import Column, pairs, table
from lucidbox.core.text import printable

if TYPE_CHECKING:
    from lucidbox.datasets import Split, Statistics


def statistics_text(counted: "Statistics") -> str:
    """Statistics of one part, for a person."""
    total = max(counted.objects, 1)
    sizes = (("small  < 32²", counted.small), ("medium < 96²", counted.medium), ("large", counted.large))
    facts = [
        ("pictures", f"{counted.pictures:,d}, {counted.empty_pictures:,d} of them without objects"),
        ("objects", f"{counted.objects:,d}, and {counted.crowds:,d} crowds"),
        *((label, f"{count:,d} ({100 * count / total:.1f} %)") for label, count in sizes),
        ("picture sizes", ", ".join(f"{width}×{height}: {n}" for width, height, n in counted.picture_sizes[:5])),
    ]
    titles = ("least", "25 %", "median", "75 %", "most", "mean")
    spreads = [
        ("objects a picture", *asdict(counted.per_picture).values()),
        ("width / height", *asdict(counted.aspect_ratios).values()),
        ("side as share of picture", *asdict(counted.relative_sizes).values()),
    ]
    columns = [Column(width=24, align="<"), *(Column(title, 8, "{:.3g}") for title in titles)]
    sections = [
        f"{counted.part}\n{pairs(facts, 14, indent=2)}",
        table(columns, spreads, indent=2),
        _class_table(counted),
    ]
    if counted.together:
        together = ((pair.pictures, f"{pair.first} + {pair.second}") for pair in counted.together)
        sections.append(f"  most often in one picture\n{counts_text(together, indent=2)}")
    return "\n\n".join(sections)


def _class_table(counted: "Statistics") -> str:
    """Every class, the most frequent first."""
    total = max(counted.objects, 1)
    columns = [
        Column("class", max([5, *(len(printable(one.name)) for one in counted.classes)]), align="<"),
        Column("objects", 9, "{:,d}"),
        Column("share", 7, "{:.1f} %"),
        Column("crowds", 7, "{:,d}"),
        Column("pictures", 9, "{:,d}"),
    ]
    rows = [
        (printable(one.name), one.objects, 100 * one.objects / total, one.crowds, one.pictures)
        for one in sorted(counted.classes, key=lambda one: -one.objects)
    ]
    return table(columns, rows, indent=2)


def counts_text(rows: Iterable[tuple[int, str]], indent: int = 0) -> str:
    """Numbers, and what each of them counts."""
    return table(
        [Column(width=9, text="{:,d}"), Column(align="<", gap=2)],
        ((count, printable(what)) for count, what in rows),
        indent,
    )


def split_table(done: "Split") -> str:
    """Pictures, objects and absent classes of each part."""
    whole = done.whole.presence().sum(axis=0)
    columns = [
        Column("part", max([5, *(len(part.name) for part in done.parts)]), align="<"),
        Column("pictures", 9, "{:,d}"),
        Column("  share", 6, "{:.1%}"),
        Column("objects", 9, "{:,d}"),
        Column("  share", 6, "{:.1%}"),
        Column("classes absent", align="<", gap=2),
    ]
    rows = []
    for part in done.parts:
        pictures, objects = len(part) / len(done.whole), len(part.classes) / max(len(done.whole.classes), 1)
        present = part.presence().sum(axis=0)
        absent = [name for name, here, count in zip(part.names, present, whole, strict=True) if count and not here]
        rows.append(
            (part.name, len(part), pictures, len(part.classes), objects, printable(", ".join(absent)) or "none")
        )
    return table(columns, rows)
