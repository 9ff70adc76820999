"""Parts of a self-contained web page: tables, pictures, the page around them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plot.style import matplotlib_part

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 0.5rem 0 1.5rem; }
caption { text-align: left; padding-bottom: 0.4rem; color: #444; }
th, td { padding: 0.15rem 0.7rem; text-align: left; vertical-align: top; border-bottom: 1px solid #e4e4e4; }
thead th { border-bottom: 2px solid #888; } td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0 2rem; } figure img { max-width: 100%; height: auto; }
figcaption, .note { color: #444; font-size: 0.9rem; }
.row { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; }
.row figure { max-width: 22rem; } td:first-child { min-width: 11rem; }
.wide { overflow-x: auto; } pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: 0.85rem; }
"""


def page(title: str, subtitle: str, parts: Sequence[str]) -> str:
    """The HTML document; ``parts`` are HTML, title and subtitle are text."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="note">{escape(subtitle)}</p>',
            *parts,
            "</body>",
            "</html>",
            "",
        ]
    )


def heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, text: int = 1) -> str:
    """A table of text; the columns after the first ``text`` ones are numbers, aligned to the right."""
    kinds = ["" if place < text else ' class="number"' for place in range(len(header))]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for kind, name in zip(kinds, header, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(value)}</td>" for kind, value in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    above = f"<caption>{escape(caption)}</caption>\n" if caption else ""
    return (
        f'<div class="wide"><table>{above}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def folded(text: str, content: str) -> str:
    """Content that a click on ``text`` unfolds."""
    return f"<details><summary>{escape(text)}</summary>\n{content}\n</details>"


def attributes(attrs: Mapping[Any, Any]) -> str:
    """A table of attributes, with JSON indented."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td><pre>{escape(_laid_out(value))}</pre></td></tr>'
        for name, value in attrs.items()
    )
    return f'<div class="wide"><table><tbody>\n{rows}\n</tbody></table></div>'


def picture(axes: Axes, alternative: str, caption: str) -> str:
    """The figure of these Axes as an embedded vector graphic; closes the figure."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    matplotlib_part("pyplot").close(figure)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    width = round(figure.get_figwidth() * 96)  # CSS pixels per inch
    return (
        f'<figure><img src="data:image/svg+xml;base64,{data}" width="{width}" alt="{escape(alternative)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def beside(*parts: str) -> str:
    """Place parts side by side if there is room."""
    return f'<div class="row">{"".join(parts)}</div>'


def number(value: float, digits: int) -> str:
    """A number with this many decimals; in exponents if it would round to 0, a dash for NaN."""
    if not np.isfinite(value):
        return "–"
    if 0 < abs(value) < 0.5 * 10.0**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def _laid_out(value: object) -> str:
    text = str(value)
    if text.startswith(("{", "[")):
        try:
            return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
        except ValueError:
            return text
    return text
