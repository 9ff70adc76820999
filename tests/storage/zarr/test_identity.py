"""What is computed from an input that has changed since is another run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import HydroxrWarning, MissingForcingError, StoreError
from tests.support.labelled import make_dataset, make_parameters

DAYS = 30


def open_plain(path: str) -> xr.Dataset:
    """As most do."""
    return xr.open_zarr(path)


def open_merged(path: str) -> xr.Dataset:
    """Variables of several stores, in other chunks, without a word on where they are from."""
    ds = xr.open_zarr(path).chunk(basin=1)
    return xr.merge([ds[["prcp"]], ds[["tmean", "pet"]]]).chunk(basin=2).drop_encoding()


def open_segments(path: str) -> xr.Dataset:
    """In chunks of days."""
    return xr.open_zarr(path).chunk(basin=2, time=10)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize(
    ("opened", "where"), [(open_plain, "folder"), (open_merged, "memory"), (open_segments, "folder")]
)
def test_a_corrected_input_is_another(
    opened: Callable[[str], xr.Dataset], where: str, tmp_path: Path
) -> None:
    """In place, chunk by chunk, after an error that named a missing value: no old block is gone on with."""
    root = str(tmp_path) if where == "folder" else f"memory://{tmp_path.name}"
    source, path = f"{root}/input.zarr", f"{root}/run.zarr"
    ds = make_dataset(DAYS, 6)[["prcp", "tmean", "pet"]].drop_vars("basin_id")
    region: Any = {"basin": slice(0, 6), "time": slice(0, DAYS)}
    gap = ds.copy(deep=True)
    gap["prcp"][4, 3] = np.nan
    gap.chunk(basin=2).to_zarr(source)

    def run(**options: Any) -> None:
        sim = opened(source).hbv.simulate(make_parameters(ds), variables=["streamflow"])
        with dask.config.set(scheduler="synchronous"):
            sim.hbv.to_zarr(path, **options)

    def rain(factor: float) -> np.ndarray:
        (ds[["prcp"]] * factor).drop_vars([*ds.coords]).to_zarr(source, region=region)
        wet = ds.assign(prcp=(ds["prcp"] * factor).assign_attrs(ds["prcp"].attrs))
        return wet.hbv.simulate(make_parameters(ds), variables=["streamflow"])["streamflow"].values

    with pytest.raises(MissingForcingError):
        run(resume=True)
    expected = rain(1.5)
    with pytest.warns(HydroxrWarning, match="input of the run has changed.*computed anew"):
        run(resume=True)
    found = hx.open_run(path, verify=True)["streamflow"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    run(resume=True)
    expected = rain(2)
    with pytest.raises(StoreError, match=r"differ in the input.*overwrite=True computes all of it anew"):
        run(resume=True)
    run(overwrite=True)
    found = hx.open_run(path, verify=True)["streamflow"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    if where == "folder":
        assert sorted(os.listdir(tmp_path)) == ["input.zarr", "run.zarr"]
