"""What a file says of itself: names, types of attributes, where its input came from."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

import hydroxr as hx
from hydroxr.errors import DescriptionError
from tests.support.labelled import make_dataset, make_parameters

WAYS = ("to_netcdf", "to_zarr")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["zarr.json", " sp", "sp ", "a\0b", "a\nb", "a/b", ".a", "__a", "", "x" * 300]
)
def test_names_that_no_file_can_have_are_refused(name: str, way: str, tmp_path: Path) -> None:
    """By name, and before anything is written."""
    ds = make_dataset(30)[["prcp"]].rename(prcp=name)
    with pytest.raises(DescriptionError, match="cannot be a name in a file"):
        getattr(ds.hbv, way)(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["plain", "to_netcdf", "to_zarr"])
def test_attributes_have_the_type_of_their_variable(way: str, tmp_path: Path) -> None:
    """In a file that plain xarray writes, from memory or from a store, without a warning."""
    ds = make_dataset(30)
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"], missing="fill")
    opened = sim if way == "plain" else hx.open_run(getattr(sim.hbv, way)(tmp_path / "run"))
    opened.to_netcdf(tmp_path / "again.nc")
    with netCDF4.Dataset(tmp_path / "again.nc") as file:
        if way != "to_zarr":  # whose JSON would not keep it
            assert file["streamflow"].valid_min.dtype == np.float32
        assert file["forcing_flag"].flag_values.dtype == np.int8
        assert file["time"].units.startswith("days since 2000-01-01")


def test_secrets_of_the_input_are_not_told() -> None:
    """Neither in addresses nor in settings that its attributes tell."""
    secret = {"source": "https://me:hunter2@host/a.nc?sig=hunter2", "title": "read with token=hunter2"}
    ds = make_dataset(30).assign_attrs(secret)
    ds.encoding["source"] = "s3://me:hunter2@bucket/a.zarr"
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    assert "host/a.nc" in sim.attrs["forcing_provenance"]
    assert "hunter2" not in str(sim.attrs)
