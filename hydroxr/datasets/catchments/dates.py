"""The dates of a table, in whatever columns and style they come."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from ...errors import DataFileError

_NAMES = ("date", "time", "datetime", "timestamp", "day", "valid_time", "index")
_PARTS = ({"year", "yyyy", "yr"}, {"month", "mm", "mnth", "mo"}, {"day", "dd", "dy"})
_STYLES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%d-%b-%Y", "%d %b %Y")
_HOURS = ("", " %H:%M", " %H:%M:%S")


def dates_of(frame: pd.DataFrame, what: str) -> tuple[pd.Series, tuple[str, ...]]:
    """The date of each row, and the columns that have it.

    Columns of year, month and day come first, then those that are named like dates, then any whose text
    looks like dates. A day before or after the month is told by the steps, of one day.

    Raises
    ------
    DataFileError
        If there are none, or two readings are equally good.
    """
    lower = {str(name).lower(): str(name) for name in frame.columns}
    parts = [next((lower[name] for name in names if name in lower), None) for names in _PARTS]
    if all(part is not None for part in parts):
        text = [frame[part].astype(str).str.strip().str.zfill(2) for part in parts]
        readings = _readings(text[0].str.cat(text[1:], "-"))
        if readings:
            return next(iter(readings.values())), tuple(map(str, parts))
    named = [lower[name] for name in _NAMES if name in lower]
    for name in dict.fromkeys([*named, *map(str, frame.columns)]):
        readings = _readings(frame[name])
        if not readings:
            continue
        best = sorted(readings, key=lambda style: -_daily(readings[style]))
        if len(best) > 1 and _daily(readings[best[0]]) == _daily(readings[best[1]]):
            raise DataFileError(
                f"{what}: column {name!r} has dates such as {frame[name].iloc[0]!r}, which may be "
                f"{' or '.join(str(readings[style].iloc[0])[:10] for style in best[:2])}; expected "
                "YYYY-MM-DD. Convert the dates, and pass a DataFrame."
            )
        return readings[best[0]], (name,)
    raise DataFileError(
        f"{what}: has no column of dates among {', '.join(map(repr, map(str, frame.columns[:12])))}; "
        "expected dates such as 2000-01-31, or columns year, month, day. If lines stand before the header, "
        "read the table with pd.read_csv(..., skiprows=...), and pass the DataFrame."
    )


def _readings(column: pd.Series) -> dict[str, pd.Series]:
    """The dates of a column by style, for each style that all rows have; none if it holds no dates."""
    if isinstance(column.dtype, pd.PeriodDtype):
        return {"periods": column.dt.to_timestamp()}
    if pd.api.types.is_datetime64_any_dtype(column):
        return {"dates": column.dt.tz_localize(None)}
    text = column.astype("string").str.strip()
    if not len(text) or text.isna().any() or not text.str.fullmatch(r"\S*\d\S*.{5,}").all():
        return {}
    out: dict[str, pd.Series] = {}
    for style in ("ISO8601", *map("".join, itertools.product(_STYLES, _HOURS))):
        try:
            found = pd.to_datetime(text, format=style)
        except (ValueError, OverflowError):
            continue
        # The date as written is that of the day, in whatever zone.
        out[style] = found.dt.tz_localize(None)
        if style == "ISO8601":
            break
    return out


def _daily(days: pd.Series) -> float:
    """The share of steps of one day between dates in order."""
    steps = np.diff(np.unique(days.to_numpy()))
    return float(np.mean(steps == np.timedelta64(1, "D"))) if len(steps) else 1.0
