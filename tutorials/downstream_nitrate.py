"""Nitrate in a stream, driven by a run of hydroxr that is still in progress.

This program needs xarray and zarr, but neither hydroxr nor torch. Whenever the store has grown, it reads
the new days, computes the nitrate load from the water on each path, and keeps the nitrate in the soil for
the next days.

    python tutorials/downstream_nitrate.py run.zarr nitrate.csv --until 2014-12-31

Another program writes the store, year after year::

    sim, state = ds.sel(time="2000").hbv.simulate(model, return_state=True)
    sim.hbv.to_zarr("run.zarr")
    for year in range(2001, 2015):
        sim, state = ds.sel(time=str(year)).hbv.simulate(model, initial_state=state, return_state=True)
        sim.hbv.to_zarr("run.zarr", append_dim="time")

A reader that opens the store sees all days of an append or none of them. Whatever its length, it is a
complete run up to its last day.

With ``--rivers`` the store is that of a routed run, ``sim.hbv.route(network)``: nitrate comes with the water
that enters each reach, mixes with the water in it, is lost on the way, and flows on to the reach below.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import xarray as xr

# Illustrative values: kg N per ha and day that become leachable, mg N per litre of groundwater, and the
# share of the soil's nitrate that is lost to the air per day.
SUPPLY = 0.06
GROUNDWATER = 2.0
DENITRIFICATION = 0.002
# Share of the nitrate in a river that is lost per day.
UPTAKE = 0.1
DRIVERS = ["quick_flow", "interflow", "baseflow", "percolation", "soil_moisture"]


def advance(days: xr.Dataset, soil: np.ndarray) -> tuple[xr.DataArray, np.ndarray]:
    """Compute the nitrate load of some days.

    Parameters
    ----------
    days : Dataset
        The variables ``DRIVERS``, (basin, time), in kg m-2 day-1 (mm/day) and kg m-2 (mm).
    soil : array, (basin,)
        Nitrate in the soil before the first day, kg N/ha.

    Returns
    -------
    DataArray, (basin, time)
        Load, kg N/ha/day.
    array
        Nitrate in the soil after the last day.
    """
    drivers = {name: days[name].transpose("time", "basin").values.astype(float) for name in DRIVERS}
    loads = np.empty_like(drivers["baseflow"])
    for day in range(len(loads)):
        now = {name: values[day] for name, values in drivers.items()}
        soil = soil * (1 - DENITRIFICATION) + SUPPLY
        moving = now["quick_flow"] + now["interflow"] + now["percolation"]
        leached = soil * (1 - np.exp(-moving / np.maximum(now["soil_moisture"], 1.0)))
        soil = soil - leached
        shallow = (now["quick_flow"] + now["interflow"]) / np.maximum(moving, 1e-9)
        loads[day] = leached * shallow + now["baseflow"] * GROUNDWATER / 100  # 1 mm at 1 mg/l is 0.01 kg/ha
    coords = {"time": days["time"], "basin": days["basin"]}
    load = xr.DataArray(loads, coords, ("time", "basin"), name="nitrate_load")
    load.attrs = {"long_name": "load of nitrate nitrogen", "units": "kg ha-1 day-1"}
    return load.transpose("basin", "time"), soil


def follow(store: str, until: str, wait: float = 0.5, patience: float = 600.0) -> tuple[xr.DataArray, int]:
    """Follow a growing run up to the day ``until``; return the load of all days and the number of reads."""
    loads: list[xr.DataArray] = []
    soil, known, quiet = None, 0, time.monotonic()
    last = np.datetime64(until)
    while not loads or loads[-1]["time"].values[-1] < last:
        run = xr.open_zarr(store)
        if "basin_id" in run.coords:  # files number the basins, and hold their labels beside the numbers
            run = run.assign_coords(basin=run["basin_id"].values.tolist())
        if run.sizes["time"] > known:
            new = run[DRIVERS].isel(time=slice(known, None)).load()
            soil = np.full(run.sizes["basin"], 20.0) if soil is None else soil
            load, soil = advance(new, soil)
            loads.append(load)
            known, quiet = run.sizes["time"], time.monotonic()
            print(f"{known} days, up to {str(load['time'].values[-1])[:10]}", flush=True)
        elif time.monotonic() - quiet > patience:
            raise TimeoutError(f"{store} has not grown for {patience:.0f} s; its last day is before {until}.")
        else:
            time.sleep(wait)
    return xr.concat(loads, "time"), len(loads)


def from_the_headwaters(downstream: np.ndarray, reaches: np.ndarray) -> list[tuple[int, int]]:
    """Each reach and the reach below it (-1 at an outlet), by number, after all reaches above it."""
    number = {label: place for place, label in enumerate(reaches)}
    below = [number.get(label, -1) for label in downstream]
    waiting = [below.count(place) for place in range(len(below))]
    order = [place for place, count in enumerate(waiting) if count == 0]
    for place in order:  # grows while it is read
        if below[place] >= 0:
            waiting[below[place]] -= 1
            if waiting[below[place]] == 0:
                order.append(below[place])
    return [(place, below[place]) for place in order]


def down_the_rivers(routed: xr.Dataset) -> xr.Dataset:
    """Nitrate in each reach of a routed run.

    Parameters
    ----------
    routed : Dataset
        ``discharge`` and ``lateral_inflow`` (m3 s-1) and ``river_storage`` (m3), (reach, time), and the
        coordinate ``downstream``.

    Returns
    -------
    Dataset
        ``load`` (kg day-1) and ``concentration`` (g m-3), (reach, time), at the lower end of each reach, and
        ``lost`` and ``stored`` (kg), (reach), until and on the last day.
    """
    names = ("discharge", "lateral_inflow", "river_storage")
    flow, lateral, stored = (routed[name].transpose("reach", "time").values.astype(float) for name in names)
    flow, lateral = 86400.0 * flow, 86400.0 * lateral  # m3 per day
    order = from_the_headwaters(routed["downstream"].values, routed["reach"].values)
    load = np.zeros_like(flow)
    mass, lost = np.zeros(len(flow)), np.zeros(len(flow))
    for day in range(flow.shape[1]):
        arriving = lateral[:, day] * GROUNDWATER / 1000  # kg
        for reach, below in order:
            mass[reach] += arriving[reach]
            water = flow[reach, day] + stored[reach, day]
            leaving = mass[reach] * (flow[reach, day] / water if water > 0 else 1.0)
            remaining = mass[reach] - leaving
            lost[reach] += remaining * UPTAKE
            mass[reach] = remaining * (1 - UPTAKE)
            load[reach, day] = leaving
            if below >= 0:
                arriving[below] += leaving
    out = xr.Dataset({"load": (("reach", "time"), load), "lost": ("reach", lost), "stored": ("reach", mass)})
    out["concentration"] = (("reach", "time"), 1000 * load / np.maximum(flow, 1e-9))
    units = {"load": "kg day-1", "lost": "kg", "stored": "kg", "concentration": "g m-3"}
    for name, unit in units.items():
        out[name].attrs = {"long_name": f"{name} of nitrate nitrogen", "units": unit}
    return out.assign_coords(reach=routed["reach"], time=routed["time"])


def main() -> None:
    """Follow a store from the command line."""
    parser = argparse.ArgumentParser(
        description="Nitrate loads from a run of hydroxr that is still in progress."
    )
    parser.add_argument("store", help="Zarr store of the run")
    parser.add_argument("out", type=Path, help="CSV file for the loads")
    parser.add_argument("--until", help="last day, such as 2014-12-31")
    parser.add_argument("--rivers", action="store_true", help="the store is a routed run")
    given = parser.parse_args()
    if given.rivers:
        routed = xr.open_zarr(given.store)
        if "reach_id" in routed:  # labels in a file are a coordinate beside numbers
            routed = routed.assign_coords(reach=routed["reach_id"].values)
        nitrate = down_the_rivers(routed)
        nitrate["concentration"].transpose("time", "reach").to_pandas().to_csv(given.out)
        print(f"{given.out}: {nitrate.sizes['reach']} reaches, {nitrate.sizes['time']} days")
        return
    if given.until is None:
        parser.error("--until is needed, unless the store is a routed run (--rivers)")
    load, steps = follow(given.store, given.until)
    load.transpose("time", "basin").to_pandas().to_csv(given.out)
    print(f"{given.out}: {load.sizes['time']} days in {steps} steps")


if __name__ == "__main__":
    main()
