"""Pieces of a web page that needs nothing but itself: tables, pictures, the page around them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .plot_style import matplotlib_part

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
.wide { overflow-x: auto; } pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: 0.85rem; }
"""


def page(title: str, subtitle: str, parts: Sequence[str]) -> str:
    """A whole HTML document; ``parts`` are HTML, title and subtitle text."""
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


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Text on the left, numbers on the right; a column of numbers is one whose first entry is a number."""
    numeric = [isinstance(value, int | float) for value in rows[0]] if rows else [False] * len(header)
    head = "".join(
        f'<th scope="col"{_number(is_number)}>{escape(name)}</th>'
        for name, is_number in zip(header, numeric, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_number(is_number)}>{escape(number(value))}</td>"
            for value, is_number in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def folded(text: str, content: str) -> str:
    """HTML that opens with a click on ``text``."""
    return f"<details><summary>{escape(text)}</summary>\n{content}\n</details>"


def attributes(attrs: Mapping[Any, Any]) -> str:
    """Attributes of a file, name by name; JSON laid out."""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td><pre>{escape(_laid_out(value))}</pre></td></tr>'
        for name, value in attrs.items()
    )
    return f'<div class="wide"><table><tbody>\n{rows}\n</tbody></table></div>'


def picture(axes: Axes, alternative: str, caption: str) -> str:
    """The figure of these Axes as a vector graphic within the page; closes it."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    matplotlib_part("pyplot").close(figure)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    width = round(figure.get_figwidth() * 96)  # pixels of CSS an inch
    return (
        f'<figure><img src="data:image/svg+xml;base64,{data}" width="{width}" alt="{escape(alternative)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def beside(*parts: str) -> str:
    """Next to each other where there is room."""
    return f'<div class="row">{"".join(parts)}</div>'


def number(value: object) -> str:
    """A number as a reader wants it: three digits after the point up to 10, fewer above; else text."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return str(value)
    if isinstance(value, int | np.integer):
        return str(value)
    if not np.isfinite(value):
        return "–"
    size = abs(float(value))
    if 0 < size < 5e-4:
        return f"{value:.1e}"
    return f"{value:.{3 if size < 10 else 1 if size < 1000 else 0}f}"


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _laid_out(value: object) -> str:
    text = str(value)
    if text.startswith(("{", "[")):
        try:
            return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
        except ValueError:
            return text
    return text
