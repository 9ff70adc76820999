"""Columns of tables are numbers, whatever their type in pandas; what is none is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hydroxr.errors import ValueRangeError
from hydroxr.inputs.numbers import numbers_of
from hydroxr.inputs.resolve import observed_streamflow
from tests.support.labelled import assert_same_values, make_dataset, make_parameters


def table() -> tuple[xr.Dataset, pd.DataFrame]:
    """One basin as a Dataset, and its daily series as a table of pandas."""
    ds = make_dataset(40, 1)
    names = ["prcp", "tmean", "pet", "streamflow"]
    index = pd.Index(ds["time"].values, name="time")
    return ds, pd.DataFrame({name: ds[name].values[0] for name in names}, index=index)


def from_table(ds: xr.Dataset, frame: pd.DataFrame) -> xr.Dataset:
    """As a user makes it."""
    out = xr.Dataset.from_dataframe(frame).expand_dims(basin=ds["basin"].values)
    for name in out.data_vars:
        out[name].attrs["units"] = ds[name].attrs["units"]
    return out


@pytest.mark.parametrize(
    "convert",
    [lambda frame: frame.convert_dtypes(), lambda frame: frame.astype(object), lambda f: f.astype(str)],
)
def test_columns_of_any_type_are_numbers(convert: Any) -> None:
    """Nullable numbers, objects and text give the results of floats."""
    ds, frame = table()
    parameters = make_parameters(ds)
    odd = from_table(ds, convert(frame))
    assert odd["prcp"].dtype != np.float64
    odd.hbv.check()
    assert_same_values(odd.hbv.simulate(parameters), ds.hbv.simulate(parameters), atol=1e-5)


def test_missing_values_of_nullable_columns_are_missing() -> None:
    """pandas' NA is NaN."""
    ds, frame = table()
    frame = frame.convert_dtypes()
    frame.loc[frame.index[3], "streamflow"] = pd.NA
    flow = observed_streamflow(from_table(ds, frame))
    assert np.flatnonzero(np.isnan(flow.values.ravel())).tolist() == [3]


@pytest.mark.parametrize("text", ["Ice", "120,5", "-"])
def test_text_that_is_no_number_is_named(text: str) -> None:
    """With its place and how to read it as missing."""
    ds, frame = table()
    frame = frame.astype({"streamflow": object})
    frame.iloc[20, 3] = text
    with pytest.raises(
        ValueRangeError, match=rf"'streamflow' holds '{text}' at .*2000-01-21 \(1 of 40.*na_values"
    ):
        from_table(ds, frame).hbv.check()


def test_other_types_are_refused() -> None:
    """Dates and complex numbers are no precipitation, nor lazy objects, which are not read for it."""
    times = xr.DataArray(pd.date_range("2000", periods=2), dims="x", name="pr")
    lazy = xr.DataArray(np.array([1, "a"], dtype=object), dims="x", name="pr").chunk()
    for array in (times, times.copy(data=[1j, 2j]), lazy):
        with pytest.raises(ValueRangeError, match=r"'pr' holds .*expected real numbers.*astype\(float\)"):
            numbers_of(array)
    assert numbers_of(xr.DataArray(np.array([b"1.5", b""]), dims="x")).values[0] == 1.5
