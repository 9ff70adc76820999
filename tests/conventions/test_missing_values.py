"""Missing values that attributes state are NaN; numbers that data sets write for them are known."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import xarray as xr

from hydroxr.analysis.time_means import aggregate_time
from hydroxr.conventions.missing_values import look_missing, stated_missing
from hydroxr.errors import MissingForcingError, ValueRangeError
from hydroxr.metrics import nse
from tests.support.labelled import make_dataset, make_parameters

NAN = np.nan


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"_FillValue": -9999.0}, [NAN, 0.0, 20.0, 5000.0]),
        ({"missing_value": np.float32(-9999.0)}, [NAN, 0.0, 20.0, 5000.0]),
        ({"missing_value": [-9999.0, 5000.0]}, [NAN, 0.0, 20.0, NAN]),
        ({"valid_min": 0.0}, [NAN, 0.0, 20.0, 5000.0]),
        ({"valid_max": 100}, [-9999.0, 0.0, 20.0, NAN]),
        ({"valid_range": np.array([0.0, 100.0])}, [NAN, 0.0, 20.0, NAN]),
        ({"valid_range": "0 to 100", "_FillValue": "none"}, [-9999.0, 0.0, 20.0, 5000.0]),
        ({"units": "mm/day"}, [-9999.0, 0.0, 20.0, 5000.0]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("lazy", [False, True])
def test_stated_missing_values_are_nan(attrs: Any, expected: list[float], dtype: str, lazy: bool) -> None:
    """Whatever the type; attributes stay, so that units are known."""
    array = xr.DataArray(np.array([-9999, 0, 20, 5000], dtype=dtype), dims="time", attrs=attrs)
    out = stated_missing(array.chunk() if lazy else array)
    np.testing.assert_array_equal(out.values, expected)
    assert out.attrs == array.attrs


def test_what_states_nothing_is_the_same_array() -> None:
    """No copy, no task: most arrays are sound."""
    array = xr.DataArray([0.0, 2.0], dims="time", attrs={"valid_min": 0.0, "units": "mm/day"})
    assert stated_missing(array) is array


def test_limits_of_packed_values_are_unpacked(tmp_path: Any) -> None:
    """A file states them in the packed type; xarray decodes the values and leaves the limits."""
    ds = xr.Dataset({"et": ("time", [1.0, 25.0, 3276.1])})
    ds["et"].attrs["valid_range"] = np.array([0, 32700], dtype="int16")
    packed = {"et": {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -1}}
    ds.to_netcdf(tmp_path / "packed.nc", encoding=packed)
    with xr.open_dataset(tmp_path / "packed.nc") as opened:
        np.testing.assert_allclose(stated_missing(opened["et"]).values, [1.0, 25.0, NAN], rtol=1e-6)


@pytest.mark.parametrize("value", [-999, -9999, np.float32(9.96921e36), 1e20, -99.9])
def test_known_codes_are_recognised(value: float) -> None:
    """Also in single precision."""
    assert look_missing(float(value))


@pytest.mark.parametrize("value", [0.0, 1.0, -40.0, 100.0, 999.5])
def test_possible_values_are_no_codes(value: float) -> None:
    """A frost of -40 degC is one."""
    assert not look_missing(value)


@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value"])
def test_stated_codes_in_the_forcing_are_missing_forcing(attribute: str) -> None:
    """Neither cold nor dry: in temperature, streamflow and mask alike."""
    ds = make_dataset()
    ds["tmean"][0, 3] = -50.0
    ds["tmean"].attrs[attribute] = -50.0
    with pytest.raises(MissingForcingError, match=r"temperature.*g0 on 2000-01-04"):
        ds.hbv.check()
    ds = make_dataset()
    ds["streamflow"][1, 4] = -999.0
    ds["streamflow"].attrs[attribute] = -999.0
    assert any("missing on 1 cell-days" in remark for remark in ds.hbv.check().remarks)
    ds = make_dataset().assign(mask=("basin", [1.0, -9999.0, 1.0], {attribute: -9999.0}))
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    np.testing.assert_array_equal(sim["streamflow"].isnull().all("time"), [False, True, False])


def test_stated_codes_of_streamflow_do_not_count_in_scores() -> None:
    """They are no observations."""
    ds = make_dataset()
    sim = ds.hbv.simulate(make_parameters(ds), variables=["streamflow"])
    ds["streamflow"][1, 4] = -999.0
    ds["streamflow"].attrs["_FillValue"] = -999.0
    np.testing.assert_array_equal(sim.hbv.evaluate(ds)["n_days"], [60, 59, 60])


@pytest.mark.parametrize("code", [9.96921e36, -9999.0, 1e20])
def test_the_number_to_mask_is_told_in_full(code: float) -> None:
    """So that the advice masks it."""
    ds = make_dataset()
    code = float(np.float32(code)) if code > 9e36 else code
    flow = ds["streamflow"].astype(float)
    flow[{"basin": 1, "time": 30}] = code
    with pytest.raises(ValueRangeError) as error:
        ds.assign(streamflow=flow).hbv.check()
    told = float(re.search(r"array != ([^)]+)\)", str(error.value))[1])  # type: ignore[index]
    assert told == code


@pytest.mark.parametrize("lazy", [False, True])
def test_an_observation_that_cannot_be_is_not_scored(lazy: bool) -> None:
    """Arrays alone have no role, yet no flow is that; 9999 cubic feet per second is one."""
    days = {"time": np.arange("2000-01-01", "2000-01-11", dtype="M8[D]").astype("M8[ns]")}
    simulated = xr.DataArray(np.arange(10.0), dims="time", coords=days)
    for code in (9.96921e36, -999.0, 1e20):
        observed = simulated.where(np.arange(10) != 4, code)
        with pytest.raises(ValueRangeError, match="in 1 of 10 places"):
            nse(simulated, observed.chunk(time=10) if lazy else observed).load()
    assert nse(simulated + 9990, simulated + 9990) == 1


def test_stated_codes_make_a_month_missing() -> None:
    """A mean of -32 mm/day came of one day without an observation."""
    ds = make_dataset()[["streamflow"]]
    ds["streamflow"][1, 4] = -999.0
    ds["streamflow"].attrs["missing_value"] = -999.0
    monthly = aggregate_time(ds, "month")["streamflow"]
    np.testing.assert_array_equal(monthly.isel(time=0).isnull(), [False, True, False])
