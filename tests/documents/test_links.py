"""Links of Markdown outside the site, and paths of documents that are named anywhere, lead to files that exist."""

import re
import subprocess

import pytest
from code_blocks import ROOT

OUTSIDE = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "examples" / "README.md",
    ROOT / "src" / "lucidbox" / "model_files" / "bundled" / "MODEL_CARD.md",
]


def anchors(path):
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        text = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", heading)
        yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_documents_that_are_named_exist():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set()
    for name in tracked.split():
        if name.endswith((".py", ".md", ".toml", ".sh")):
            text = (ROOT / name).read_text(encoding="utf-8")
            named |= {(name, path) for path in re.findall(r"(?<![\w/.-])docs/[\w/.-]+\.(?:md|json|jpg|png)", text)}
    assert len(named) > 20
    assert [(name, path) for name, path in sorted(named) if not (ROOT / path).exists()] == []
