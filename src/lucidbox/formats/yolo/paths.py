"""Finding what a YOLO data set's files name: paths get written on other machines and from other folders."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Where relative paths of a data set may begin.

    Attributes:
        root: the stated ``path``, or the folder of the file.
        home: the folder of the file.
        prefixes: names of folders that paths may repeat before what is below ``home``.
    """

    root: Path
    home: Path
    prefixes: frozenset[str]

    @classmethod
    def of(cls, root: Path, home: Path, *prefixes: str) -> "Places":
        """The places of a data set; names of its folders may be repeated."""
        names = (Path(os.path.abspath(folder)).name for folder in (root, home))  # noqa: PTH100  # links stay
        return cls(root, home, frozenset({*names, *prefixes} - {""}))

    def find(self, text: str, first: Path | None = None) -> Path | None:
        """The file or folder that a path means; None if there is none.

        Looked for below ``first``, ``root``, ``home``, without ``../``, behind the name of the data set's own
        folder in it, and below the working directory; with "/" for a backslash.
        """
        return next((path for path in self.candidates(text, first) if _exists(path)), None)

    def candidates(self, text: str, first: Path | None = None) -> Iterator[Path]:
        """What a path may mean, likeliest first."""
        bases = [base for base in (first, self.root, self.home) if base is not None]
        for way in dict.fromkeys((text, text.replace("\\", "/"))):
            yield from (base / Path(way).expanduser() for base in bases)
            # One popular exporter writes ../train/images for what lies at train/images.
            parts = [part for part in way.split("/") if part not in ("", ".", "..")]
            repeated = [index + 1 for index, part in enumerate(parts[:-1]) if part in self.prefixes]
            for start in [0] * way.startswith("..") + repeated[::-1]:
                yield from (base.joinpath(*parts[start:]) for base in bases)
            yield Path(way).expanduser()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False
