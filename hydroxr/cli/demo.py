"""The demonstration: train on three catchments, simulate, score, draw."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from ..datasets.samples import open_sample
from ..models.specs import DeltaHBV
from .commands import _days, _draw_without_screen, _span

DEMO_CATCHMENTS = ("Au Saumon", "Baskatong")

_DEMO_SHARE = 0.6  # of each record is trained on; the rest is for the table

_DEMO_DRAWN = 500  # days, from the first October that was not trained on


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
