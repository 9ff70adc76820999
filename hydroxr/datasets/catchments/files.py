"""Text and NetCDF files of published data sets: series by day, and tables of attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from ...errors import DataFileError
from .layouts import Series
from .text import fields_of, read_text, separator_of

_MISSING = (-99.99, -999.0, -9999.0)  # codes of CAMELS-AUS, LamaH-CE and others

Table = dict[str, dict[str, str]]  # gauge -> attribute -> text


def files_of(series: Series, folder: Path) -> dict[str, Path]:
    """The files of a family by gauge; one with a column per gauge has the key ""."""
    pattern = series.pattern
    name = "".join(
        "(.+?)" if part == "{gauge}" else ".*" if part == "*" else re.escape(part)
        for part in re.split(r"(\{gauge\}|\*)", pattern.rsplit("/", 1)[-1])
    )
    found = sorted(folder.glob(pattern.replace("{gauge}", "*")))
    if "{gauge}" not in pattern:
        return {"": found[0]} if found else {}
    matches = [(re.fullmatch(name, path.name), path) for path in found]
    return {match[1]: path for match, path in matches if match}


def header_of(path: Path) -> list[str]:
    """The names of the columns or variables of a file."""
    if path.suffix == ".nc":
        with xr.open_dataset(path) as ds:
            return [str(name) for name in ds.variables]
    lines = _lines(path)
    return fields_of(lines[0][1], separator_of(lines[0][1]))


def span_of(path: Path, series: Series) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last day of a file, from its first and last line."""
    if path.suffix == ".nc":
        with xr.open_dataset(path) as ds:
            days = ds.indexes["date"]
        return days[0], days[-1]
    first = _lines(path, 2)
    separator = separator_of(first[0][1])
    columns = fields_of(first[0][1], separator)
    rows = [fields_of(line, separator) for line in (first[-1][1], _last_line(path))]
    days = _dates(pd.DataFrame(rows, columns=columns, dtype=str), series, path)
    return days[0], days[1]


def read_series(
    path: Path, series: Series, columns: Sequence[str], days: pd.DatetimeIndex
) -> npt.NDArray[np.float32]:
    """Columns of the file of one gauge, (column, time), NaN on days that it lacks."""
    if path.suffix == ".nc":
        with xr.open_dataset(path) as ds:
            frame = ds[list(columns)].to_dataframe()
    else:
        frame = read_text(path)
        frame.index = _dates(frame, series, path)
    return _numbers(frame, columns, days, path)


def read_wide(
    path: Path, series: Series, gauges: Sequence[str], days: pd.DatetimeIndex
) -> npt.NDArray[np.float32]:
    """A file with a column per gauge, (gauge, time), NaN for gauges that it lacks."""
    frame = read_text(path)
    frame.index = _dates(frame, series, path)
    return _numbers(frame.reindex(columns=list(gauges)), gauges, days, path)


def read_tables(paths: Sequence[Path], gauge: str, transposed: bool) -> Table:
    """Attributes of all tables that have a column of gauges; other tables are left alone."""
    out: Table = {}
    for path in paths:
        frame = read_text(path).fillna("")
        if transposed:
            frame = frame.set_index(frame.columns[0]).T.rename_axis(gauge).reset_index()
        if gauge not in frame:
            continue
        for row in frame.to_dict("records"):
            attributes = out.setdefault(str(row.pop(gauge)).strip(), {})
            for name, value in row.items():
                attributes.setdefault(str(name), str(value).strip())
    return out


def column_of(table: Mapping[str, Mapping[str, str]], gauges: Sequence[str], name: str) -> npt.NDArray[Any]:
    """An attribute of the gauges: numbers if all values are, NaN if empty; else text, "" if empty."""
    texts = [
        "" if text in ("NA", "NaN", "nan") else text
        for text in (table.get(g, {}).get(name, "") for g in gauges)
    ]
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return np.array(texts)


def _lines(path: Path, count: int = 1) -> list[tuple[int, str]]:
    """The first lines that are no comments, with their numbers from 0."""
    out: list[tuple[int, str]] = []
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file):
                if line.strip() and not line.startswith("#"):
                    out.append((number, line.rstrip("\r\n")))
                if len(out) == count:
                    break
    except OSError as error:
        raise DataFileError(
            f"{path}: cannot be read ({error.strerror}). Correct the path or its permissions."
        ) from error
    if len(out) < count:
        raise DataFileError(
            f"{path}: has {len(out)} lines; expected a header and values. Download the file again."
        )
    return out


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        taken = 1 << 12
        while True:
            file.seek(max(size - taken, 0))
            lines = file.read().strip().splitlines()
            if len(lines) > 1 or taken >= size:
                return lines[-1].decode("utf-8", errors="replace")
            taken *= 16


def _dates(frame: pd.DataFrame, series: Series, path: Path) -> pd.DatetimeIndex:
    absent = [name for name in series.date if name not in frame]
    if absent:
        raise DataFileError(
            f"{path}: has no column {', '.join(absent)}; it has {', '.join(map(str, frame.columns[:12]))}. "
            "Is it another version of the data set?"
        )
    parts = [frame[name].str.strip() for name in series.date]
    text = parts[0] if len(parts) == 1 else parts[0].str.cat([part.str.zfill(2) for part in parts[1:]], "-")
    style = "%Y%m%d" if text.str.fullmatch(r"\d{8}").all() else "ISO8601"
    try:
        return pd.DatetimeIndex(pd.to_datetime(text, format=style))
    except ValueError as error:
        raise DataFileError(f"{path}: has a date that is none ({error}). Correct the date.") from error


def _numbers(
    frame: pd.DataFrame, columns: Sequence[str], days: pd.DatetimeIndex, path: Path
) -> npt.NDArray[np.float32]:
    table = frame[list(columns)].apply(
        lambda column: pd.to_numeric(column.replace(r"^\s*$", np.nan, regex=True))
    )
    if table.index.has_duplicates:
        raise DataFileError(f"{path}: has a day twice. Download the file again.")
    values = table.reindex(days).to_numpy(np.float32).T
    return np.where(np.isin(values, np.array(_MISSING, np.float32)), np.float32(np.nan), values)
