"""The site: ``sphinx-build -W docs build/site`` (extra ``docs``). It needs no network, nor do its pages."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import filled

from lucidbox import __version__

project = "lucidbox"
author = "the authors of lucidbox"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_design", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
exclude_patterns = ["_static"]
language = "en"

html_theme = "furo"
html_title = "lucidbox"
html_static_path = ["_static"]
html_js_files = ["ranking.js"]
html_show_copyright = html_show_sphinx = False
html_copy_source = html_show_sourcelink = False

napoleon_use_ivar = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
copybutton_prompt_text = "$ "

SECTIONS = ("tutorials", "how-to", "explanation", "reference")


def fill(app, document, source):
    """Put in what is made from the code."""
    source[0] = filled(source[0], directives=True)


def write_twins(app, error):
    """Write each page as Markdown beside its HTML, and ``llms.txt``, which lists them."""
    if error or app.builder.name != "html":
        return
    lines = {section: [] for section in SECTIONS}
    for name in sorted(app.env.found_docs):
        text = plain_text(filled(Path(app.env.doc2path(name)).read_text(encoding="utf-8"), directives=False))
        (Path(app.outdir) / f"{name}.md").write_text(text, encoding="utf-8")
        if (section := name.partition("/")[0]) in lines:
            lines[section].append(f"- [{app.env.titles[name].astext()}]({name}.md): {first_sentence(text)}")
    listed = [line for section in SECTIONS for line in (f"\n## {section.capitalize()}\n", *lines[section])]
    begin = "# lucidbox\n\n> YOLO11 object detection in Python: detect, track, evaluate, explain, train, serve."
    (Path(app.outdir) / "llms.txt").write_text("\n".join([begin, *listed, ""]), encoding="utf-8")


def plain_text(source):
    """A page without what only the site's own markup needs: tabs become paragraphs, lists of pages go."""
    source = re.sub(r"^```\{toctree\}.*?^```\n", "", source, flags=re.MULTILINE | re.DOTALL)
    source = re.sub(r"^:{3,}\{tab-item\} (.+)\n(?::[\w-]+:.*\n)*", r"**\1**\n\n", source, flags=re.MULTILINE)
    source = re.sub(r"^:{3,}.*\n(?::[\w-]+:.*\n)*", "", source, flags=re.MULTILINE)
    return re.sub(r"^<!-- .*? -->\n", "", source, flags=re.MULTILINE)


def first_sentence(text):
    """The first sentence of a page's first paragraph, without its links."""
    for paragraph in re.split(r"\n\s*\n", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        if re.match(r"\*?[\w`\[(]|\*\*\w.*\*\* \w", paragraph):
            sentence = re.split(r"(?<=[.:?])\s", " ".join(paragraph.split()))[0]
            return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", sentence)
    return ""


def setup(app):
    """Connect both to the build."""
    app.connect("source-read", fill)
    app.connect("build-finished", write_twins)
