"""What the commands of ``python -m hydroxr`` do."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import xarray as xr

from . import inputs
from .camels import open_camels
from .description import DeltaHBV
from .errors import DataFileError, EmptySelectionError
from .fit import select_time
from .model import Model, load_model
from .samples import open_sample

_DEMO_TRAINING = slice("1980-01-01", "1994-05-25")  # the first 60 % of the record
_DEMO_TEST = slice("1994-05-26", "2003-12-31")
_DEMO_YEAR = slice("1997-09-01", "1998-12-31")  # shown in the picture


def fit(given: Namespace) -> None:
    """Train a model and save it."""
    ds = open_data(given.data)
    spec = DeltaHBV(given.components, tuple(given.dynamic), given.network, given.hidden, given.dropout)
    model = ds.hbv.fit(spec, time=given.time, iterations=given.iterations, batch=given.batch, seed=given.seed)
    model.save(given.out)
    last = float(np.mean(model.history["loss"].values[-50:]))
    print(
        f"{model}\nloss {last:.3f} after {model.training['iterations']} iterations, "
        f"{model.training['seconds']:.0f} s\nmodel: {given.out}"
    )


def simulate(given: Namespace) -> None:
    """Simulate with a model and write the result."""
    ds = open_data(given.data)
    model = load_model(given.model)
    if given.gauged:
        ds = only_gauged(ds)
    started = time.perf_counter()
    sim = run_period(ds, model, given.time, given.variables)
    write = sim.hbv.to_netcdf if given.out.suffix == ".nc" else sim.hbv.to_zarr
    write(given.out, overwrite=given.overwrite, progress=True)
    print(f"{_size(sim)}, {time.perf_counter() - started:.0f} s\nresult: {given.out}")


def evaluate(given: Namespace) -> None:
    """Print how a simulation compares with observations."""
    sim = open_result(given.simulation)
    metrics = sim.hbv.evaluate(open_data(given.observed), time=given.time).compute()
    counted = int(metrics["nse"].notnull().sum())
    print(f"{counted} cells with observations; over them:\n")
    print(f"{'':>10}  {'median':>8}  {'lower 25 %':>10}  {'upper 25 %':>10}")
    for name in ("nse", "kge", "r", "alpha", "beta", "log_nse", "flv", "fhv", "pbias"):
        low, median, high = metrics[name].quantile([0.25, 0.5, 0.75], skipna=True).values
        print(f"{name:>10}  {median:8.3f}  {low:10.3f}  {high:10.3f}")
    if given.out:
        metrics.hbv.to_netcdf(given.out, overwrite=True)
        print(f"\nall cells: {given.out}")


def demo(given: Namespace) -> None:
    """Fit the embedded catchments, simulate, write, report, draw."""
    import matplotlib

    matplotlib.use("Agg")
    ds = open_sample()
    print(f"Two real catchments: {', '.join(map(str, ds.basin_id.values))}, {_span(ds)}.")
    print(f"Fitting HBV with 16 components a catchment to {_DEMO_TRAINING.start} to {_DEMO_TRAINING.stop}:")
    model = ds.hbv.fit(DeltaHBV(components=16, network="constant"), time=_DEMO_TRAINING)
    sim = ds.hbv.simulate(model)
    paths = {
        "model": model.save(given.out / "model"),
        "Zarr store": sim.hbv.to_zarr(given.out / "simulation.zarr", overwrite=True),
        "NetCDF file": sim.hbv.to_netcdf(given.out / "simulation.nc", overwrite=True),
        "hydrograph": given.out / "hydrograph.png",
    }
    axes = sim.isel(basin=0).hbv.plot.hydrograph(ds.isel(basin=0), time=_DEMO_YEAR)
    axes[0].figure.savefig(paths["hydrograph"], dpi=150)
    metrics = sim.hbv.evaluate(ds, time=_DEMO_TEST)
    balance = sim.hbv.water_balance()
    print(
        f"\nOn years that were not trained on, {_DEMO_TEST.start} to {_DEMO_TEST.stop}, and the water "
        f"balance of all {ds.sizes['time']} days:\n"
    )
    print(
        f"{'catchment':<12}{'NSE':>7}{'KGE':>7}{'P':>9}{'ET':>9}{'Q':>9}{'storage':>9}{'does not close':>16}"
    )
    for place, name in enumerate(ds.basin_id.values):
        row = balance.isel(basin=place)
        scores = f"{metrics.nse.values[place]:7.2f}{metrics.kge.values[place]:7.2f}"
        sums = "".join(
            f"{float(row[part]):9.0f}"
            for part in ("precipitation", "evapotranspiration", "streamflow", "storage_change")
        )
        print(f"{name:<12}{scores}{sums}{float(row['residual']):13.4f} mm")
    print()
    for name, path in paths.items():
        print(f"{name + ':':<13}{path}")


def run_period(
    ds: xr.Dataset, model: Model, period: slice | None, variables: list[str] | None = None
) -> xr.Dataset:
    """Simulate ``period`` after a warm-up with all days before it.

    The water balance of the result starts with its first day: the days before end in a state
    from which the period is a run of its own.
    """
    if period is None:
        return ds.hbv.simulate(model, variables=variables)
    first = select_time(ds, period).indexes["time"][0]
    place = ds.indexes["time"].get_loc(first)
    if place == 0:
        return select_time(ds, period).hbv.simulate(model, variables=variables)
    _, state = ds.isel(time=slice(0, place)).hbv.simulate(model, variables=[], return_state=True)
    return select_time(ds, period).hbv.simulate(model, initial_state=state, variables=variables)


def only_gauged(ds: xr.Dataset) -> xr.Dataset:
    """The cells that have any observed streamflow.

    Raises
    ------
    EmptySelectionError
        Where there are none, or space has several dimensions.
    """
    observed = inputs.observed_streamflow(ds)
    space = inputs.space_dims(ds)
    if len(space) != 1:
        raise EmptySelectionError(
            f"cells can be left out of one dimension of space only, and there are {len(space)}: "
            f"{', '.join(map(str, space))}."
        )
    gauged = observed.notnull().any("time").values
    if not gauged.any():
        raise EmptySelectionError("no cell has observed streamflow.")
    return ds.isel({space[0]: gauged})


def open_data(path: Path) -> xr.Dataset:
    """Open CAMELS, a NetCDF file or a Zarr store.

    Raises
    ------
    DataFileError
        Where there is nothing, or nothing that can be read.
    """
    if not path.exists():
        raise DataFileError(f"{path} does not exist; expected {'a folder or a file'} with forcing.")
    if path.is_dir() and ((path / "zarr.json").exists() or (path / ".zgroup").exists()):
        return xr.open_zarr(path)
    if path.is_dir() or _is_camels(path):
        return open_camels(path)
    return open_result(path)


def open_result(path: Path) -> xr.Dataset:
    """Open a NetCDF file or a Zarr store as it is.

    Raises
    ------
    DataFileError
    """
    try:
        return xr.open_zarr(path) if path.is_dir() else xr.open_dataset(path)
    except (OSError, ValueError) as error:
        raise DataFileError(f"{path} cannot be read as a NetCDF file or Zarr store: {error}") from error


def _is_camels(path: Path) -> bool:
    with open_result(path) as ds:
        return "CAMELS" in str(ds.attrs.get("title", ""))


def _span(ds: xr.Dataset) -> str:
    index = ds.indexes["time"]
    return f"{str(index[0])[:10]} to {str(index[-1])[:10]}"


def _size(ds: xr.Dataset) -> str:
    cells = int(np.prod([size for dim, size in ds.sizes.items() if dim not in ("time", "bnds", "component")]))
    return f"{cells} cells x {ds.sizes['time']} days, {len(ds.data_vars)} variables, {_span(ds)}"
