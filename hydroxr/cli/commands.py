"""What the commands of ``python -m hydroxr`` do."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..datasets.camels import open_camels
from ..datasets.samples import open_sample
from ..errors import DataFileError, DescriptionError, EmptySelectionError
from ..inputs import resolve as inputs
from ..models.ensemble import Ensemble
from ..models.model import Model, load_model
from ..models.model import check_target as check_model_target
from ..models.specs import DeltaHBV, LSTMStreamflow, Spec
from ..simulation.simulate import parameters
from ..simulation.simulate import simulate as simulate_cells
from ..storage.to_zarr import check_target
from ..training.fit import select_time
from .report import write_report
from .summary import summary

MODELS = (*DeltaHBV.ladder(), "lstm")  # what 'fit --model' knows
DEMO_CATCHMENTS = ("Au Saumon", "Baskatong")
_DEMO_SHARE = 0.6  # of each record is trained on; the rest is for the table
_DEMO_DRAWN = 500  # days, from the first October that was not trained on


def fit(given: Namespace) -> None:
    """Train a model and save it."""
    check_model_target(given.out)
    spec = _description(given)
    ds = open_data(given.data)
    model = ds.hbv.fit(
        spec,
        target=given.target,
        attributes=given.attributes,
        time=given.time,
        iterations=given.iterations,
        batch=given.batch,
        seed=given.seed,
        preset=given.preset,
        validation=given.validation,
        checkpoint=given.checkpoint,
    )
    model.save(given.out)
    last = float(np.nanmean(model.history["loss"].values[-50:]))
    print(
        f"{model}\nloss {last:.3f} after {model.training['iterations_done']} iterations, "
        f"{model.training['seconds']:.0f} s\nmodel: {given.out}"
    )


def _description(given: Namespace) -> Spec:
    """What to fit, by its name or part by part.

    Raises
    ------
    DescriptionError
        Where options contradict each other.
    """
    width = {name: getattr(given, name) for name in ("hidden", "dropout") if getattr(given, name) is not None}
    parts = {name: getattr(given, name) for name in ("components", "dynamic", "network")}
    parts = {name: value for name, value in parts.items() if value is not None}
    if given.forcing is not None and given.model != "lstm":
        raise DescriptionError("--forcing is for --model lstm; HBV has precipitation, temperature and PET.")
    if given.model is None:
        return DeltaHBV(**parts, **width)
    if parts:
        raise DescriptionError(
            f"--model {given.model} says what the model is, and --{next(iter(parts))} does as well; expected "
            "one of them."
        )
    if given.model == "lstm":
        return LSTMStreamflow(**width, **({} if given.forcing is None else {"forcing": given.forcing}))
    return replace(DeltaHBV.ladder()[given.model], **width)


def simulate(given: Namespace) -> None:
    """Simulate with a model and write the result."""
    if given.resume and given.out.suffix == ".nc":
        raise DescriptionError("--resume is for a Zarr store; a NetCDF file is written in one go.")
    check_target(given.out, overwrite=given.overwrite or given.resume)
    ds = open_data(given.data)
    model = load_model(given.model)
    if given.gauged:
        ds = only_gauged(ds)
    started = time.perf_counter()
    sim = run_period(ds, model, given.time, variables=given.variables, missing=given.missing)
    if given.out.suffix == ".nc":
        sim.hbv.to_netcdf(given.out, overwrite=given.overwrite, progress=True)
    else:
        sim.hbv.to_zarr(given.out, overwrite=given.overwrite, resume=given.resume, progress=True)
    print(f"{_size(sim)}, {time.perf_counter() - started:.0f} s\nresult: {given.out}")


def evaluate(given: Namespace) -> None:
    """Print how a simulation compares with observations."""
    if given.borders and not given.html:
        raise DescriptionError("--borders are for the map of the report; expected --html FILE with it.")
    if given.html:
        _draw_without_screen("the report")
    sim = open_result(given.simulation)
    observed = open_data(given.observed)
    metrics = sim.hbv.evaluate(observed, time=given.time).compute()
    counted = int(metrics["nse"].notnull().sum())
    print(f"{counted} cells with observations; over them:\n")
    print(f"{'':>11}  {'median':>8}  {'lower 25 %':>10}  {'upper 25 %':>10}  {'cells':>6}  unit")
    for row in summary(metrics):
        numbers = f"{row.median:8.3f}  {row.lower:10.3f}  {row.upper:10.3f}  {row.cells:6}"
        print(f"{row.name:>11}  {numbers}  {'' if row.units == '1' else row.units}".rstrip())
    if given.out:
        metrics.hbv.to_netcdf(given.out, overwrite=True)
        print(f"\nall cells: {given.out}")
    if given.html:
        try:
            write_report(sim, observed, given.html, time=given.time, borders=given.borders)
        except ImportError as error:  # what reads borders is an extra
            raise DescriptionError(str(error)) from error
        print(f"\nreport: {given.html}")


def reproduce(given: Namespace) -> None:
    """Train and test the models of the paper, and print the table."""
    from ..reproduction import chosen_runs, reproduce
    from ..reproduction.experiment import FACTS, TABLE

    if given.list:
        for run in chosen_runs(given.models, given.seeds, given.splits):
            done = (given.out / run.name / FACTS).is_file()
            print(f"{run.name:<24}{'done' if done else 'not done'}")
        return
    options = {name: getattr(given, name) for name in ("preset", "iterations")}
    reproduce(
        open_data(given.data),
        given.out,
        models=given.models,
        seeds=given.seeds,
        splits=given.splits,
        hidden=given.hidden,
        device=given.device,
        et=None if given.et is None else open_result(given.et),
        **{name: value for name, value in options.items() if value is not None},
    )
    print((given.out / TABLE).read_text(encoding="utf-8"))


def demo(given: Namespace) -> None:
    """Fit the embedded catchments, simulate, write, report, draw."""
    _draw_without_screen("the demonstration")
    started = time.perf_counter()
    rows = [_demo_catchment(name, given.out / name.lower().replace(" ", "-")) for name in DEMO_CATCHMENTS]
    print("\nOn the years that were not trained on, and the water balance of the whole record (mm a year):\n")
    columns = f"{'NSE':>5}{'KGE':>6}{'P':>7}{'ET':>6}{'Q':>6}{'stored':>8}{'error':>9}"
    print(f"{'catchment':<11}{'years tested':<24}{columns}")
    print("\n".join(rows))
    print(f"\nIn {given.out}/, for each catchment, after {time.perf_counter() - started:.0f} s:")
    print("  simulation.zarr, simulation.nc   every flux and storage, a day: xr.open_zarr, xr.open_dataset")
    print("  hydrograph.png                   streamflow and storages")
    print("  model/                           the fitted parameters: hx.load_model")


def _draw_without_screen(what: str) -> None:
    try:
        import matplotlib
    except ImportError as error:
        raise DescriptionError(f"{what} draws: pip install hydroxr[plot]") from error
    matplotlib.use("Agg")


def _demo_catchment(name: str, folder: Path) -> str:
    """Fit, simulate, write and draw one catchment; its row of the table."""
    ds = open_sample(name)
    days = ds.indexes["time"]
    tested = days[int(len(days) * _DEMO_SHARE) :]
    training = slice(days[0], days[len(days) - len(tested) - 1])
    print(f"{name}, {_span(ds)}: fitting 16 components of HBV to the years before {tested[0]:%Y-%m-%d}")
    model = ds.hbv.fit(DeltaHBV(components=16, network="constant"), time=training)
    sim = ds.hbv.simulate(model)
    model.save(folder / "model")
    sim.hbv.to_zarr(folder / "simulation.zarr", overwrite=True)
    sim.hbv.to_netcdf(folder / "simulation.nc", overwrite=True)
    first = next(day for day in tested if (day.month, day.day) == (10, 1))
    shown = slice(first, days[min(days.get_loc(first) + _DEMO_DRAWN, len(days) - 1)])
    axes = sim.hbv.plot.hydrograph(ds, time=shown)
    axes[0].figure.savefig(folder / "hydrograph.png", dpi=150)
    scores = sim.hbv.evaluate(ds, time=slice(tested[0], None)).isel(basin=0)
    balance = sim.hbv.water_balance().isel(basin=0)
    years = len(days) / 365.25
    rain, et, flow, stored = (
        float(balance[part]) / years
        for part in ("precipitation", "evapotranspiration", "streamflow", "storage_change")
    )
    error = float(balance["residual"]) / years
    return (
        f"{name:<11}{_days(tested[0], tested[-1]):<24}{float(scores.nse):5.2f}{float(scores.kge):6.2f}"
        f"{rain:7.0f}{et:6.0f}{flow:6.0f}{stored:8.1f}{error:9.5f}"
    )


def run_period(ds: xr.Dataset, model: Model | Ensemble, period: slice | None, **options: Any) -> xr.Dataset:
    """Simulate ``period`` after a warm-up with all days before it.

    The water balance of the result starts with its first day: the days before end in a state
    from which the period is a run of its own. Static parameters are those of the whole input.
    """
    if period is None:
        return ds.hbv.simulate(model, **options)
    chosen = select_time(ds, period)
    has_parameters = isinstance(model.description, DeltaHBV) and model.description.regional
    static = parameters(ds, model, static_only=True) if has_parameters else None
    place = ds.indexes["time"].get_loc(chosen.indexes["time"][0])
    state = None
    if place > 0:
        before = {**options, "variables": [], "return_state": True}
        warmup: Any = simulate_cells(ds.isel(time=slice(0, place)), model, static=static, **before)
        state = warmup[1]
    result: Any = simulate_cells(chosen, model, initial_state=state, static=static, **options)
    return result


def only_gauged(ds: xr.Dataset, period: slice | None = None) -> xr.Dataset:
    """The cells that have any observed streamflow, in a period where one is given.

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
    days = inputs.select_days(observed.to_dataset(name="_flow"), period)["_flow"]
    gauged = days.notnull().any("time").values
    if not gauged.any():
        when = "" if period is None else f" from {period.start} to {period.stop}"
        raise EmptySelectionError(f"no cell has observed streamflow{when}.")
    return ds.isel({space[0]: gauged})


def open_data(path: Path) -> xr.Dataset:
    """Open CAMELS, a NetCDF file or a Zarr store.

    Raises
    ------
    DataFileError
        Where there is nothing, or nothing that can be read.
    """
    if not path.exists():
        raise DataFileError(f"{path} does not exist; expected a file or folder of data.")
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
    if not path.exists():
        raise DataFileError(f"{path} does not exist; expected a NetCDF file or a Zarr store.")
    try:
        return xr.open_zarr(path) if path.is_dir() else xr.open_dataset(path)
    except (OSError, ValueError) as error:
        raise DataFileError(f"{path} cannot be read as a NetCDF file or Zarr store: {error}") from error


def _is_camels(path: Path) -> bool:
    with open_result(path) as ds:
        return "CAMELS" in str(ds.attrs.get("title", ""))


def _span(ds: xr.Dataset) -> str:
    index = ds.indexes["time"]
    return _days(index[0], index[-1])


def _days(first: object, last: object) -> str:
    return f"{str(first)[:10]} to {str(last)[:10]}"


def _size(ds: xr.Dataset) -> str:
    cells = int(np.prod([size for dim, size in ds.sizes.items() if dim not in ("time", "bnds", "component")]))
    return f"{cells} cells x {ds.sizes['time']} days, {len(ds.data_vars)} variables, {_span(ds)}"
