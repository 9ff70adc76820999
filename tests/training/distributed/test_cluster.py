"""One model, trained by two processes as by one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from dask.distributed import Client

import hydroxr as hx
from hydroxr.errors import DescriptionError, HydroxrWarning, MissingForcingError
from hydroxr.models.model import Model
from tests.conftest import FIT
from tests.support.cluster import local_client
from tests.support.labelled import make_dataset, with_value
from tests.support.trainings import LATER, LostOnce

FILTERS = hx.DeltaHBV(
    components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET"), gauge_offsets=True
)
# With the default loss, which has a root (low flows) and a term of each window (KGE).
KINDS: dict[str, tuple[hx.DeltaHBV | hx.LSTMStreamflow, dict[str, Any]]] = {
    "constant": (hx.DeltaHBV(components=2, network="constant"), {"loss": "nse", "draws": 60}),
    "filters": (FILTERS, {"attribute_noise": 0.2, "validation": LATER, "validate_every": 2}),
    "network": (hx.DeltaHBV(components=2, hidden=4, network="lstm"), {"validation": [30], "batch": 1}),
    "streamflow": (hx.LSTMStreamflow(hidden=4, forcing=("prcp", "tmean")), {"loss": "transformed"}),
}
SCRIPT = """
import os
import sys
import hydroxr as hx
from tests.training.distributed.test_cluster import FILTERS, OPTIONS, gaps
model = gaps().hbv.fit(FILTERS, **OPTIONS | {"progress": True})
model.save(f"{sys.argv[1]}/{os.environ['RANK']}")
"""
OPTIONS: dict[str, Any] = FIT | {"iterations": 5, "batch": 6}


def gaps() -> xr.Dataset:
    """Five basins, of which one lacks most observations and one all: shares of the loss differ."""
    ds = make_dataset(cells=5).fillna({"frac_forest": 0.5})
    ds["streamflow"][1, 12:40] = np.nan
    ds["streamflow"][0] = np.nan
    return ds


def alike(one: Model, two: Model) -> None:
    """Up to rounding."""
    names = [name for name in one.history.data_vars if name != "seconds"]
    xr.testing.assert_allclose(one.history[names], two.history[names], rtol=1e-4)
    assert one.weights.keys() == two.weights.keys()
    for name, array in one.weights.items():
        np.testing.assert_allclose(array, two.weights[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two worker processes."""
    with local_client(2) as client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one(client: Client, kind: str) -> None:
    """Losses, scores and weights agree; dropout, noise and normalisation are those of all cells."""
    spec, more = KINDS[kind]
    one, two = (gaps().hbv.fit(spec, **OPTIONS | more, client=each) for each in (None, client))
    alike(one, two)
    for name in ("cells", "basins", "batch", "iterations_done", "best_iteration"):
        assert one.training[name] == two.training[name]


def test_lazy_data_and_grids_are_shared_too(client: Client, grid: xr.Dataset, tmp_path: Path) -> None:
    """Two processes read rows of a grid in Zarr."""
    grid.drop_vars("geol_class_1st").to_zarr(tmp_path / "grid.zarr", consolidated=False)
    spec = hx.DeltaHBV(components=2, network="constant")
    with xr.open_zarr(tmp_path / "grid.zarr", consolidated=False) as ds:
        alike(grid.hbv.fit(spec, **OPTIONS), ds.hbv.fit(spec, **OPTIONS, client=client))


def test_what_one_process_finds_wrong_is_the_error_of_all(client: Client) -> None:
    """It names the basin."""
    with pytest.raises(MissingForcingError, match="g4"):
        with_value(gaps(), "tmean", np.nan, basin=4, day=30).hbv.fit(FILTERS, **OPTIONS, client=client)


def test_there_are_no_more_processes_than_cells(client: Client, ds: xr.Dataset) -> None:
    """One basin is trained by one; where others have no observations, an error says so."""
    spec = hx.DeltaHBV(components=2, network="constant")
    alike(
        ds.isel(basin=[1]).hbv.fit(spec, **OPTIONS),
        ds.isel(basin=[1]).hbv.fit(spec, **OPTIONS, client=client),
    )
    ds["streamflow"][1:] = np.nan
    client.wait_for_workers(2, timeout=300)
    with pytest.raises(DescriptionError, match="use fewer processes"):
        ds.hbv.fit(spec, **OPTIONS, client=client)


def test_a_lost_worker_ends_a_step_and_not_the_training(client: Client, tmp_path: Path) -> None:
    """The others go on from the last checkpoint, to what an undisturbed training gives."""
    client.wait_for_workers(2, timeout=300)
    ds, options = gaps(), OPTIONS | {"loss": LostOnce(tmp_path / "lost", 4)}
    keep = {"checkpoint": tmp_path / "run", "checkpoint_every": 2}
    with pytest.warns(HydroxrWarning, match="a worker was lost; the training goes on from the last"):
        two = ds.hbv.fit(FILTERS, **options, **keep, client=client)
    alike(ds.hbv.fit(FILTERS, **OPTIONS | {"loss": "paper"}), two)
    assert two.training["iterations_done"] == 5
    again = ds.hbv.fit(FILTERS, **options, **keep, client=client)
    assert again.hash == two.hash


def test_torchrun_trains_as_one_process(tmp_path: Path) -> None:
    """Every process has the model; the first one alone shows a bar."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script, tmp_path]
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr
    models = [hx.load_model(tmp_path / str(rank)) for rank in (0, 1)]
    assert models[0] == models[1]
    alike(gaps().hbv.fit(FILTERS, **OPTIONS), models[0])
    assert done.stderr.count("| 0/5") == 1
