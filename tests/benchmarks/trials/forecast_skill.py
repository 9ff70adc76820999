"""Skill of forecasts by lead, with perfect weather, with and without states that observations have corrected.

    python tests/benchmarks/trials/forecast_skill.py --data camels_us_daymet.nc [--model camels-us]

Prints the median over the basins of the NSE of each lead. Blocks of basins are computed one after another;
one that is done is kept in ``--out``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model

LEADS, AT_ONCE = 7, 40


def skill(ds: xr.Dataset, model: Model, dates: np.ndarray, window: str) -> xr.Dataset:
    """NSE of each lead and basin over the dates: (lead, basin)."""
    started = time.perf_counter()
    analysis = ds.hbv.assimilate(model, window=window, init=dates)
    runs = {
        "run": ds.hbv.forecast(model, dates, lead=LEADS),
        "corrected": ds.hbv.forecast(model, dates, lead=LEADS, initial_state=analysis),
    }
    observed = ds["streamflow"].sel(time=runs["run"]["valid_time"])
    out = {name: hx.metrics.nse(each["streamflow"], observed, dim="init") for name, each in runs.items()}
    return xr.Dataset(out).assign(seconds=time.perf_counter() - started)


def main() -> None:
    """Compute, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="camels-us")
    parser.add_argument("--out", type=Path, default=Path("build/forecast_skill"))
    parser.add_argument("--period", nargs=2, default=("1995-10-01", "2010-09-23"))
    parser.add_argument("--every", type=int, default=7, help="days")
    parser.add_argument("--window", default="15D")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data, model = hx.open_camels(given.data), hx.load_model(given.model)
    dates = data["time"].sel(time=slice(*given.period))[:: given.every].values
    for first in range(0, data.sizes["basin"], AT_ONCE):
        path = given.out / f"{first}.nc"
        if not path.exists():
            part = data.isel(basin=slice(first, first + AT_ONCE)).load()
            skill(part, model, dates, given.window).drop_vars("basin").to_netcdf(path)
    parts = [xr.load_dataset(given.out / f"{first}.nc") for first in range(0, data.sizes["basin"], AT_ONCE)]
    whole = xr.concat(parts, dim="basin", data_vars="all")
    print(whole[["run", "corrected"]].median("basin").to_dataframe().round(3))
    seconds = sum(float(part["seconds"]) for part in parts)
    print(f"{len(dates)} dates, {whole.sizes['basin']} basins, {seconds:.0f} s")


if __name__ == "__main__":
    main()
