"""Files of every kind that hydroxr writes, and the IOOS compliance-checker to run on them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.models.ensemble import Ensemble
from tests.support.labelled import make_dataset, make_grid, make_parameters, untrained

VARIABLE = "HYDROXR_CF_CHECKER"
OWN = Path(__file__).parents[2] / ".venv-cf" / "bin" / "compliance-checker"
DERIVED = (
    "snow_water_equivalent",
    "terrestrial_water_storage",
    "terrestrial_water_storage_anomaly",
    "discharge",
    "baseflow_index",
)
PROJECTION = {
    "grid_mapping_name": "lambert_azimuthal_equal_area",
    "longitude_of_projection_origin": 10.0,
    "latitude_of_projection_origin": 52.0,
    "false_easting": 4321000.0,
    "false_northing": 3210000.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257222101,
}


def checker() -> Path:
    """Path of the checker; if it is missing, the test fails if it was promised, else it is skipped."""
    promised = os.environ.get(VARIABLE)
    path = Path(promised) if promised else OWN
    if path.is_file():
        return path
    if promised:
        pytest.fail(f"{VARIABLE} names {path}, which does not exist: run make cf")
    pytest.skip(f"no CF checker: run make cf, or name it in {VARIABLE}")


def check(files: Iterable[Path], standard: str, criteria: str, *options: str) -> tuple[int, dict[str, Any]]:
    """The checker's exit code for all files (0 clean, 1 findings, 2 crashed), and its report per file."""
    paths = [str(path) for path in files]
    command = [checker(), "-t", standard, "-c", criteria, "-f", "json_new", "-o", "-", *options, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = done.stdout
    assert text.startswith("{"), f"exit code {done.returncode}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    reports, _ = json.JSONDecoder().raw_decode(text)
    return done.returncode, {Path(path).stem: reports[path][standard] for path in paths}


def findings(report: dict[str, Any]) -> list[str]:
    """Faults that the checker found in a file."""
    return [
        f"{result['name']}: {message}"
        for priority in ("high_priorities", "medium_priorities", "low_priorities")
        for result in report[priority]
        for message in result["msgs"]
        if result["value"][0] < result["value"][1]
    ]


def with_area(ds: xr.Dataset) -> xr.Dataset:
    """Basins of 10, 20, 30 km2 with longitudes."""
    ds = ds.assign(area=("basin", 10.0 * np.arange(1, ds.sizes["basin"] + 1), {"units": "km2"}))
    return ds.assign_coords(lon=("basin", np.linspace(-80, -70, ds.sizes["basin"])))


def in_calendar(ds: xr.Dataset, calendar: str) -> xr.Dataset:
    """The same values on the days of another calendar."""
    days = xr.date_range("1999-10-01", periods=ds.sizes["time"], calendar=calendar, use_cftime=True)
    return ds.assign_coords(time=days)


def projected() -> xr.Dataset:
    """A grid with a grid mapping, and bounds of its rows."""
    ds = make_grid(60).rename(lat="y", lon="x")
    ds = ds.assign_coords(y=[2000.0, 1000.0], x=[500.0, 1500.0, 2500.0], laea=((), 0, PROJECTION))
    ds["y"].attrs = {"units": "m", "bounds": "y_bnds"}
    ds["y_bnds"] = (("y", "nv"), [[2500.0, 1500.0], [1500.0, 500.0]])
    ds["prcp"].attrs["grid_mapping"] = "laea"
    return ds


@cache
def results() -> dict[str, xr.Dataset]:
    """Results to write, by name."""
    ds = with_area(make_dataset(430))
    parameters = make_parameters(ds)
    gaps = ds.copy(deep=True)
    gaps["prcp"][0, 3] = np.nan
    out: dict[str, Any] = {"basins": ds.hbv.simulate(parameters), "input": ds, "parameters": parameters}
    out["filled"] = gaps.hbv.simulate(parameters, missing="fill")
    out["components"], out["state"] = ds.hbv.simulate(parameters, components=True, return_state=True)
    out["one_basin"] = out["basins"].isel(basin=0)
    out["balance"] = out["basins"].hbv.water_balance()
    out["scores"] = out["basins"].hbv.evaluate(ds)
    for kind, made in (("grid", make_grid(60)), ("projected", projected())):
        out[kind], out[f"{kind}_state"] = made.hbv.simulate(make_parameters(made), return_state=True)
    out["virtual"] = hx.virtual_continent(cells=4, years=1)
    models = [
        untrained(hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm"), seed=seed)
        for seed in (0, 1)
    ]
    out["ensemble"] = gaps.hbv.simulate(Ensemble(tuple(models)), missing="fill")
    out["members"] = ds.hbv.simulate(Ensemble(tuple(models)), members=True)
    out["dynamic_parameters"] = ds.hbv.parameters(models[0])
    out["lstm"] = ds.hbv.simulate(untrained(hx.LSTMStreamflow(forcing=("prcp", "tmean", "pet"), hidden=4)))
    for calendar in ("noleap", "360_day"):
        out[calendar] = in_calendar(ds, calendar).hbv.simulate(parameters)
    out["derived"] = out["basins"].hbv.derive(DERIVED, area=ds["area"])
    out["derived_filled"] = out["filled"].hbv.derive(DERIVED, area=ds["area"])
    out["months"] = out["derived"].hbv.aggregate_time("month")
    out["month_sums"] = out["derived_filled"].hbv.aggregate_time("month", fluxes="sum", states="mean")
    out["years"] = out["360_day"].hbv.aggregate_time("year", fluxes="sum", first_month=10)
    out["composites"] = out["noleap"].hbv.aggregate_time("8day", fluxes="sum")
    out["grid_months"] = out["grid"].hbv.aggregate_time("month")
    out["evapotranspiration"] = hx.compare.evapotranspiration(out["basins"], out["basins"])
    out["bfi"] = hx.compare.baseflow(out["basins"], out["derived"]["baseflow_index"])
    return out


@cache
def write_all(folder: Path) -> tuple[Path, ...]:
    """Write every result as a file; some also packed, rounded or by way of Zarr."""
    made = results()
    paths = [ds.hbv.to_netcdf(folder / f"{name}.nc") for name, ds in made.items()]
    paths.append(made["basins"].hbv.to_netcdf(folder / "packed.nc", packed=True))
    paths.append(made["basins"].hbv.to_netcdf(folder / "rounded.nc", keep_bits=8))
    for name, zarr_format in (("derived_filled", 3), ("projected", 3), ("360_day", 2), ("months", 3)):
        store = folder / f"{name}.zarr"
        made[name].hbv.to_zarr(store, zarr_format=zarr_format)
        with xr.open_zarr(store) as opened:
            paths.append(opened.isel(time=slice(2, 7)).hbv.to_netcdf(folder / f"zarr_{name}.nc"))
    return tuple(paths)


def by_xarray_alone(store: Path, path: Path) -> Path:
    """Write a few steps of a store to NetCDF without hydroxr, coordinates without xarray's ``_FillValue``."""
    with xr.open_zarr(store) as opened:
        part = opened.isel(time=slice(2, 7)).load()
        encoding: dict[str, dict[str, Any]] = {str(name): {"_FillValue": None} for name in part.coords}
        for name in ("time", "time_bnds"):
            encoding[name] |= {"units": opened["time"].encoding["units"]}
        part.to_netcdf(path, encoding=encoding)
    return path
