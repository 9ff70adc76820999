"""Text files of the published CAMELS-US set: forcing, streamflow and attribute tables, read into arrays.

Long series are read by the C parser of pandas, which is fast but has vague errors. If it fails, the file
is read again line by line to find the wrong line.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataFileError

Days = npt.NDArray[np.datetime64]
AttributeRows = dict[str, dict[str, str | float]]  # gauge -> attribute -> value

# Columns of a forcing file in lower case. The three products have the same order, but differ in case
# ("Tmax(C)") and separators (a mix of blanks and tabs).
_FORCING_COLUMNS = (
    *("year", "mnth", "day", "hr"),
    *("dayl(s)", "prcp(mm/day)", "srad(w/m2)", "swe(mm)", "tmax(c)", "tmin(c)", "vp(pa)"),
)
_FORCING = {
    "prcp": "prcp(mm/day)",
    "tmin": "tmin(c)",
    "tmax": "tmax(c)",
    "srad": "srad(w/m2)",
    "vp": "vp(pa)",
    "dayl": "dayl(s)",
    "swe": "swe(mm)",
}
FORCING_VARIABLES = tuple(_FORCING)
_PREAMBLE = ("latitude", "elevation [m]", "area [m2]")  # one number per line, above the names of the columns

_STREAMFLOW_COLUMNS = ("gauge", "year", "month", "day", "streamflow [ft3/s]", "flag")
_STREAMFLOW_TEXT = (0, 5)  # columns that are not numbers
_MISSING_STREAMFLOW = -999.0

# Codes of the quality flags of the gauging records; all others are "other".
FLAG_CODES = {"M": 0, "A": 1, "A:e": 2}
FLAG_OTHER = 3
FLAG_MEANINGS = "missing approved approved_estimated other"

_FETCH_AGAIN = "Download the file again."


def read_forcing(path: Path) -> tuple[Days, dict[str, npt.NDArray[np.float64]]]:
    """Read the forcing file of one basin.

    Returns
    -------
    days : ndarray of datetime64[D]
        Shape ``(time,)``, increasing.
    values : dict
        Variable -> values of shape ``(time,)``, in the units of the file: ``prcp`` [mm/day], ``tmin`` and
        ``tmax`` [degC], ``srad`` [W m-2], ``vp`` [Pa], ``dayl`` [s], ``swe`` [mm].
    """
    data = _read(path)
    skip = len(_PREAMBLE) + 1
    head = data.split(b"\n", skip)[:skip]
    for number, (line, what) in enumerate(zip(head, _PREAMBLE, strict=False), 1):
        if not _is_number(_text(line)):
            raise _error(path, number, f"holds {_shown(_text(line))}", f"the basin's {what}", _FETCH_AGAIN)
    names = tuple(_text(head[-1]).lower().split()) if len(head) == skip else ()
    if names != _FORCING_COLUMNS:
        found = f"holds the columns {_shown(', '.join(names))}" if names else "is not there"
        raise _error(path, skip, found, ", ".join(_FORCING_COLUMNS), _FETCH_AGAIN)

    table = _parse(path, data, skip, _FORCING_COLUMNS).to_numpy(np.float64)
    if _ends_within_number(data, skip):
        raise _error(path, None, "ends in the middle of its last number", "a whole line", _FETCH_AGAIN)
    days = _days(path, data, skip, table[:, 0], table[:, 1], table[:, 2])
    # Copy, since a view would keep the whole table in memory.
    return days, {name: table[:, _FORCING_COLUMNS.index(column)].copy() for name, column in _FORCING.items()}


def read_streamflow(path: Path, gauge: str) -> tuple[Days, npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Read the streamflow file of one gauge.

    Returns
    -------
    days : ndarray of datetime64[D]
        Shape ``(time,)``, increasing.
    streamflow : ndarray of float64
        Shape ``(time,)``, ft3/s; NaN for -999.
    flags : ndarray of int8
        Shape ``(time,)``, codes of the quality flag (see ``FLAG_CODES``).
    """
    data = _read(path)
    frame = _parse(path, data, 0, _STREAMFLOW_COLUMNS, _STREAMFLOW_TEXT)
    foreign = np.flatnonzero((frame[0] != gauge).to_numpy())
    if foreign.size:
        number = _line_number(data, 0, int(foreign[0]))
        raise _error(
            path, number, f"belongs to gauge {frame[0].iloc[foreign[0]]}", f"gauge {gauge}", _FETCH_AGAIN
        )
    days = _days(path, data, 0, *(frame[column].to_numpy(np.float64) for column in (1, 2, 3)))
    streamflow = frame[4].to_numpy(np.float64)
    flags = frame[5].astype("category")
    codes = np.array([FLAG_CODES.get(flag, FLAG_OTHER) for flag in flags.cat.categories], np.int8)
    return days, np.where(streamflow == _MISSING_STREAMFLOW, np.nan, streamflow), codes[flags.cat.codes]


def read_attributes(path: Path, columns: Mapping[str, bool]) -> AttributeRows:
    """Read an attribute table.

    Parameters
    ----------
    path
        Table with one line per basin, columns separated by ``;``, and ``NA`` or nothing for missing values.
    columns
        Columns of the table besides ``gauge_id``, in any order -> whether they are text.

    Returns
    -------
    dict
        Gauge -> column -> value. Missing numbers are NaN and missing text is ``""``.
    """
    lines = _text(_read(path)).splitlines()
    header = [name.strip() for name in lines[0].split(";")] if lines else []
    if sorted(header) != sorted(["gauge_id", *columns]):
        raise _error(
            path,
            1,
            f"has the columns {_shown(';'.join(header))}",
            ";".join(["gauge_id", *columns]),
            _FETCH_AGAIN,
        )
    table: AttributeRows = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split(";")]
        if len(fields) != len(header):
            raise _error(path, number, f"has {len(fields)} values", f"{len(header)}", _FETCH_AGAIN)
        row: dict[str, str | float] = {}
        for name, field in zip(header, fields, strict=True):
            if name == "gauge_id" or columns[name]:
                row[name] = "" if field == "NA" else field
            elif field in ("", "NA") or _is_number(field):
                row[name] = float("nan") if field in ("", "NA") else float(field)
            else:
                raise _error(
                    path, number, f"has {_shown(field)} as {name}", "a number or NA", "Correct the value."
                )
        gauge = str(row.pop("gauge_id"))
        if gauge in table:
            raise _error(path, number, f"repeats gauge {gauge}", "one line per gauge", "Remove one of them.")
        table[gauge] = row
    return table


def _error(path: Path, line: int | None, found: str, expected: str, remedy: str) -> DataFileError:
    where = f"{path}" if line is None else f"{path}: line {line}"
    return DataFileError(f"{where} {found}; expected {expected}. {remedy}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataFileError(
            f"{path}: cannot be read ({error.strerror}); expected a file of the published CAMELS-US set. "
            "Download it, or correct the path or its permissions."
        ) from error


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace").strip("\ufeff\r\n ")


def _shown(text: str) -> str:
    """Quote the first 200 characters of a text."""
    return repr(text if len(text) <= 200 else f"{text[:200]}...")


def _is_number(field: str) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def _parse(
    path: Path, data: bytes, skip: int, columns: Sequence[str], text: tuple[int, ...] = ()
) -> pd.DataFrame:
    """Read whitespace-separated columns below ``skip`` lines: finite numbers, or text in columns ``text``."""
    options: dict[str, Any] = {"header": None, "sep": r"\s+", "engine": "c", "quoting": csv.QUOTE_NONE}
    kinds = {column: str if column in text else np.float64 for column in range(len(columns))}
    try:
        # With na_filter=False, a stray "NA" or an empty field is an error instead of NaN.
        frame = pd.read_csv(io.BytesIO(data), skiprows=skip, dtype=kinds, na_filter=False, **options)
        numbers = frame.drop(columns=list(text)).to_numpy(np.float64)
        # The parser fills short lines with NaN, or with empty text.
        filled = np.isfinite(numbers).all() and all((frame[column] != "").all() for column in text)
        if frame.shape[1] == len(columns) and filled:
            return frame
        reason = f"it has {frame.shape[1]} columns, or values are missing or not finite"
    except (ValueError, OverflowError) as error:  # pandas' ParserError and EmptyDataError are ValueErrors
        reason = str(error)
    raise _first_bad_line(path, data, skip, columns, text, reason)


def _first_bad_line(
    path: Path, data: bytes, skip: int, columns: Sequence[str], text: tuple[int, ...], reason: str
) -> DataFileError:
    """The error for a file that the parser refused for ``reason``."""
    lines = data.decode("utf-8", errors="replace").splitlines()
    expected = f"{len(columns)}: {', '.join(columns)}"
    for number, line in enumerate(lines[skip:], skip + 1):
        fields = line.split()
        if fields and len(fields) != len(columns):
            end = ", and the file ends there: it may have been cut off" if number == len(lines) else ""
            return _error(path, number, f"has {len(fields)} values{end}", expected, _FETCH_AGAIN)
        for position, (field, column) in enumerate(zip(fields, columns, strict=False)):
            if position not in text and not _is_number(field):
                return _error(
                    path, number, f"has {_shown(field)} as {column}", "a number", "Correct the value."
                )
    return _error(path, None, f"cannot be read ({reason})", f"lines of {expected}", _FETCH_AGAIN)


def _line_number(data: bytes, skip: int, row: int) -> int:
    """The number of the line with a row; blank lines are not rows."""
    filled = [number for number, line in enumerate(data.splitlines(), 1) if line.strip() and number > skip]
    return filled[row]


def _ends_within_number(data: bytes, skip: int) -> bool:
    """Whether the last number of a file has fewer decimals than all others, and no line end follows.

    Some complete files lack the last line end, so its absence alone proves nothing.
    """
    if data.endswith((b"\n", b"\r")):
        return False
    decimals = [len(line.split()[-1].partition(b".")[2]) for line in data.splitlines()[skip:] if line.strip()]
    return len(decimals) > 1 and decimals[-1] < min(decimals[:-1])


def _days(path: Path, data: bytes, skip: int, *date: npt.NDArray[np.float64]) -> Days:
    """Days from the year, month and day of each row; an error unless they increase."""
    year, month, day = (np.clip(part, -9999, 9999).astype(np.int64) for part in date)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days: Days = months.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    real = (year >= 1700) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1)
    real &= days.astype("datetime64[M]") == months  # not 30 February
    real &= (date[0] == year) & (date[1] == month) & (date[2] == day)
    if not real.all():
        row = int(np.argmin(real))
        found = f"has the date {'-'.join(f'{part[row]:g}' for part in date)}"
        raise _error(path, _line_number(data, skip, row), found, "a day of the calendar", "Correct the date.")
    late = np.flatnonzero(np.diff(days) <= np.timedelta64(0, "D"))
    if late.size:
        row = int(late[0]) + 1
        verb = "repeats" if days[row] == days[row - 1] else "goes back to"
        raise _error(
            path,
            _line_number(data, skip, row),
            f"{verb} the day {days[row]}, after {days[row - 1]}",
            "each day once, in order",
            "Sort the lines and remove duplicates.",
        )
    return days
