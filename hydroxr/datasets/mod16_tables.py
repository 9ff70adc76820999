"""Tables of MOD16: point samples and area statistics of AppEEARS, and means exported from Earth Engine."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DataFileError, DescriptionError
from .mod16_values import NAME, Product

_POINT = re.compile(r"(?P<product>M[OY]D16A[23](?:GF)?)_\d{3}_(?P<layer>P?ET)_500m")
_LAYER = re.compile(r"_(P?ET)_500m(?:_|$)")
_DATED = re.compile(r"(\d{4})_(\d{2})_(\d{2})")
_WIDE = re.compile(r"(\d{4}_\d{2}_\d{2})_(P?ET)(?:_500m|_mean)?")
_LABELS = ("basin", "basin_id", "gauge_id", "gauge", "hru_id", "id", "ID", "name")
_NO_LABELS = (
    "system:index",
    "system:time_start",
    ".geo",
    "date",
    "Date",
    "time",
    "ET",
    "PET",
    "LE",
    "PLE",
    "ET_QC",
)


def open_tables(files: list[Path], scale: float | None) -> xr.Dataset:
    """Tables as one Dataset, ``(basin, time)``, floating-point numbers in kg m-2 per step or before scaling.

    Raises
    ------
    DataFileError
        If a table is none of those that are understood, or a place has two values on a day.
    DescriptionError
        If ``scale`` is needed and not given.
    """
    read = [found for file in files if (found := _rows(file, scale)) is not None and len(found)]
    if not read:
        columns = ", ".join(map(repr, pd.read_csv(files[0], nrows=0).columns[:8]))
        raise DataFileError(
            f"{files[0]} has no column of ET or PET (it has {columns}); expected point samples "
            "('MOD16A2GF_061_ET_500m') or area statistics ('Dataset', 'Date', 'Mean') of AppEEARS, or means "
            "of Earth Engine ('system:index', 'ET')."
        )
    rows = pd.concat(read)
    products = sorted({*rows["product"].dropna()})
    if len(products) > 1:
        raise DataFileError(f"the tables belong to {', '.join(products)}; expected one product.")
    return _as_dataset(rows, products[0] if products else None)


def _rows(file: Path, scale: float | None) -> pd.DataFrame | None:
    """A row per basin, time and layer; None if the table has none of the layers."""
    try:
        table = pd.read_csv(file, encoding="utf-8-sig", dtype=dict.fromkeys(_LABELS, str))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataFileError(f"{file} cannot be read as a table: {error}") from error
    if any(_POINT.fullmatch(str(name)) for name in table.columns):
        return _points(table)
    if {"Mean", "Date"} <= {*table.columns}:
        return _statistics(table)
    return _of_earth_engine(file, table, scale)


def _as_dataset(rows: pd.DataFrame, product: str | None) -> xr.Dataset:
    """Rows of basin, time, layer, value (and lat, lon) by label and date."""
    rows = rows.dropna(subset=["value"]).drop_duplicates(["basin", "time", "layer", "value"])
    again = rows[rows.duplicated(["basin", "time", "layer"])]
    if len(again):
        first = again.iloc[0]
        raise DataFileError(
            f"{first['layer']} of {first['basin']} has two values on {str(first['time'])[:10]}; expected "
            "one. Is one name that of two places, or are rows repeated?"
        )
    out = xr.Dataset(attrs={} if product is None else {"product": product})
    for layer, part in rows.groupby("layer"):
        square = part.pivot(index="basin", columns="time", values="value")
        values = (("basin", "time"), square.to_numpy(dtype=float))
        out = out.merge(
            xr.Dataset(
                {f"{layer}_500m": values},
                {"basin": list(square.index), "time": pd.DatetimeIndex(square.columns)},
            ),
            join="outer",
        )
    if "lat" in rows:
        places = rows.groupby("basin")[["lat", "lon"]].first().loc[list(out["basin"].values)]
        for name, units in (("lat", "degrees_north"), ("lon", "degrees_east")):
            out = out.assign_coords({name: ("basin", places[name].to_numpy(float), {"units": units})})
    return out


def _points(table: pd.DataFrame) -> pd.DataFrame:
    """Point samples of AppEEARS: a column per layer, scaled; codes as they are or scaled."""
    parts = []
    for name in table.columns:
        match = _POINT.fullmatch(str(name))
        if match:
            codes = Product.of_name(match["product"]).codes
            values = table[name].where(~table[name].isin(codes))
            part = {"basin": table["ID"], "time": pd.to_datetime(table["Date"]), "value": values}
            part |= {"lat": table["Latitude"], "lon": table["Longitude"]}
            parts.append(pd.DataFrame(part).assign(layer=match["layer"], product=match["product"]))
    return pd.concat(parts)


def _statistics(table: pd.DataFrame) -> pd.DataFrame:
    """Area statistics of AppEEARS: a row per layer, area and date, scaled."""
    named = table.get("File Name", table.get("Dataset")).astype(str)
    layer = table.get("Dataset", named).astype(str).str.extract(_LAYER, expand=False)
    layer = layer.fillna(named.str.extract(_LAYER, expand=False))
    area = table["aid"] if "aid" in table else named.str.extract(r"(aid\d+)", expand=False)
    found = pd.DataFrame(
        {
            "basin": area.astype(str),
            "time": pd.to_datetime(table["Date"]),
            "value": table["Mean"],
            "layer": layer,
            "product": named.str.extract(f"({NAME.pattern})", expand=False),
        }
    )
    return found[layer.notna()]


def _of_earth_engine(file: Path, table: pd.DataFrame, scale: float | None) -> pd.DataFrame | None:
    """Means of ``reduceRegions``: a row per basin and date, or per basin with a column per date."""
    wide = [str(name) for name in table.columns if _WIDE.fullmatch(str(name))]
    bands = [name for name in ("ET", "PET") if name in table]
    if not wide and not bands:
        return None
    if scale is None:
        raise DescriptionError(
            f"{file} does not say whether its values are scaled; pass scale=0.1 if they are numbers of the "
            "collection as they are, scale=1 if they are mm (kg m-2)."
        )
    label = _label(file, [str(name) for name in table.columns if name not in wide])
    product = NAME.search(file.name)
    parts = []
    for name in wide or bands:
        match = _WIDE.fullmatch(name)
        time = pd.Timestamp(match[1].replace("_", "-")) if match else _dates(file, table)
        part = {"basin": table[label].astype(str), "time": time, "value": table[name] * scale}
        parts.append(pd.DataFrame(part).assign(layer=match[2] if match else name))
    return pd.concat(parts).assign(product=product[0] if product else None)


def _label(file: Path, columns: list[str]) -> str:
    """The column that names the basins."""
    named = [name for name in _LABELS if name in columns]
    others = [name for name in columns if name not in _NO_LABELS]
    if named or len(others) == 1:
        return (named or others)[0]
    raise DataFileError(
        f"{file} has the columns {', '.join(map(repr, others)) or 'none'} beside its values; expected one "
        "that names the basins. Rename it to 'basin'."
    )


def _dates(file: Path, table: pd.DataFrame) -> pd.Series:
    """The date of each row."""
    for name in ("date", "Date", "time"):
        if name in table:
            return pd.to_datetime(table[name]).dt.floor("D")
    if "system:time_start" in table:
        return pd.to_datetime(table["system:time_start"], unit="ms").dt.floor("D")
    dates = table.get("system:index", pd.Series(np.full(len(table), ""))).astype(str)
    found = dates.str.extract(_DATED)
    if found.isna().any(axis=None):
        raise DataFileError(
            f"{file} has no dates; expected a column 'date' or 'system:time_start', or 'system:index' that "
            "begins with the date of the image."
        )
    return pd.to_datetime(found[0] + "-" + found[1] + "-" + found[2])
