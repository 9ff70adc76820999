"""What a variable that is packed or rounded more than once states as its error, and what it is off by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.conventions.attributes import ABSOLUTE, RELATIVE
from hydroxr.storage.packing import encode

VALUES = np.random.default_rng(0).gamma(1, 3, (20, 500))


def written(ds: xr.Dataset, packed: Any = False, keep_bits: Any = None) -> xr.Dataset:
    """As read again from a file."""
    return xr.decode_cf(encode(ds, packed, keep_bits)).load()


def off(ds: xr.Dataset) -> float:
    return float(np.abs(ds["runoff"].values - VALUES).max())


@pytest.fixture
def ds() -> xr.Dataset:
    return xr.Dataset({"runoff": (("basin", "time"), VALUES.copy(), {"units": "kg m-2 day-1"})})


def test_errors_of_packing_add_up(ds: xr.Dataset) -> None:
    """Of other steps; the second alone would be exceeded."""
    twice = written(written(ds, {"runoff": 0.05}), {"runoff": 0.031})
    assert twice["runoff"].attrs[ABSOLUTE] == pytest.approx(0.081)
    assert 0.031 < off(twice) <= 0.081


def test_the_same_steps_cost_nothing_again(ds: xr.Dataset) -> None:
    """A file that is opened and written as it was."""
    twice = written(written(ds, {"runoff": 0.05}), {"runoff": 0.05})
    assert twice["runoff"].attrs[ABSOLUTE] == 0.05
    assert off(twice) <= 0.05 + 1e-12
    moved = written(ds, {"runoff": 0.05})
    moved["runoff"] = (moved["runoff"] + 0.03).assign_attrs(moved["runoff"].attrs)  # between the steps
    assert written(moved, {"runoff": 0.05})["runoff"].attrs[ABSOLUTE] == pytest.approx(0.1)


def test_errors_of_rounding_add_up(ds: xr.Dataset) -> None:
    """More bits do not bring back those that are gone; relative errors are multiplied with each other."""
    for first, second in ((3, 15), (4, 3)):
        twice = written(written(ds, keep_bits=first), keep_bits=second)["runoff"]
        one, other = 2.0 ** -(first + 1), 2.0 ** -(second + 1)
        assert twice.attrs[RELATIVE] == pytest.approx((1 + one) * (1 + other) - 1, rel=1e-12)
        largest = float((np.abs(twice.values - VALUES) / VALUES).max())
        assert max(one, other) / 2 < largest <= twice.attrs[RELATIVE]


def test_both_are_stated_of_what_was_rounded_and_packed(ds: xr.Dataset) -> None:
    """And no number of bits, which packed numbers do not have."""
    both = written(written(ds, keep_bits=4), {"runoff": 0.01})["runoff"]
    assert (both.attrs[ABSOLUTE], both.attrs[RELATIVE]) == (0.01, 2.0**-5)
    assert "quantization_nsb" not in both.attrs
    assert (np.abs(both.values - VALUES) <= 0.01 + 2.0**-5 * VALUES).all()
