"""Code blocks of the documents, and the mark before one that says how a test treats it.

In a page's source, just before a block, ``<!-- not run: REASON -->`` leaves it out of the run, and
``<!-- exit code: 0 or 3 -->`` says how it ends, if not by 0. Readers see neither.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

SHELL, OUTPUT = ("sh", "bash"), ("text", "console", "")
DATA = ("json", "toml", "yaml", "ini", "dockerfile")

BENCHMARK = "a benchmark of ours: minutes to hours on quiet cores, with pictures of COCO"

_BLOCK = re.compile(
    r"(?:^[ ]*<!-- (?P<mark>not run|exit code): (?P<value>.*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>[\w-]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: below docs/.
        line: of its first line, from 1.
        language: what follows the fence.
        text: its lines, without the fence's indentation.
        not_run: why it is not run; None for a block that is.
        codes: exit codes that it may end with.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str | None
    codes: tuple[int, ...]

    @property
    def is_code(self) -> bool:
        """Whether it is a program or commands, rather than what they print or read."""
        return self.language in (*SHELL, "python")

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    """Every fenced block of a page, but those that are the site's own markup, such as lists of pages."""
    source, found = path.read_text(encoding="utf-8"), []
    for match in _BLOCK.finditer(source):
        text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        benchmark = BENCHMARK if "python benchmarks/" in text else None
        given = match["value"] if match["mark"] == "exit code" else "0"
        found.append(
            Block(
                path.relative_to(DOCS).as_posix(), source.count("\n", 0, match.start("text")) + 1,
                match["language"], text, match["value"] if match["mark"] == "not run" else benchmark,
                tuple(map(int, given.split(" or "))),
            )
        )  # fmt: skip
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


if __name__ == "__main__":
    run = [block for block in BLOCKS if block.is_code and block.not_run is None]
    print(f"{len(run)} blocks are run: {dict(Counter(block.language for block in run))}")
    left = [block for block in BLOCKS if block.is_code and block.not_run is not None]
    print(f"{len(left)} are not:")
    for block in left:
        print(f"  {block} ({block.language}): {block.not_run}")
