"""The commands of ``python -m hydroxr``: each takes its parsed arguments."""

from __future__ import annotations

import math
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from ..conventions.dimensions import space_of
from ..conventions.labels import labelled
from ..datasets.camels import open_camels
from ..datasets.catchments.table import open_table
from ..errors import DataFileError, DescriptionError
from ..inputs.resolve import only_gauged
from ..inputs.time_axis import select_days
from ..models.files import check_model_path
from ..models.load import load_model
from ..models.specs import DeltaHBV, LSTMStreamflow, Spec
from ..simulation.simulate import run_period
from ..storage.target import check_target
from .report import write_report
from .summary import summary

MODELS = (*DeltaHBV.ladder(), "lstm")  # choices of 'fit --model'


def check(given: Namespace) -> None:
    """Print what data hold."""
    print(select_days(open_data(given.data), given.time).hbv.check(strict=given.strict))


def fit(given: Namespace) -> None:
    """Train a model and save it."""
    check_model_path(given.out, given.overwrite)
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
        attribute_noise=given.attribute_noise,
        validation=given.validation,
        checkpoint=given.checkpoint,
    )
    model.save(given.out, overwrite=given.overwrite)
    last = float(np.nanmean(model.history["loss"].values[-50:]))
    print(
        f"{model}\nloss {last:.3f} after {model.training['iterations_done']} iterations, "
        f"{model.training['seconds']:.0f} s\nmodel: {given.out}"
    )


def _description(given: Namespace) -> Spec:
    """The model to fit, by its name or by its parts.

    Raises
    ------
    DescriptionError
        If options contradict each other.
    """
    width = {name: getattr(given, name) for name in ("hidden", "dropout") if getattr(given, name) is not None}
    parts = {name: getattr(given, name) for name in ("components", "dynamic", "network")}
    parts = {name: value for name, value in parts.items() if value is not None}
    if given.forcing is not None and given.model != "lstm":
        raise DescriptionError(
            "--forcing needs --model lstm; the forcing of HBV is precipitation, temperature and PET."
        )
    if given.model is None:
        return DeltaHBV(**parts, **width)
    if parts:
        raise DescriptionError(
            f"--model {given.model} and --{next(iter(parts))} contradict each other; expected one of them."
        )
    if given.model == "lstm":
        return LSTMStreamflow(**width, **({} if given.forcing is None else {"forcing": given.forcing}))
    return replace(DeltaHBV.ladder()[given.model], **width)


def simulate(given: Namespace) -> None:
    """Simulate with a model and write the result."""
    if given.resume and given.out.suffix == ".nc":
        raise DescriptionError("--resume needs a Zarr store; a NetCDF file cannot be continued.")
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
    """Print the metrics of a simulation; write them and a report if asked."""
    if given.borders and not given.html:
        raise DescriptionError("--borders is for the map of the report; expected --html FILE as well.")
    if given.html:
        draw_without_screen("the report")
    sim = open_result(given.simulation)
    observed = open_data(given.observed)
    metrics = sim.hbv.evaluate(observed, time=given.time).compute()
    counted = int(metrics["nse"].notnull().sum())
    print(f"Over the {counted} cells with observations:\n")
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
        except ImportError as error:  # reading a shapefile needs an extra
            raise DescriptionError(str(error)) from error
        print(f"\nreport: {given.html}")


def reproduce(given: Namespace) -> None:
    """Train and test the models of the paper, and print the table."""
    from ..reproduction import chosen_runs, reproduce
    from ..reproduction.records import FACTS
    from ..reproduction.results import TABLE

    if given.list:
        for run in chosen_runs(given.models, given.seeds, given.splits):
            done = (given.out / run.name / FACTS).is_file()
            print(f"{run.name:<24}{'done' if done else 'not done'}")
        return
    options = {name: getattr(given, name) for name in ("preset", "iterations", "attribute_noise", "dropout")}
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


def draw_without_screen(what: str) -> None:
    """Let matplotlib draw to files alone.

    Raises
    ------
    DescriptionError
        If matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise DescriptionError(f"{what} needs matplotlib: pip install hydroxr[plot]") from error
    matplotlib.use("Agg")


def open_data(path: Path) -> xr.Dataset:
    """Open CAMELS, a NetCDF file, a Zarr store, or a table with units in its header.

    Raises
    ------
    DataFileError
        If the path does not exist or cannot be read.
    """
    if not path.exists():
        raise DataFileError(f"{path} does not exist; expected a file or folder with data.")
    if path.is_dir() and ((path / "zarr.json").exists() or (path / ".zgroup").exists()):
        return open_result(path)
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return open_table(path)
    if path.is_dir() or _is_camels(path):
        return open_camels(path)
    return open_result(path)


def open_result(path: Path) -> xr.Dataset:
    """Open a NetCDF file or a Zarr store.

    Raises
    ------
    DataFileError
        If the path does not exist or cannot be read.
    """
    if not path.exists():
        raise DataFileError(f"{path} does not exist; expected a NetCDF file or a Zarr store.")
    try:
        return labelled(xr.open_zarr(path) if path.is_dir() else xr.open_dataset(path))
    except (OSError, ValueError) as error:
        raise DataFileError(f"{path} cannot be read as a NetCDF file or Zarr store: {error}") from error


def _is_camels(path: Path) -> bool:
    with open_result(path) as ds:
        return "CAMELS" in str(ds.attrs.get("title", ""))


def span(ds: xr.Dataset) -> str:
    index = ds.indexes["time"]
    return days_between(index[0], index[-1])


def days_between(first: object, last: object) -> str:
    return f"{str(first)[:10]} to {str(last)[:10]}"


def _size(ds: xr.Dataset) -> str:
    cells = math.prod(ds.sizes[dim] for dim in space_of(ds))
    return f"{cells} cells x {ds.sizes['time']} days, {len(ds.data_vars)} variables, {span(ds)}"
