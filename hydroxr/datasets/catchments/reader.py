"""One interface to published data sets of catchments."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import dask
import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr

from ...conventions.units import DISCHARGE_TO_DEPTH, convert, quantity_of
from ...conventions.variables import VARIABLES
from ...conventions.weather import ROLES
from ...errors import DataFileError, DescriptionError
from ..camels import open_camels
from ..camels_published import find_layout
from ..camels_variables import ATTRS
from .files import Table, column_of, files_of, header_of, read_series, read_tables, read_wide, span_of
from .layouts import LAYOUTS, CatchmentLayout, Series

_CAMELS_US = "camels-us"


def open_catchments(
    folder: str | os.PathLike[str],
    dataset: str | None = None,
    *,
    basins: Iterable[str] | str | None = None,
    attributes: Literal["own", "camels-us"] = "own",
) -> xr.Dataset:
    """Open a published data set of catchments; series are read when they are computed.

    Parameters
    ----------
    folder : path
        The folder of the data set as unpacked, or the NetCDF or CSV file of one basin of Caravan.
    dataset : {"camels-us", "camels-gb", "camels-ch", "camels-de", "camels-fr", "camels-aus", "camels-br", \
"camels-cl", "lamah-ce", "caravan"}, optional
        Default: recognised by the files.
    basins : str or iterable of str, optional
        Gauges as the files name them; default: all with series.
    attributes : {"own", "camels-us"}
        Names of the attributes. With "camels-us", attributes with the meaning and units of one of CAMELS-US
        (Table A1 of Feng et al. 2022) have its name; others keep their own.

    Returns
    -------
    Dataset
        ``(basin, time)``, what the data set has of: ``prcp``, ``pet`` and ``streamflow`` [kg m-2 day-1, equal
        to mm/day], ``tmean``, ``tmin`` and ``tmax`` [degC], and weather for formulas of PET, see
        ``ds.hbv.pet``. ``(basin)``: attributes; ``area`` [km2]; the coordinates ``lat``, ``lon`` and
        ``basin_name``. ``basin`` has the gauges. An attribute that means the same as one of CAMELS-US names
        it in its attribute ``camels_us_name``. Empty fields are missing values.

    Raises
    ------
    DataFileError
        If the folder is absent or not recognised, or a file is not in the layout of its data set.
    DescriptionError
        If ``dataset`` is unknown.

    Notes
    -----
    Layouts and their versions: CAMELS-US 1.2 (see :func:`open_camels`, with Daymet), CAMELS-GB 1, CAMELS-CH
    0.9, CAMELS-DE 1.0, CAMELS-FR 3, CAMELS-AUS 1 and 2, CAMELS-BR 1.2, CAMELS-CL 2018, LamaH-CE 1.0
    (catchments A), Caravan up to 1.6. PET is that of the data set; where it has several: Morton's wet-area
    PET (CAMELS-AUS), Oudin (CAMELS-FR), Hargreaves (CAMELS-CL, CAMELS-DE), GLEAM (CAMELS-BR). Caravan before
    1.5 has no usable PET, and LamaH-CE has none: ``ds.hbv.pet`` computes Hargreaves. ``comment`` and
    ``references`` say what was read.

    Examples
    --------
    >>> ds = hx.open_catchments("Caravan", basins=["camels_01022500"])  # doctest: +SKIP
    """
    if dataset is not None and dataset not in (_CAMELS_US, *LAYOUTS):
        known = ", ".join(map(repr, (_CAMELS_US, *LAYOUTS)))
        raise DescriptionError(f"dataset={dataset!r} is no known data set; expected one of {known}.")
    place = Path(folder).expanduser()
    if not place.exists():
        raise DataFileError(f"{place}: there is no such file or folder. Correct the path.")
    chosen = (
        None if basins is None else [basins] if isinstance(basins, str) else [str(each) for each in basins]
    )
    if dataset == _CAMELS_US or (dataset is None and place.is_dir() and find_layout(place) is not None):
        return open_camels(place, basins=chosen)
    found = _found(place, dataset)
    ds = found.series(chosen)
    ds = ds.assign(found.attributes(list(ds["basin"].values)))
    ds = _finished(ds, found.layout)
    if attributes == "camels-us":
        same = {name: ds[name].attrs["camels_us_name"] for name in ds if "camels_us_name" in ds[name].attrs}
        ds = ds.rename({name: new for name, new in same.items() if new not in ds})
    return ds


@dataclass(frozen=True)
class _Found:
    """The files of a data set: each family of series with its files by gauge, and the attributes."""

    layout: CatchmentLayout
    families: list[tuple[Series, dict[str, Path]]]
    table: Table

    def series(self, basins: list[str] | None) -> xr.Dataset:
        """Series of all roles that the files have, lazily."""
        gauges = self._gauges(basins)
        days = self._days(gauges)
        coords = {"basin": np.array(gauges, dtype=str), "time": days}
        out: dict[str, xr.DataArray] = {}
        for series, files in self.families:
            wide = "" in files
            columns = _columns(series, next(iter(files.values())), wide, out)
            if not columns:
                continue
            if wide:
                block = dask.delayed(read_wide)(files[""], series, gauges, days)
                arrays = [da.from_delayed(block, (len(gauges), len(days)), np.float32)]
            else:
                arrays = _by_gauge(series, files, gauges, list(columns), days)
            for (role, units), values in zip(columns.values(), arrays, strict=True):
                out[role] = xr.DataArray(values, coords, ("basin", "time"), role, {"units": units})
        return xr.Dataset(out)

    def _gauges(self, basins: list[str] | None) -> list[str]:
        series, files = self.families[0]
        known = list(files)
        if "" in files:
            known = [name for name in header_of(files[""]) if name not in series.date]
        if basins is None:
            return known
        absent = [gauge for gauge in basins if gauge not in set(known)]
        if absent:
            raise DataFileError(
                f"{self.layout.title} has no series of the basin {absent[0]!r} here ({len(absent)} are "
                f"absent); its gauges are named like {known[0]!r}. Correct basins=."
            )
        return [gauge for gauge in known if gauge in set(basins)]

    def _days(self, gauges: list[str]) -> pd.DatetimeIndex:
        """All days from the first to the last of any file."""
        files = [
            (path, series)
            for series, by_gauge in self.families
            for path in ([by_gauge[""]] if "" in by_gauge else [by_gauge[g] for g in gauges if g in by_gauge])
        ]
        spans = [span_of(path, series) for path, series in files]
        first, last = min(span[0] for span in spans), max(span[1] for span in spans)
        return pd.date_range(first, last, name="time")

    def attributes(self, gauges: list[str]) -> dict[str, xr.DataArray]:
        """All attributes of the gauges, under their own names."""
        names = dict.fromkeys(name for gauge in gauges for name in self.table.get(gauge, {}))
        return {name: xr.DataArray(column_of(self.table, gauges, name), dims="basin") for name in names}


def _columns(series: Series, path: Path, wide: bool, taken: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The columns of a family to read: one for each role that is not taken."""
    if wide:
        return {name: row for name, row in series.columns.items() if row[0] not in taken}
    header, roles = header_of(path), set(taken)
    out = {}
    for name, (role, units) in series.columns.items():
        if name in header and role not in roles:
            out[name] = (role, units)
            roles.add(role)
    return out


def _by_gauge(
    series: Series, files: Mapping[str, Path], gauges: list[str], columns: list[str], days: pd.DatetimeIndex
) -> list[da.Array]:
    """(basin, time) of each column, from a task per gauge."""
    shape = (len(columns), len(days))
    read = dask.delayed(read_series)
    blocks = [
        da.from_delayed(read(files[gauge], series, columns, days), shape, np.float32)
        if gauge in files
        else da.full(shape, np.nan, dtype=np.float32)
        for gauge in gauges
    ]
    whole = da.stack(blocks)
    return [whole[:, place] for place in range(len(columns))]


def _found(place: Path, dataset: str | None) -> _Found:
    """The data set in a folder, or the one basin of Caravan in a file."""
    if place.is_file():
        layout = LAYOUTS["caravan"]
        # Root/timeseries/netcdf/dataset/gauge.nc
        roots = [root for root in place.parents[:4] if (root / "attributes").is_dir()]
        table = _table(layout, roots[0]) if roots else {}
        series = next((each for each in layout.series if each.pattern.endswith(place.suffix or ".")), None)
        if series is None or not ({*series.columns} - {"streamflow"}) & {*header_of(place)}:
            raise DataFileError(
                f"{place}: is no file of Caravan; expected one, or the folder of a data set. A table of your "
                "own is read by hx.open_table(path, units=...)."
            )
        return _Found(layout, [(series, {place.stem: place})], table)
    names = list(LAYOUTS) if dataset is None else [dataset]
    for name in names:
        layout = LAYOUTS[name]
        families = [(series, files) for series in layout.series if (files := files_of(series, place))]
        needed = [series for series in layout.series if series.needed]
        if families and all(any(series is each for each, _ in families) for series in needed):
            return _Found(layout, families, _table(layout, place))
    titles = ", ".join(LAYOUTS[name].title for name in names)
    raise DataFileError(
        f"{place}: holds no series in the layout of {titles}{'' if dataset else ' or CAMELS-US'}; expected "
        f"the folder as unpacked, with files such as {LAYOUTS[names[0]].series[0].pattern}. Correct the "
        "path, or open the files with xarray."
    )


def _table(layout: CatchmentLayout, folder: Path) -> Table:
    paths = [path for pattern in layout.tables for path in sorted(folder.glob(pattern))]
    return read_tables(paths, layout.gauge, layout.transposed)


def _finished(ds: xr.Dataset, layout: CatchmentLayout) -> xr.Dataset:
    """Names, units and attributes of CF."""
    same = {layout.names.get(name, name): known for name, known in layout.same.items()}
    ds = ds.rename({name: new for name, new in layout.names.items() if name in ds and name != new})
    for name, array in ds.data_vars.items():
        if array.dims != ("basin",):
            continue
        known = same.get(str(name))
        array.attrs = {"long_name": f"{name}, an attribute of {layout.title}"}
        if known is not None:
            array.attrs = ATTRS[known] | {"camels_us_name": known}
        elif name in ATTRS and name in layout.names.values():
            array.attrs = dict(ATTRS[str(name)])
    if "area" in ds:
        ds["area"].attrs |= {"long_name": "catchment area", "units": "km2"}
    for role in [str(name) for name in ds.data_vars if "time" in ds[name].dims]:
        array = ds[role]
        if quantity_of(array.attrs["units"]) == "discharge":
            if "area" not in ds:
                continue  # stays in m3 s-1, which the caller can convert with an area
            array = (array * DISCHARGE_TO_DEPTH / ds["area"]).astype("float32").assign_attrs(units="mm/day")
        ds[role] = convert(array, ROLES[role])
    if "streamflow" in ds and ds["streamflow"].attrs["units"] == VARIABLES["streamflow"].units:
        ds["streamflow"].attrs["long_name"] = "observed streamflow per unit area"
    ds["basin"].attrs = {"cf_role": "timeseries_id", "long_name": f"gauge of {layout.title}"}
    ds["time"].attrs = dict(ATTRS["time"])
    ds.attrs = {
        "title": f"{layout.title}, {ds.sizes['basin']} basins",
        "source": f"{layout.title}, layout of version {layout.version}",
        "references": layout.reference,
    }
    return ds.set_coords([name for name in ("basin_name", "lat", "lon") if name in ds])
