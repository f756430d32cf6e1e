"""The site of the documentation, made of the Markdown files as they are.   docs, README.md ─► [conf] ─► sphinx-build

The source directory is the whole repository, so that a link from one file to another leads to the same file on the
site, on the forge and in an editor. The contents at the side are the tables of docs/README.md. All that differs on the
site is added here while a page is read: no file has anything in it that only Sphinx understands.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

from fleetpmap.version import __version__

ROOT = Path(__file__).parents[2]

project = "fleetpmap"
author = "the authors of fleetpmap"
copyright = author
version = release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc"]

root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "benchmarks/RESULTS.md",
    "docs/**.md",
    "docs/**.ipynb",
    "docs/reference/api.rst",
]

myst_heading_anchors = 4
nb_execution_mode = "off"  # tests/integration/test_notebook.py runs it, and holds its outputs to what is in the file
nb_mime_priority_overrides = [("html", "text/html", 10)]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_display_short_literal_types = True
maximum_signature_line_length = 90
smartquotes = False  # else `--all` in a docstring becomes a dash and `all`
default_role = "code"  # docstrings have single backticks, as Markdown does

html_theme = "furo"
html_title = f"fleetpmap {release}"
html_static_path = ["_static"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_css_files = ["site.css"]
html_js_files = ["versions.js"]
templates_path = ["_templates"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

linkcheck_timeout = 20
linkcheck_anchors = False

_ROW = re.compile(r"^\| \[[^\]]+\]\(([\w./-]+\.md)\)", re.MULTILINE)
_CAPTIONS = ("How to", "Understand", "Look up")
_PROJECT = (
    *("docs/architecture", "docs/decisions/README", "benchmarks/RESULTS"),
    *("CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY", "CHANGELOG"),
)


def setup(app: Sphinx) -> None:
    """Add the contents while pages are read, and the first page's other name."""
    app.connect("source-read", _add_contents)
    app.connect("autodoc-process-docstring", _read_sections)
    app.connect("build-finished", _name_the_first_page)


def _add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    if name == root_doc:
        source[0] += "".join(map(_contents, _CAPTIONS, _pages_by_table()))
        source[0] += _contents("The project", [*_PROJECT])
    if name == "docs/decisions/README":
        numbered = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
        source[0] += _contents("Decisions", [f"docs/decisions/{page.stem}" for page in numbered])


def _read_sections(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Turn the `Raises:` of a docstring into a list. An attribute has no sections: its text is a noun phrase."""
    if what != "attribute":
        lines[:] = GoogleDocstring(lines, Config(), app, what, name, thing, options).lines()


def _pages_by_table() -> list[list[str]]:
    """Return the pages of each table of docs/README.md, in its order."""
    tables = (ROOT / "docs" / "README.md").read_text(encoding="utf-8").split("\n\n| to ")[1:]
    pages = [[f"docs/{link.removesuffix('.md')}" for link in _ROW.findall(table)] for table in tables]
    pages[0].insert(0, "docs/README")
    pages[0].insert(pages[0].index("docs/guides/library") + 1, "docs/guides/library-notebook")
    pages[2].append("docs/reference/api")
    return pages


def _contents(caption: str, pages: list[str]) -> str:
    listed = "\n".join(f"/{page}" for page in pages)
    return f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def _name_the_first_page(app: Sphinx, failure: Exception | None) -> None:
    """A server looks for index.html, and the page of README.md is README.html."""
    built = Path(app.outdir)
    if failure is None and app.builder.name == "html":
        shutil.copy(built / "README.html", built / "index.html")
