"""Which dimensions are space."""

from __future__ import annotations

import pytest
import xarray as xr

from hydroxr.conventions.dimensions import space_of


@pytest.mark.parametrize(
    ("dims", "space"),
    [
        (("member", "basin", "component", "time"), ("basin",)),
        (("time", "lat", "lon", "bnds"), ("lat", "lon")),
        (("y", "lead", "x", "hidden_unit"), ("y", "x")),
        (("time",), ()),
    ],
)
def test_space_is_every_other_dimension(dims: tuple[str, ...], space: tuple[str, ...]) -> None:
    """In the order of the array, for arrays and Datasets."""
    array = xr.DataArray(0.0).expand_dims(dict.fromkeys(dims, 1))
    assert space_of(array) == space
    assert set(space_of(array.to_dataset(name="x"))) == set(space)
