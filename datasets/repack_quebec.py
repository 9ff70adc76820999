"""Make quebec.nc, the sample that comes with hydroxr, from the CSV files of HOLMES.

Usage: ``python repack_quebec.py FOLDER [OUTPUT]``, where FOLDER holds ``<name>_Observations.csv`` of the
three catchments and ``<name>_CemaNeigeInfo.csv`` of those with snow. OUTPUT is ``quebec.nc`` beside this
script if it is not given. The same input gives the same file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hydroxr.conventions.variables import VARIABLES

HERE = Path(__file__).parent
NAMES = ("Au Saumon", "Baskatong", "Leaf")

# Column of the CSV files -> variable. P, E0 and Qo are in mm/day, which is kg m-2 day-1 in number; T in degC.
COLUMNS = {"P": "prcp", "T": "tmean", "E0": "pet", "Qo": "streamflow"}


def read_observations(folder: Path) -> xr.Dataset:
    """Read the daily series on the days of all catchments together, NaN where there is no record.

    Returns
    -------
    xarray.Dataset
        Dimensions ``(basin, time)``, float32.
    """
    basins = []
    for name in NAMES:
        table = pd.read_csv(folder / f"{name}_Observations.csv", index_col="Date", parse_dates=True)
        if not table.index.is_unique or not table.index.is_monotonic_increasing:
            raise ValueError(f"{name}: days are repeated or unsorted")
        table = table.reindex(columns=list(COLUMNS)).rename(columns=COLUMNS).rename_axis("time")
        basins.append(table.astype(np.float32).to_xarray())
    ds = xr.concat(basins, dim="basin", join="outer", data_vars="all", coords="minimal", compat="equals")
    days = pd.date_range(ds["time"].values[0], ds["time"].values[-1])
    whole: xr.Dataset = ds.reindex(time=days.rename("time").as_unit("ns"))
    return whole


def read_info(folder: Path, name: str) -> tuple[float, float]:
    """Latitude [degrees_north] and median elevation [m] of a catchment; NaN where the source has none."""
    path = folder / f"{name}_CemaNeigeInfo.csv"
    if not path.exists():
        return float("nan"), float("nan")
    info = dict(line.split(",", 1) for line in path.read_text(encoding="utf-8").split())
    return float(info["Lat"]), float(info["Z50"])


def describe(ds: xr.Dataset, license_text: str) -> None:
    """Give the Dataset its CF attributes, in place."""
    for name in COLUMNS.values():
        attrs: dict[str, Any] = VARIABLES[name].attrs()
        # CF wants limits in the type of the values that they limit.
        attrs |= {key: np.float32(attrs[key]) for key in ("valid_min", "valid_max") if key in attrs}
        ds[name].attrs = attrs
    ds["tmean"].attrs["units_metadata"] = "temperature: on_scale"
    ds["streamflow"].attrs["long_name"] = "observed streamflow per unit area"
    ds["elev_median"].attrs = {"long_name": "median elevation of the catchment", "units": "m"}
    ds["lat"].attrs = VARIABLES["lat"].attrs() | {"long_name": "latitude of the catchment"}
    ds["basin"].attrs = {"long_name": "number of the catchment"}
    ds["basin_id"].attrs = {"long_name": "name of the catchment", "cf_role": "timeseries_id"}
    ds["time"].attrs = {"standard_name": "time", "long_name": "day", "axis": "T"}
    ds["time"].attrs["units_metadata"] = "leap_seconds: none"
    ds.attrs = {
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "title": "Daily forcing and streamflow of the catchments Au Saumon, Baskatong and Leaf",
        "institution": "Université Laval",
        "source": "HOLMES (holmes-hydro 3.5.0), Université Laval, https://github.com/antoinelb/holmes",
        "history": "repacked from the CSV files of the source by repack_quebec.py of hydroxr",
        "license": license_text,
    }


def main(folder: Path, output: Path) -> None:
    """Read the folder, write the file."""
    info = [read_info(folder, name) for name in NAMES]
    ds = read_observations(folder).assign_coords(
        basin=np.arange(len(NAMES), dtype=np.int32),
        basin_id=("basin", np.array(NAMES, dtype=object)),
        lat=("basin", np.array([lat for lat, _ in info])),
    )
    ds["elev_median"] = ("basin", np.array([elevation for _, elevation in info], np.float32))
    describe(ds, (HERE / "LICENSE.quebec").read_text(encoding="utf-8").strip())
    packed = {"zlib": True, "complevel": 9, "shuffle": True, "_FillValue": np.float32(np.nan)}
    encoding: dict[str, dict[str, Any]] = {name: dict(packed) for name in COLUMNS.values()}
    encoding["elev_median"] = {"_FillValue": np.float32(np.nan)}
    encoding |= {str(name): {"_FillValue": None} for name in ds.coords}
    encoding["time"] |= {"units": "days since 1957-01-01", "calendar": "standard", "dtype": "int32"}
    ds.to_netcdf(output, engine="netcdf4", encoding=encoding)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "quebec.nc")
