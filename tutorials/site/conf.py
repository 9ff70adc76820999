"""Configuration of the site, which ``build.py`` beside it builds. Nothing is fetched while it is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

import api_pages
import inventories

import hydroxr

project = "hydroxr"
author = "the hydroxr developers"
release = version = hydroxr.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "sphinx_copybutton",
]

# Pages: MyST for the guides, stored outputs for the tutorials.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]
copybutton_exclude = ".linenos, .gp, .go"

# Docstrings. Types are written in them; signatures stay short.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = inventories.ALIASES | api_pages.aliases()

nitpicky = True
intersphinx_mapping = inventories.written(Path(__file__).parents[2] / "build" / "site" / "inventories")
intersphinx_timeout = 1

html_theme = "pydata_sphinx_theme"
html_title = "hydroxr"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
}
html_sidebars = {"index": []}
copyright = "the hydroxr developers, Apache-2.0"


def _inner_name(app: Sphinx, env: Any, node: nodes.Element, text: nodes.Element) -> nodes.Node | None:
    """Resolve the name of an object where it is defined to the page of its public name."""
    return api_pages.resolve(app, node, text)


def setup(app: Sphinx) -> None:
    """Register what resolves inner names."""
    app.connect("missing-reference", _inner_name)
