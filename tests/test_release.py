"""What goes with a release says one thing: versions, sections, notices, licences, and files that pages name."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from lucidbox import __version__

ROOT = Path(__file__).parents[1]
CHECKED = "docs/explanation/how-this-was-checked.md"
SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_changelog_is_in_order():
    versions = re.findall(r"^## (\d+)\.(\d+)\.(\d+) \((\d{4}-\d\d-\d\d)\)$", text_of("CHANGELOG.md"), re.MULTILINE)
    numbers = [tuple(map(int, one[:3])) for one in versions]
    assert ".".join(map(str, numbers[0])) == __version__
    assert all(later > earlier for later, earlier in pairwise(numbers))
    for section in text_of("CHANGELOG.md").split("\n## ")[1:]:
        titles = re.findall(r"^### (.+)$", section, re.MULTILINE)
        assert titles == [title for title in SECTIONS if title in titles]
    entries = re.findall(r"^- .+$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert len(entries) == len(set(entries))


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what CFF 1.2.0 requires
    assert citation["version"] == __version__
    assert f"## {__version__} ({citation['date-released']})" in text_of("CHANGELOG.md")


def test_licences_of_all_that_is_installed_are_listed():
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    extras = {
        name: needs
        for name, needs in project["optional-dependencies"].items()
        if name not in ("dev", "docs", "ray", "spark")
    }
    wanted = {
        re.match(r"[\w-]+", need)[0].lower()
        for needs in (project["dependencies"], *extras.values())
        for need in needs
    }
    listed = set(re.findall(r"^\| ([\w-]+) \|", text_of("docs/reference/installed-packages.md"), re.MULTILINE))
    assert wanted - listed == set()


@pytest.mark.parametrize(
    "page", [CHECKED, "README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/explanation/notebook-series.md"]
)
def test_a_page_names_only_files_that_are_there(page):
    folder = ""
    for name in re.findall(r"`(?:python |pytest )?((?:[\w.-]+/)*[\w.-]+\.(?:py|sh|toml|md))\b", text_of(page)):
        if "/" in name:
            folder = name.rpartition("/")[0]  # a file that follows without its folder is beside the one before
        assert (ROOT / name).exists() or (ROOT / folder / name).exists(), name


def test_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 120


@pytest.mark.parametrize("name", ["bug", "wrong-numbers", "question"])
def test_forms_for_issues_are_forms(name):
    form = yaml.safe_load(text_of(f".github/ISSUE_TEMPLATE/{name}.yml"))
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert ids
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert field["type"] in ("markdown", "input", "textarea", "dropdown", "checkboxes")
        assert field["attributes"]["value" if field["type"] == "markdown" else "label"]
