"""The demonstration: fit two sample catchments, simulate, evaluate, plot."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from ..datasets.samples import open_sample
from ..models.specs import DeltaHBV
from .commands import days_between, draw_without_screen, span

DEMO_CATCHMENTS = ("Au Saumon", "Baskatong")
_TRAINING_SHARE = 0.6  # of each record
_DAYS_SHOWN = 500  # in the plot, from the first October of the test period


def demo(given: Namespace) -> None:
    """Fit and simulate each catchment, write the results and print a table."""
    draw_without_screen("the demonstration")
    started = time.perf_counter()
    rows = [_one_catchment(name, given.out / name.lower().replace(" ", "-")) for name in DEMO_CATCHMENTS]
    print("\nMetrics of the test period, and water balance of the whole record (mm/year):\n")
    columns = f"{'NSE':>5}{'KGE':>6}{'P':>7}{'ET':>6}{'Q':>6}{'stored':>8}{'error':>9}"
    print(f"{'catchment':<11}{'test period':<24}{columns}")
    print("\n".join(rows))
    print(f"\nDone in {time.perf_counter() - started:.0f} s. For each catchment, {given.out}/ now has:")
    print("  simulation.zarr, simulation.nc   daily fluxes and storages: hx.open_run")
    print("  hydrograph.png                   streamflow and storages")
    print("  model/                           the fitted parameters: hx.load_model")


def _one_catchment(name: str, folder: Path) -> str:
    """Fit, simulate, write and plot one catchment; return its row of the table."""
    ds = open_sample(name)
    days = ds.indexes["time"]
    tested = days[int(len(days) * _TRAINING_SHARE) :]
    training = slice(days[0], days[len(days) - len(tested) - 1])
    print(f"{name}, {span(ds)}: fitting 16 components of HBV to the days before {tested[0]:%Y-%m-%d}")
    model = ds.hbv.fit(DeltaHBV(components=16, network="constant"), time=training)
    sim = ds.hbv.simulate(model)
    model.save(folder / "model", overwrite=True)
    sim.hbv.to_zarr(folder / "simulation.zarr", overwrite=True)
    sim.hbv.to_netcdf(folder / "simulation.nc", overwrite=True)
    first = next(day for day in tested if (day.month, day.day) == (10, 1))
    shown = slice(first, days[min(days.get_loc(first) + _DAYS_SHOWN, len(days) - 1)])
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
        f"{name:<11}{days_between(tested[0], tested[-1]):<24}{float(scores.nse):5.2f}{float(scores.kge):6.2f}"
        f"{rain:7.0f}{et:6.0f}{flow:6.0f}{stored:8.1f}{error:9.5f}"
    )
