"""The example of a model downstream: it follows a run that goes on, with xarray and zarr alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from tests.support.labelled import make_dataset, make_parameters
from tests.tutorials.scripts import load_script

SCRIPT = Path(__file__).parents[2] / "tutorials" / "downstream_nitrate.py"
BARE = [sys.executable, "-W", "error", str(Path(__file__).parents[1] / "support" / "bare.py"), "xarray,zarr"]


def test_it_follows_a_run_that_is_appended_to(tmp_path: Path) -> None:
    """In another process in which xarray and zarr can be imported, with what they require, and nothing
    else; the loads are those of the whole run at once, whatever the steps in which it saw them."""
    ds = make_dataset(120, 3)
    parameters, path, out = make_parameters(ds), tmp_path / "run.zarr", tmp_path / "nitrate.csv"
    parts = [ds.isel(time=slice(first, first + 40)) for first in (0, 40, 80)]
    sim, state = parts[0].hbv.simulate(parameters, return_state=True)
    sim.hbv.to_zarr(path)
    command = [*BARE, str(SCRIPT), str(path), str(out), "--until", "2000-04-29"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    ) as reader:
        assert reader.stdout is not None
        seen = [reader.stdout.readline()]  # it has read the first days
        for part in parts[1:]:
            sim, state = part.hbv.simulate(parameters, initial_state=state, return_state=True)
            sim.hbv.to_zarr(path, append_dim="time")
        rest, errors = reader.communicate(timeout=120)
    assert reader.returncode == 0, errors
    assert seen[0].startswith("40 days")
    assert "120 days" in rest
    script = load_script(SCRIPT)
    whole = ds.hbv.simulate(parameters)
    expected, _ = script.advance(whole, np.full(3, 20.0))
    found = pd.read_csv(out, index_col=0, parse_dates=True)
    assert found.columns.tolist() == ["g0", "g1", "g2"]
    np.testing.assert_allclose(found.values.T, expected, rtol=1e-4, atol=1e-6)


def test_it_reads_a_routed_run(tmp_path: Path) -> None:
    """By xarray and zarr alone; the nitrate that enters the rivers leaves, is lost or is still there."""
    labels = ["b", "a", "c"]
    ds = make_dataset(60, 3).drop_vars("basin_id").assign_coords(basin=labels)
    columns = {"downstream": ["c", "b", ""], "travel_time": [0.4, 1.5, 0.0], "x": 0.2, "area": 100.0}
    table = pd.DataFrame({"reach": labels, **columns})
    network = hx.RiverNetwork(table, units={"travel_time": "days", "area": "km2"})
    routed = ds.hbv.simulate(make_parameters(ds)).hbv.route(network)
    routed.hbv.to_zarr(tmp_path / "routed.zarr")
    script, out = load_script(SCRIPT), tmp_path / "nitrate.csv"
    command = [*BARE, str(SCRIPT), str(tmp_path / "routed.zarr"), str(out), "--rivers"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert "3 reaches, 60 days" in done.stdout, done.stderr
    expected = script.down_the_rivers(routed)
    found = pd.read_csv(out, index_col=0, parse_dates=True)
    np.testing.assert_allclose(found[labels].values.T, expected["concentration"], rtol=1e-4)
    entered = float(routed["lateral_inflow"].sum()) * 86.4 * script.GROUNDWATER
    rest = expected["load"].sel(reach="c").sum() + expected["lost"].sum() + expected["stored"].sum()
    assert float(rest) == pytest.approx(entered, rel=1e-6)


def test_nothing_else_is_there(tmp_path: Path) -> None:
    """What the reader above does without: an import of it fails, as where it is not installed."""
    program = tmp_path / "program.py"
    absent = ["hydroxr", "torch", "dask", "numba", "distributed", "netCDF4", "cf_xarray", "safetensors"]
    program.write_text(
        "import xarray, zarr, numpy, pandas\n"
        f"for name in {absent}:\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ModuleNotFoundError:\n"
        "        print(name)\n"
    )
    done = subprocess.run([*BARE, str(program)], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == absent


def test_the_nitrate_is_conserved() -> None:
    """What is supplied is lost, leached or still in the soil: with no groundwater and no denitrification."""
    script = load_script(SCRIPT)
    script.GROUNDWATER = script.DENITRIFICATION = 0.0
    rng = np.random.default_rng(0)
    shape = (2, 50)
    days = xr.Dataset(
        {name: (("basin", "time"), rng.uniform(0, 9, shape)) for name in script.DRIVERS},
        {"time": pd.date_range("2000", periods=50), "basin": [1, 2]},
    )
    days["percolation"] = 0 * days["percolation"]
    load, soil = script.advance(days, np.full(2, 5.0))
    np.testing.assert_allclose(load.sum("time") + soil, 5.0 + 50 * script.SUPPLY)
