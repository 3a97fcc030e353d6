"""The site as built: it loads nothing from elsewhere, links lead somewhere, pages have Markdown twins."""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from code_blocks import DOCS, PAGES

pytestmark = pytest.mark.extended
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Links(HTMLParser):
    """What a page loads, where it leads, and the places in it that can be led to."""

    def __init__(self, page):
        super().__init__()
        self.loads, self.leads, self.places = [], [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places.update(given[name] for name in ("id", "name") if name in given)
        if tag in LOADING and given.get(LOADING[tag]):
            self.loads.append(given[LOADING[tag]])
        if tag == "a" and given.get("href"):
            self.leads.append(given["href"])


@pytest.fixture(scope="module")
def pages(site):
    return {path: Links(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def test_nothing_is_loaded_from_elsewhere(pages, site):
    assert [load for links in pages.values() for load in links.loads if urlsplit(load).netloc] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert "url(http" not in styles
    assert "@import" not in styles


def test_every_link_leads_somewhere(pages, site):
    broken, count = [], 0
    for page, links in pages.items():
        for link in (*links.loads, *links.leads):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            count += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            there = target.exists() and (not parts.fragment or target.suffix != ".html" or target in pages)
            if there and parts.fragment and target in pages:
                there = unquote(parts.fragment) in pages[target].places
            if not there:
                broken.append(f"{page.relative_to(site)}: {link}")
    assert count > 1000
    assert broken == []


def test_every_page_has_a_twin_and_llms_txt_lists_it(site):
    listed = (site / "llms.txt").read_text(encoding="utf-8")
    for page in PAGES:
        name = page.relative_to(DOCS)
        twin = (site / name).read_text(encoding="utf-8")
        assert twin.startswith("# ")
        assert "{eval-rst}" not in twin
        assert "<!-- made" not in twin
        assert ":::" not in twin
        assert name.name == "index.md" or f"]({name.as_posix()})" in listed


def test_what_is_made_from_the_code_is_there(site):
    options = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert "--explain-gap" in options
    assert "--reduced-decoding" in options
    python = (site / "reference" / "python" / "detector.html").read_text(encoding="utf-8")
    assert 'id="lucidbox.Detector"' in python
    assert "crops" in (site / "reference" / "json.html").read_text(encoding="utf-8")
