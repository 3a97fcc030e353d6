"""The licences of what an install brings, as the packages' own metadata state them.

python .ci/licences.py           prints the page
python .ci/licences.py --write   writes docs/reference/installed-packages.md

Read where it runs: an environment with the extras that the page is to list (`pip install -e '.[dev]'`).
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "installed-packages.md"
LEFT_OUT = ("dev", "docs", "ray", "spark")

HEAD = """# Licences of what an install brings

lucidbox itself is Apache-2.0; `THIRD_PARTY_NOTICES.md` in the repository, and in its wheel, says what it holds of
others. The packages below are installed beside it by pip, each under its own licence; lucidbox ships none of them.
Made by `python .ci/licences.py --write` from the packages' own metadata, on Linux with Python {python}; on other
systems and later days pip chooses other versions. The licence texts are in each package's `.dist-info`.

"""
TAIL = """
Things to know before you pass an installation on:

- **opencv-python-headless** brings FFmpeg's libraries (LGPL-2.1) and others: see its `LICENSE-3RD-PARTY.txt`.
- **openvino** brings oneTBB, oneDNN and others: see its `licenses/licensing/`.
- **numpy** brings OpenBLAS and GCC's runtime libraries (GPL-3.0 with GCC's exception): see its licence.
- **torch** from PyPI on Linux brings NVIDIA's CUDA packages, which are proprietary; the processor-only build,
  listed here, does not (README, "Test it").
- `ray` and `spark` are not listed: Ray and Spark are Apache-2.0, and bring many packages of their own.
"""


def licence(package: Distribution) -> str:
    """What a package states: an SPDX expression, else its licence field, else its classifiers."""
    stated = package.metadata
    text = stated.get("License-Expression") or ""
    if not text:
        field = (stated.get("License") or "").strip()
        text = field if field and "\n" not in field and len(field) <= 60 else ""
    if not text:
        text = ", ".join(line for line in stated.get_all("Classifier") or () if line.startswith("License"))
    return " ".join(re.sub(r"(License :: )?OSI Approved :: ", "", text).split()) or "not stated"


def needs(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """The requirements of an installed package with these extras, in this environment."""
    for line in distribution(name).requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            yield canonicalize_name(wanted.name), frozenset(wanted.extras)


def brought(extra: str) -> set[str]:
    """Names of all installed packages that lucidbox brings with an extra; with "", those without any."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [("lucidbox", frozenset({extra}))]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        try:
            waiting += needs(*one)
        except PackageNotFoundError:
            continue
        found.add(one)
    return {name for name, _ in found} - {"lucidbox"}


def page() -> str:
    """The whole page."""
    extras = [
        name for name in distribution("lucidbox").metadata.get_all("Provides-Extra") or () if name not in LEFT_OUT
    ]
    running = brought("")
    by_package: dict[str, list[str]] = {}
    for extra in extras:
        for name in brought(extra) - running:
            by_package.setdefault(name, []).append(extra)
    lines = [HEAD.format(python=".".join(map(str, sys.version_info[:2])))]
    lines += [
        "## Running: `pip install lucidbox`\n\n",
        "| package | version | licence, as stated |\n|---|---|---|\n",
    ]
    lines += [f"| {name} | {plain(version(name))} | {licence(distribution(name))} |\n" for name in sorted(running)]
    lines += ["\n## Extras\n\n", "| package | version | licence, as stated | extras |\n|---|---|---|---|\n"]
    for name, users in sorted(by_package.items()):
        words = ", ".join(f"`{extra}`" for extra in users)
        lines.append(f"| {name} | {plain(version(name))} | {licence(distribution(name))} | {words} |\n")
    return "".join([*lines, TAIL])


def plain(text: str) -> str:
    """A version without its local part, such as ``+cpu``."""
    return re.sub(r"\+.*", "", text)


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
