"""Configuration of the site, which ``build.py`` beside it builds. Nothing is fetched while it is built."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any
from xml.dom import minidom

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx import addnodes
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
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = inventories.ALIASES | api_pages.aliases()

nitpicky = True
intersphinx_mapping = inventories.written(Path(__file__).parents[2] / "build" / "site" / "inventories")
intersphinx_timeout = 1

html_math_renderer = "mathml"  # understood by browsers, which then fetch nothing
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


def _as_users_write(app: Sphinx, doctree: nodes.document) -> None:
    """Show ``ds.hbv.fit`` and ``hx.metrics.nse`` in signatures."""
    for node in doctree.findall(addnodes.desc_addname):
        name = node.astext()
        if name.startswith("hydroxr."):
            shown = name.replace("hydroxr", "hx", 1)
        else:
            shown = {"HBVAccessor.": "ds.hbv.", "Plots.": "ds.hbv.plot."}.get(name, name)
        node.children = [nodes.Text(shown)]


def _mathml(writer: Any, node: nodes.Element) -> None:
    """Write an equation as MathML."""
    block = isinstance(node, nodes.math_block)
    text = str(latex2mathml.tex2mathml(node.astext(), as_block=block))
    text = re.sub(r"&(?!amp;|lt;|gt;)\w+;", lambda entity: html.unescape(entity[0]), text)
    tree = minidom.parseString(text)
    # Fonts draw an overbar badly, where they have it: a border is drawn instead, see site.css.
    for over in tree.getElementsByTagName("mover"):
        bar = [child for child in over.childNodes if child.nodeType == child.ELEMENT_NODE][-1]
        if bar.firstChild.data in ("ˉ", "_"):
            over.removeChild(bar)
            over.tagName = over.nodeName = "mrow"
            over.setAttribute("class", "overbar")
    equation = tree.documentElement.toxml()
    writer.body.append(f'<div class="equation">{equation}</div>' if block else equation)
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register what resolves names, shows them, and writes equations."""
    app.connect("missing-reference", _inner_name)
    app.connect("doctree-read", _as_users_write)
    app.add_html_math_renderer("mathml", (_mathml, None), (_mathml, None))
