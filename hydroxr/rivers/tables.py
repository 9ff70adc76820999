"""Tables of river networks as their sources publish them: NHDPlus, MERIT-Basins, HydroBASINS, HydroRIVERS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import DataFileError, DescriptionError, MissingVariableError
from .checks import COLUMNS, REACH

# Columns, in lower case, by what they hold; a unit if the source states it.
_LABELS = ("reach", "comid", "hyriv_id", "hybas_id", "linkno")
_BELOW = ("downstream", "nextdownid", "next_down", "dslinkno")
_UNITS = {
    "lengthkm": ("length", "km"),
    "length_km": ("length", "km"),
    "unitarea": ("area", "km2"),
    "areasqkm": ("area", "km2"),
    "catch_skm": ("area", "km2"),
    "sub_area": ("area", "km2"),
}


def dataset_of(source: Any, units: Mapping[str, str] | None = None) -> xr.Dataset:
    """The Dataset of a network from a DataFrame, a GeoDataFrame, a CSV file or a Dataset."""
    if isinstance(source, xr.Dataset):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not path.is_file():
            raise DataFileError(f"{path} does not exist; expected a CSV file with a line per reach.")
        source = pd.read_csv(path)
    if not isinstance(source, pd.DataFrame):
        raise DescriptionError(
            f"a river network cannot be made from {type(source).__name__}; expected a Dataset, a DataFrame, "
            "a GeoDataFrame or the path of a CSV file."
        )
    return _of_frame(source, dict(units or {}))


def _of_frame(frame: pd.DataFrame, units: dict[str, str]) -> xr.Dataset:
    frame = frame if frame.index.name is None else frame.reset_index()
    names = {str(name).lower(): name for name in frame.columns}
    reach = _first(names, _LABELS, frame, "labels of the reaches")
    below = _first(names, _BELOW, frame, "label of the reach below")
    out = xr.Dataset(coords={REACH: frame[reach].to_numpy()})
    out["downstream"] = (REACH, _plain(frame[below]))
    for key, column in names.items():
        name, unit = _UNITS.get(key, (key, units.get(key)))
        if name in COLUMNS and name not in out:
            out[name] = (REACH, frame[column].to_numpy(), {"units": unit} if unit else {})
    points = _points(frame)
    return out if points is None else out.assign_coords(points)


def _first(names: dict[str, Any], known: tuple[str, ...], frame: pd.DataFrame, what: str) -> Any:
    found = next((names[name] for name in known if name in names), None)
    if found is None:
        raise MissingVariableError(
            f"no column holds the {what} ({', '.join(known)}, in any case); the table has "
            f"{', '.join(map(str, frame.columns))}. Rename it: frame.rename(columns={{...: {known[0]!r}}})."
        )
    return found


def _plain(column: pd.Series) -> np.ndarray:
    """Values without pandas' own types."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float, na_value=np.nan) if column.isna().any() else column.to_numpy()
    return column.astype(object).where(column.notna(), "").to_numpy(dtype=object)


def _points(frame: pd.DataFrame) -> dict[str, Any] | None:
    """A point on each reach, if the table has lines in longitude and latitude."""
    crs, lines = getattr(frame, "crs", None), getattr(frame, "geometry", None)
    if lines is None or crs is None or not crs.is_geographic:
        return None
    points = lines.representative_point()
    return {"lat": (REACH, points.y.to_numpy()), "lon": (REACH, points.x.to_numpy())}
