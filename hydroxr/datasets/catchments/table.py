"""A table of daily series, as a CSV or a DataFrame, made ready for ``ds.hbv``."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import xarray as xr

from ...conventions.units import factor_offset, quantity_of
from ...conventions.variables import VARIABLES
from ...conventions.weather import WEATHER
from ...errors import DataFileError, DescriptionError, UnitsError, ValueRangeError
from ...inputs.resolve import Inputs, observed_streamflow
from ..camels_variables import ATTRS
from .dates import dates_of
from .text import read_any

Table: TypeAlias = str | os.PathLike[str] | pd.DataFrame

_SERIES = (
    "prcp",
    "tmean",
    "tmin",
    "tmax",
    "pet",
    "streamflow",
    *(name for name in WEATHER if name != "elevation"),
)
_HEADER = re.compile(r"(.*\S)\s*[(\[]\s*([^()\[\]]*?)\s*[)\]]\s*")  # Precipitation (mm/day), Q [m3/s]
_SHORT = {"p": ("prcp", "water flux"), "t": ("tmean", "temperature")}  # P (mm/day), T (degC)
_PLACED = {"lat": ("lat", "latitude"), "lon": ("lon", "longitude")}  # columns with one value per gauge
_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
_PLACES = {"lat": ATTRS["lat"], "lon": ATTRS["lon"], "area": {"long_name": "catchment area", "units": "km2"}}


def open_table(
    table: Table | Mapping[str, Table],
    units: Mapping[str, str] | None = None,
    *,
    basin: str | None = None,
    names: Mapping[str, str] | None = None,
    lat: float | Mapping[str, float] | None = None,
    lon: float | Mapping[str, float] | None = None,
    area: float | Mapping[str, float] | None = None,
    na_values: Iterable[Any] = (),
) -> xr.Dataset:
    """Open a table of daily series, such as the CSV of a gauge; ready for ``ds.hbv``.

    Commas, semicolons, tabs or spaces separate the columns; lines that begin with ``#`` are comments. Dates
    are found by their look, or in columns of year, month and day. Days without a row are missing.

    Parameters
    ----------
    table : path, DataFrame, or mapping of them
        A text file; a DataFrame; a pattern such as ``"gauges/*.csv"``, a file for each gauge; or the tables
        by gauge.
    units : mapping, optional
        Units by column, such as ``{"prcp": "mm/day", "tmean": "degC"}``. Not needed where the header has
        them, ``Precipitation (mm/day)``.
    basin : str, optional
        The column with the gauges, or the name of the only one. Default: the name of the file.
    names : mapping, optional
        Other names for columns, such as ``{"02_00060_00003": "streamflow"}``. Usual ones are known.
    lat, lon : float or mapping, optional
        Degrees north and east; by gauge if there are several. PET by formula needs the latitude.
    area : float or mapping, optional
        Catchment areas, km2; streamflow in m3 s-1 needs them.
    na_values : iterable, optional
        Text or numbers that stand for missing values in this table, such as ``["Ice", -999]``.

    Returns
    -------
    Dataset
        ``(basin, time)``, what the table has of: ``prcp``, ``pet`` and ``streamflow`` [kg m-2 day-1, equal to
        mm/day; discharge without an area stays discharge], ``tmean``, ``tmin`` and ``tmax`` [degC], weather
        for formulas of PET, and other columns of numbers. ``comment`` says what is left out.

    Raises
    ------
    DataFileError
        If a file is absent or no table, or there are no dates, or ambiguous or repeated ones.
    UnitsError
        If a series has no units, or units that are not understood.
    ValueRangeError
        If a series holds text, such as ``Ice``.
    DescriptionError
        If an argument names a column or gauge that is not there.

    Examples
    --------
    >>> units = {"prcp": "mm/day", "tmean": "degC", "qobs": "m3/s"}
    >>> ds = hx.open_table("gauge.csv", units, lat=46.2, area=180.0)  # doctest: +SKIP
    """
    frames = {gauge: read_any(each) for gauge, each in _tables(table).items()}
    parts: list[xr.Dataset] = []
    stated: dict[str, str] = {}
    left_out: dict[str, None] = {}
    for gauge, given in frames.items():
        frame, of_header = _header(given, names or {})
        stated |= of_header
        days, used = dates_of(frame, gauge)
        series, text = _numbers(frame.drop(columns=list(used)), basin, na_values, gauge)
        left_out |= dict.fromkeys(text)
        own = basin if basin is not None and len(frames) == 1 else gauge
        labels = _labels(frame[basin], gauge) if basin in frame else pd.Series(own, frame.index)
        for label, rows in labels.groupby(labels, sort=False).groups.items():
            parts.append(_gauge(str(label), series.loc[rows], pd.DatetimeIndex(days.loc[rows])))
    ds = _located(_whole(parts), {"lat": lat, "lon": lon, "area": area})
    ds = _in_units(ds, stated | {(names or {}).get(name, name): each for name, each in (units or {}).items()})
    title = f"Table{'s' if len(frames) > 1 else ''} of {', '.join([*frames][:3])}"
    ds.attrs = {"title": title + (" and others" if len(frames) > 3 else "")}
    if left_out:
        ds.attrs["comment"] = f"columns of text, or empty, that are left out: {', '.join(left_out)}"
    return ds


def _tables(table: Table | Mapping[str, Table]) -> dict[str, Table]:
    """The tables by gauge, or by the names of their files."""
    if isinstance(table, Mapping):
        return {str(gauge): each for gauge, each in table.items()}
    if isinstance(table, pd.DataFrame):
        return {"basin": table}
    if not isinstance(table, str | os.PathLike):
        raise DescriptionError(
            f"table is {type(table).__name__}; expected a path, a DataFrame, or a mapping of gauges to them."
        )
    path = Path(table).expanduser()
    found = sorted(path.parent.glob(path.name)) if any(sign in path.name for sign in "*?[") else [path]
    if not found:
        raise DataFileError(f"{path}: there is no such file. Correct the path.")
    return {each.stem: each for each in found}


def _header(frame: pd.DataFrame, names: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table with names alone as header, and the units that stood beside them."""
    columns, units, renamed = [], {}, set()
    for given in map(str, frame.columns):
        match = _HEADER.fullmatch(given)
        stem = match[1] if match and quantity_of(match[2]) is not None else given
        known = next((each for each in (given, stem) if each in names), None)
        renamed.add(known)
        columns.append(stem if known is None else names[known])
        if match and stem != given:
            units[columns[-1]] = match[2]
    absent = [name for name in names if name not in renamed]
    if absent:
        raise DescriptionError(
            f"names has {absent[0]!r}, and there is no such column; expected one of "
            f"{', '.join(map(repr, frame.columns[:12]))}."
        )
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise DescriptionError(
            f"several columns are called {twice[0]!r}; expected a name for each: names={{...: ...}}, or a "
            "table without the others."
        )
    frame = frame.set_axis(columns, axis="columns")
    first = frame.iloc[0].fillna("").astype(str) if len(frame) else pd.Series(dtype=str)
    below = {name: text for name, text in first.items() if quantity_of(text) and not _is_number(text)}
    if below and all(not _is_number(text) for text in first):  # a row of units below the header
        return frame.iloc[1:], units | {str(name): text for name, text in below.items()}
    return frame, units


def _labels(column: pd.Series, what: str) -> pd.Series:
    """The gauge of each row."""
    absent = column.isna()
    if absent.any():
        raise DataFileError(
            f"{what}: column {column.name!r} names no gauge in {int(absent.sum())} of {len(column)} rows; "
            "expected one in each. Fill them in, or remove these rows."
        )
    return column.astype(str)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _numbers(
    frame: pd.DataFrame, basin: str | None, na_values: Iterable[Any], gauge: str
) -> tuple[pd.DataFrame, list[str]]:
    """Columns of numbers, and the names of columns of text that play no role."""
    out, text = {}, []
    absent = {str(value).strip() for value in na_values}
    codes = [float(value) for value in absent if _is_number(value)]
    for name, given in frame.items():
        if name == basin or name in ("index", "level_0"):
            continue
        column = given
        if pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
            words = column.astype("string").str.strip().replace("", pd.NA)
            words = words.mask(words.isin(absent))
            if words.str.fullmatch(_COMMA).any() and not words.str.contains(".", regex=False).any():
                _refuse_thousands(words, f"{gauge}: column {name!r}")
                words = words.str.replace(",", ".", regex=False)
            column = pd.to_numeric(words, errors="coerce")
            wrong = words.notna() & column.isna()
            if wrong.any():
                if 2 * int(wrong.sum()) > int(words.notna().sum()) and not _plays_a_role(str(name)):
                    text.append(str(name))
                    continue
                raise ValueRangeError(
                    f"{gauge}: column {name!r} holds {words[wrong].iloc[0]!r} ({int(wrong.sum())} of "
                    f"{len(words)} values are no numbers); expected numbers with a decimal point. If such "
                    f"text means a missing value: na_values=[{words[wrong].iloc[0]!r}]."
                )
        elif column.dtype.kind not in "iufb":
            text.append(str(name))
            continue
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        if not np.isfinite(numbers).any() and not _plays_a_role(str(name)):
            text.append(str(name))
            continue
        out[name] = np.where(np.isin(numbers, codes), np.nan, numbers)
    return pd.DataFrame(out, index=frame.index), text


def _refuse_thousands(words: pd.Series, what: str) -> None:
    """Refuse commas that seem to separate thousands: 1,234 beside 987, where decimals were 987,000."""
    commas = words[words.str.contains(",", regex=False).fillna(False)]
    if commas.str.fullmatch(_THOUSANDS).all() and words.str.fullmatch(r"[-+]?[1-9]\d{0,2}").any():
        raise ValueRangeError(
            f"{what} holds {commas.iloc[0]!r}, whose comma may separate thousands or decimals; expected "
            "numbers without separators of thousands. Read them with pd.read_csv(..., thousands=',') or "
            "decimal=',', and pass the DataFrame."
        )


def _plays_a_role(name: str) -> bool:
    ds = xr.Dataset({name: ("time", [0.0])})
    inputs = Inputs(ds)
    return any(inputs.name(role) for role in _SERIES)


def _gauge(label: str, series: pd.DataFrame, days: pd.DatetimeIndex) -> xr.Dataset:
    """The series of one gauge, sorted by day."""
    repeated = days[days.duplicated()]
    if len(repeated):
        raise DataFileError(
            f"{label}: has {str(repeated[0])[:10]} more than once ({len(repeated)} rows repeat a day); "
            "expected a row per day. Remove the others; where a column has the gauges, name it: basin=..."
        )
    frame = series.set_axis(days, axis="index").sort_index()
    data = {name: ("time", frame[name].to_numpy()) for name in frame.columns}
    return xr.Dataset(data, {"time": frame.index.to_numpy(), "basin": label})


def _whole(parts: list[xr.Dataset]) -> xr.Dataset:
    """All gauges, on every day from the first to the last."""
    ds = xr.concat(parts, "basin", join="outer", data_vars="all", coords="minimal", compat="override")
    index = pd.DatetimeIndex(ds.indexes["time"])
    steps = index[1:] - index[:-1]
    day = pd.Timedelta("1D")
    if len(steps) and steps.min() == day and not (steps % day).any():
        ds = ds.reindex(time=pd.date_range(index[0], index[-1]))
    ds["basin"].attrs = {"cf_role": "timeseries_id", "long_name": "gauge"}
    ds["time"].attrs = dict(ATTRS["time"])
    return ds.transpose("basin", "time")


def _located(ds: xr.Dataset, given: Mapping[str, float | Mapping[str, float] | None]) -> xr.Dataset:
    gauges = [str(each) for each in ds["basin"].values]
    given = dict(given)
    for name, spelled in _PLACED.items():
        for column in [each for each in ds.data_vars if str(each).lower() in spelled]:
            of_gauge = ds[column].mean("time").to_series().to_dict()
            ds = ds.drop_vars([column])
            given[name] = of_gauge if given[name] is None else given[name]
    for name, value in given.items():
        if value is None:
            continue
        by_gauge = {str(key): each for key, each in value.items()} if hasattr(value, "items") else None
        if by_gauge is None and len(gauges) > 1:
            raise DescriptionError(
                f"{name} is {value!r}, and there are {len(gauges)} gauges; expected a value for each: "
                f"{name}={{{gauges[0]!r}: ..., {gauges[1]!r}: ...}}."
            )
        absent = [] if by_gauge is None else [gauge for gauge in gauges if gauge not in by_gauge]
        if absent:
            raise DescriptionError(
                f"{name} has no value for the gauge {absent[0]!r} ({len(absent)} of {len(gauges)} have "
                "none); expected one for each."
            )
        values = [value] if by_gauge is None else [by_gauge[gauge] for gauge in gauges]
        ds[name] = ("basin", np.array(values, dtype=float), dict(_PLACES[name]))
    return ds.set_coords([name for name in ("lat", "lon") if given[name] is not None])


def _in_units(ds: xr.Dataset, units: Mapping[str, str]) -> xr.Dataset:
    """Names, units and attributes of CF."""
    absent = [name for name in units if name not in ds]
    if absent:
        raise DescriptionError(
            f"units has {absent[0]!r}, and there is no such column of numbers; expected one of "
            f"{', '.join(map(repr, map(str, ds.data_vars)))}."
        )
    for column in [str(each) for each in ds.data_vars]:
        short, quantity = _SHORT.get(column.lower(), ("", None))
        if short and quantity_of(units.get(column, "")) == quantity and Inputs(ds).name(short) is None:
            ds = ds.rename({column: short})
            units = {**units, short: units[column]}
    for name in ds.data_vars:
        ds[name].attrs.setdefault("long_name", f"{name}, a column of the table")
        if name in units:
            ds[name].attrs["units"] = units[str(name)]
    inputs = Inputs(ds)
    played: dict[Hashable, str] = {name: role for role in _SERIES if (name := inputs.name(role)) is not None}
    played |= dict.fromkeys(inputs.rain_and_snow or (), "prcp")
    bare = [str(name) for name in played if "units" not in ds[name].attrs]
    if bare:
        raise UnitsError(
            f"the columns {', '.join(map(repr, bare))} have no units; expected some for each, in the header, "
            f"'{bare[0]} (...)', or here: units={{{', '.join(f'{name!r}: ...' for name in bare)}}}."
        )
    out = ds.drop_vars(list(played))
    for name, role in played.items():
        if name in (inputs.rain_and_snow or ()):
            out[name] = ds[name]
            continue
        try:
            array = _flow(ds, str(name)) if role == "streamflow" else inputs.required(role)
        except UnitsError as error:
            raise UnitsError(f"{error} For a table: units={{{str(name)!r}: ...}}.") from error
        out[role] = array.reset_coords(drop=True)
    return out


def _flow(ds: xr.Dataset, name: str) -> xr.DataArray:
    """Observed streamflow; discharge where there is no area, which may come later."""
    attrs = {"long_name": "observed streamflow per unit area"}
    units = str(ds[name].attrs["units"])
    if quantity_of(units) != "discharge" or "area" in ds:
        return observed_streamflow(ds, name).assign_attrs(attrs)
    factor, _ = factor_offset(units, "discharge", name=name)
    row = VARIABLES["discharge"]
    return (ds[name] * factor).assign_attrs(row.attrs() | {"long_name": "observed discharge of the river"})
