"""The report of a check as HTML, with small pictures drawn as inline SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .magnitudes import Magnitude

_WIDTH, _HEIGHT = 96, 24  # pixels
_BINS = 16
_HEADER = ("", "found as", "mean", "cells", "year", "missing", "period")


def report_html(
    title: str,
    rows: Sequence[tuple[str, str, Magnitude | None]],
    remarks: Sequence[str],
    improbable: Sequence[str],
) -> str:
    """The report as a table: for each role what was found and how large it is; and the remarks as a list."""
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in _HEADER)
    body = "\n".join(_row(*row) for row in rows)
    listed = "".join(
        f"<li>{'<b>improbable:</b> ' if remark in improbable else ''}{escape(remark)}</li>"
        for remark in remarks
    )
    notes = f"<ul>{listed}</ul>" if listed else "<p>Nothing to remark.</p>"
    return (
        f"<div><p><b>hydroxr check</b>: {escape(title)}</p>\n<table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>\n{notes}</div>"
    )


def _row(role: str, found: str, size: Magnitude | None) -> str:
    cells = [escape(role), escape(found)]
    if size is not None:
        span = f"{size.median:,.{size.digits}f} {size.units}"
        if len(size.cells) > 1:
            span += f"<br><small>{size.least:,.{size.digits}f} to {size.most:,.{size.digits}f}</small>"
        cells += [span, _histogram(size.cells), _line(size.months), str(size.missing or "")]
        cells.append(f"{size.period[0]} to {size.period[1]}")
    cells += [""] * (len(_HEADER) - len(cells))
    return "<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>"


def _histogram(values: Sequence[float]) -> str:
    """Bars: how many cells have which mean."""
    if len(values) < 2:
        return ""
    counts, _ = np.histogram(values, bins=_BINS)
    step = _WIDTH / _BINS
    bars = "".join(
        f'<rect x="{place * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step - 1:.1f}" '
        f'height="{height:.1f}"/>'
        for place, height in enumerate(counts / counts.max() * (_HEIGHT - 1))
        if height
    )
    return _svg(f'<g fill="currentColor" opacity="0.6">{bars}</g>', "histogram of the means of cells")


def _line(months: Sequence[float]) -> str:
    """A line through the means of the months that have one."""
    known = [(month, value) for month, value in enumerate(months) if np.isfinite(value)]
    if len(known) < 2:
        return ""
    low, high = min(value for _, value in known), max(value for _, value in known)
    points = " ".join(
        f"{2 + month * (_WIDTH - 4) / 11:.1f},"
        f"{_HEIGHT - 2 - (value - low) / ((high - low) or 1.0) * (_HEIGHT - 4):.1f}"
        for month, value in known
    )
    line = f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>'
    return _svg(line, "mean of each month, January to December")


def _svg(content: str, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img">'
        f"<title>{title}</title>{content}</svg>"
    )
