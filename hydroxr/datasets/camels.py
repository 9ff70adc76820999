"""CAMELS-US as a labelled Dataset, from a compact NetCDF file or from the published files.

Both give the same names, units and labels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.labels import labelled
from ..errors import DataFileError, EmptySelectionError
from .camels_published import check_known, find_layout, open_published
from .camels_variables import ATTRS, TABLES

# Forcing product -> its folder in the published set, and its title.
_PRODUCTS = {
    "daymet": ("daymet", "Daymet"),
    "nldas": ("nldas", "NLDAS"),
    "maurer": ("maurer_extended", "Maurer"),
    "maurer_extended": ("maurer_extended", "Maurer"),
}

_REFERENCES = (
    "Newman et al. (2015), doi:10.5194/hess-19-209-2015; Addor et al. (2017), doi:10.5194/hess-21-5293-2017"
)


def open_camels(
    path: str | os.PathLike[str],
    forcing: str = "daymet",
    basins: Iterable[str | int] | str | int | None = None,
) -> xr.Dataset:
    """Open the CAMELS-US catchments: forcing, observed streamflow and attributes.

    Parameters
    ----------
    path : path
        A compact NetCDF file; a folder with exactly one; or a folder with the published set:
        ``basin_mean_forcing`` and ``usgs_streamflow`` (with or without a folder per region, possibly inside
        ``basin_dataset_public_v1p2``), and ``camels_attributes_v2.0``.
    forcing : {"daymet", "nldas", "maurer"}
        The forcing product. A compact file holds only one.
    basins : str, int or iterable of these, optional
        Gauges with eight digits (integers are padded with zeros); default: all. The result keeps the order of
        the files.

    Returns
    -------
    xarray.Dataset
        ``(basin, time)``: ``prcp`` [kg m-2 day-1, equal to mm/day], ``tmin`` and ``tmax`` [degC], ``srad``
        [W m-2], ``vp`` [Pa], ``dayl`` [s], and ``streamflow`` over ``area_gages2`` [kg m-2 day-1], missing
        where not observed. ``(basin)``: attributes of the catchments with their units, and the coordinates
        ``basin_name``, ``lat`` and ``lon``. ``basin`` has the gauges: ``ds.sel(basin="01022500")``. Missing
        text is ``""``.

        A compact file is opened lazily, with values as stored. The published files are read into memory. They
        have two more variables: ``swe`` [kg m-2] and ``streamflow_flag``, the quality of streamflow (see its
        ``flag_meanings``; "missing" without a record). Their time axis is the union of the forcing days of
        all basins; streamflow of other days is left out.

    Raises
    ------
    DataFileError
        If files are absent, damaged or not as published, or hold another forcing product; or if ``forcing``
        or ``basins`` are unknown.
    EmptySelectionError
        If ``basins`` is empty.

    Notes
    -----
    The NLDAS files published with CAMELS have tmin = tmax on every day. Files like that give ``tmean`` in
    place of both, from which ``ds.hbv.pet`` computes Oudin's PET: without a daily range, Hargreaves is 0.

    Sources: Newman et al. (2015), https://doi.org/10.5194/hess-19-209-2015; Addor et al. (2017),
    https://doi.org/10.5194/hess-21-5293-2017.

    Examples
    --------
    >>> ds = open_camels("camels_us", basins=["01022500", "03015500"])  # doctest: +SKIP
    """
    if forcing.lower() not in _PRODUCTS:
        raise DataFileError(
            f"forcing={forcing!r} is not a product of CAMELS-US; expected one of {', '.join(_PRODUCTS)}."
        )
    folder, product = _PRODUCTS[forcing.lower()]
    wanted = None if basins is None else _gauges(basins)
    place = Path(path).expanduser()
    if not place.exists():
        raise DataFileError(
            f"{place}: there is no such file or folder; expected CAMELS-US as a NetCDF file or a folder. "
            "Correct the path."
        )
    layout = find_layout(place) if place.is_dir() else None
    if layout is None:
        ds = _open_compact(_compact_file(place), product, wanted)
    else:
        columns = {
            table: {name: units is None for name, (units, _) in rows.items()}
            for table, rows in TABLES.items()
        }
        ds = open_published(layout, folder, product, columns, wanted)
    return labelled(_describe(ds))


def _describe(ds: xr.Dataset) -> xr.Dataset:
    """Set the attributes of a Dataset and its variables in place, except variables in unexpected units."""
    for name, variable in ds.variables.items():
        attrs = ATTRS.get(str(name))
        if attrs is not None and variable.attrs.get("units") in (None, attrs.get("units")):
            variable.attrs = attrs | _rounding(variable.attrs)
            for limit in {"valid_min", "valid_max"} & attrs.keys():
                variable.attrs[limit] = variable.dtype.type(attrs[limit])  # CF: same type as the values
    ds.attrs["references"] = _REFERENCES
    return ds


def _gauges(basins: Iterable[str | int] | str | int) -> set[str]:
    """The gauges of ``basins``, with eight digits."""
    named = [basins] if isinstance(basins, (str, int, np.integer)) else list(basins)
    if not named:
        raise EmptySelectionError("basins=[] selects nothing; expected at least one gauge, or None for all.")
    return {str(np.asarray(gauge).item()).zfill(8) for gauge in named}


def _compact_file(path: Path) -> Path:
    """The path, or the only NetCDF file in that folder."""
    if path.is_file():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix in (".nc", ".nc4"))
    if len(found) == 1:
        return found[0]
    held = f"{len(found)} NetCDF files ({', '.join(file.name for file in found)})" if found else "neither"
    raise DataFileError(
        f"{path}: holds {held}; expected either a folder basin_mean_forcing (CAMELS-US as published) or "
        "exactly one compact NetCDF file. Pass the path of the file, or of the folder above "
        "basin_mean_forcing."
    )


def _open_compact(path: Path, product: str, wanted: set[str] | None) -> xr.Dataset:
    """Open a compact file lazily; variables keep their attributes."""
    try:
        ds = xr.open_dataset(path, engine="netcdf4")
    except (OSError, ValueError) as error:
        raise DataFileError(
            f"{path}: cannot be opened as NetCDF ({error}); expected a compact file of CAMELS-US. "
            "Download it again, or correct the path."
        ) from error
    try:
        _check_compact(ds, path, product)
        # Read labels now: in memory they cannot change with the file.
        ids = ds["basin_id"].values.astype(str)
        if wanted is not None:
            check_known(wanted, ids, path)
    except DataFileError:
        ds.close()
        raise
    for variable in ds.variables.values():
        if "scale_factor" in variable.encoding:
            # If values were packed again when written, valid_min and valid_max would count as packed too.
            for key in ("scale_factor", "add_offset", "dtype", "_FillValue"):
                variable.encoding.pop(key, None)
    if wanted is None:
        return ds
    chosen = ds.isel(basin=np.flatnonzero(np.isin(ids, list(wanted))))
    chosen.set_close(ds.close)
    return chosen


def _check_compact(ds: xr.Dataset, path: Path, product: str) -> None:
    """Require a compact file of the forcing product."""
    needed = ("basin_id", "prcp", "tmin", "tmax", "streamflow")
    absent = [name for name in needed if name not in ds.variables]
    if absent or set(ds["prcp"].dims) != {"basin", "time"}:
        found = f"has no {', '.join(absent)}" if absent else f"has prcp on {ds['prcp'].dims}"
        raise DataFileError(
            f"{path}: {found}; expected a compact file of CAMELS-US with {', '.join(needed)} on "
            "(basin, time). Open other files with xarray."
        )
    title = str(ds.attrs.get("title", ""))
    # A file with a title that names no product counts as Daymet, the most common one.
    held = {name for _, name in _PRODUCTS.values() if name.lower() in title.lower()} or {"Daymet"}
    if product not in held:
        raise DataFileError(
            f"{path}: holds {', '.join(held)} forcing (title {title!r}); expected {product} forcing. "
            "Open the published files, or choose the forcing of the file."
        )


def _rounding(attrs: dict[Any, Any]) -> dict[str, str]:
    """A comment on the rounding of a variable, from the attribute that the NetCDF library sets."""
    bits = attrs.get("_QuantizeBitRoundNumberOfSignificantBits")
    if bits is None:
        return {"comment": str(attrs["comment"])} if "comment" in attrs else {}
    error = 2.0 ** -(int(bits) + 1)  # half of the last bit that is kept
    return {"comment": f"stored with {bits} significant bits: relative error up to {error:.1%}"}
