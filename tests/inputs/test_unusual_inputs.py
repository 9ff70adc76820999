"""A table of inputs that are unusual and right: each gives what the plain input gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from tests.conftest import FIT
from tests.support.labelled import make_parameters

Change = Callable[[xr.Dataset], xr.Dataset]


def for_all(make: Callable[[xr.DataArray], xr.DataArray]) -> Change:
    names = ("prcp", "tmean", "pet", "streamflow")
    return lambda ds: ds.assign({name: make(ds[name]).assign_attrs(ds[name].attrs) for name in names})


def read_only(array: xr.DataArray) -> xr.DataArray:
    values = array.values.copy()
    values.setflags(write=False)
    return array.copy(data=values)


def coded(array: xr.DataArray) -> xr.DataArray:
    return array.assign_attrs(_FillValue=-9999.0, missing_value=1e20)


def in_units(name: str, factor: float, offset: float, units: str) -> Change:
    return lambda ds: ds.assign({name: (ds[name].astype(float) * factor + offset).assign_attrs(units=units)})


def ending(ds: xr.Dataset) -> xr.Dataset:
    """Stamps at the end of the day that time bounds give."""
    day = np.timedelta64(1, "D")
    bounds = np.stack([ds["time"].values, ds["time"].values + day], 1)
    ds = ds.assign_coords(time=ds["time"] + day, time_bnds=(("time", "nv"), bounds))
    ds["time"].attrs["bounds"] = "time_bnds"
    return ds


UNUSUAL: dict[str, Change] = {
    "float64": for_all(lambda array: array.astype("float64")),
    "big-endian": for_all(lambda array: array.astype(">f4")),
    "reversed view": for_all(lambda array: array[:, ::-1].copy()[:, ::-1]),
    "read-only": for_all(read_only),
    "Fortran order": for_all(lambda array: array.copy(data=np.asfortranarray(array.values))),
    "time first": for_all(lambda array: array.transpose("time", "basin")),
    "time first here, last there": lambda ds: ds.assign(pet=ds["pet"].T),
    "a chunk a cell": lambda ds: ds.chunk(basin=1),
    "a chunk a day": lambda ds: ds.chunk(time=1),
    "odd chunks": lambda ds: ds.chunk(basin=(2, 1), time=(7, 50, 3)),
    "one lazy variable": lambda ds: ds.assign(pet=ds["pet"].chunk(time=13)),
    "codes that do not occur": for_all(coded),
    "other names": lambda ds: ds.rename(prcp="pr", tmean="tas", pet="evspsblpot", streamflow="qobs"),
    "names by standard name": lambda ds: ds.rename(prcp="Regen").assign(
        Regen=ds["prcp"].assign_attrs(standard_name="precipitation_flux")
    ),
    "kilograms": in_units("prcp", 1 / 86400, 0, "kg m-2 s-1"),
    "metres": in_units("prcp", 1e-3, 0, "m/day"),
    "inches": in_units("prcp", 1 / 25.4, 0, "inch/day"),
    "kelvin": in_units("tmean", 1, 273.15, "K"),
    "fahrenheit": in_units("tmean", 1.8, 32, "degF"),
    "hourly rates": in_units("pet", 1 / 24, 0, "mm/h"),
    "stamps at noon": lambda ds: ds.assign_coords(time=ds["time"] + np.timedelta64(12, "h")),
    "seconds as stamps": lambda ds: ds.assign_coords(time=ds["time"].astype("datetime64[s]")),
    "a calendar without leap days": lambda ds: ds.assign_coords(
        time=xr.date_range("2001-01-01", periods=60, calendar="noleap", use_cftime=True)
    ),
    "a calendar of 360 days": lambda ds: ds.assign_coords(
        time=xr.date_range("2001-01-01", periods=60, calendar="360_day", use_cftime=True)
    ),
    "the year 2400": lambda ds: ds.assign_coords(
        time=xr.date_range("2400-01-01", periods=60, use_cftime=True)
    ),
    "jitter": lambda ds: ds.assign_coords(time=ds["time"] + np.arange(60) % 3 * np.timedelta64(1, "us")),
    "stamps at the end of the day": ending,
    "daily sums": lambda ds: ds.assign(prcp=ds["prcp"].assign_attrs(units="mm", cell_methods="time: sum")),
    "rain and snow": lambda ds: ds.assign(rain=(ds["prcp"] / 4), snow=(ds["prcp"] * 0.75)).drop_vars("prcp"),
    "a sign of degrees": lambda ds: ds.assign(tmean=ds["tmean"].assign_attrs(units=" °C")),
    "units of NumPy": lambda ds: ds.assign(prcp=ds["prcp"].assign_attrs(units=np.str_("mm d**-1"))),
    "double of 128 bits": for_all(lambda array: array.astype("longdouble")),
    "a masked array": for_all(lambda array: array.copy(data=np.ma.masked_invalid(array.values))),
    "objects of numbers": for_all(lambda array: array.astype(object)),
    "text of numbers": lambda ds: ds.assign(pet=ds["pet"].astype(str).assign_attrs(units="mm/day")),
    "a range that holds": for_all(lambda array: array.assign_attrs(valid_range=[-100.0, 1000.0])),
    "text that is missing": lambda ds: ds.assign_coords(
        river=("basin", np.array(["a", np.nan, None], dtype=object))
    ),
    "a mask of numbers": lambda ds: ds.assign(mask=("basin", [1, 1, 1])),
    "a dimension of one": lambda ds: ds.expand_dims(realization=1),
    "other variables": lambda ds: ds.assign(colour=("basin", ["r", "g", "b"]), level=("z", [1.0, 2.0])),
    "a variable of objects": lambda ds: ds.assign(notes=("basin", np.array([{}, [], None], dtype=object))),
    "a dimension of another name": lambda ds: ds.rename(basin="Größe"),
    "no labels": lambda ds: ds.drop_vars("basin"),
    "a scalar coordinate": lambda ds: ds.assign_coords(height=2.0, source="tower"),
    "the same pet everywhere": lambda ds: ds.assign(pet=ds["pet"].isel(basin=0, drop=True)),
    "masked nowhere": lambda ds: ds.assign(mask=("basin", [True, True, True])),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_inputs_give_what_plain_ones_give(ds: xr.Dataset, name: str) -> None:
    """To rounding; and ``check`` has nothing against them."""
    parameters = make_parameters(ds)
    if "same" in name:
        ds["pet"][:] = ds["pet"].values[0]
    expected = ds.hbv.simulate(parameters, variables=["streamflow"])["streamflow"]
    unusual = UNUSUAL[name](ds)
    labels = parameters.rename(basin="Größe") if "Größe" in unusual.dims else parameters
    labels = labels.drop_vars("basin") if "no labels" in name else labels
    assert unusual.hbv.check().improbable == ()
    found = unusual.hbv.simulate(labels, variables=["streamflow"])["streamflow"]
    found = found.squeeze("realization") if "realization" in found.dims else found
    space = next(dim for dim in found.dims if dim != "time")
    np.testing.assert_allclose(found.transpose(space, "time").values, expected.values, rtol=2e-4, atol=2e-5)


def test_one_day_and_one_cell(ds: xr.Dataset) -> None:
    """The least that there can be."""
    least = ds.isel(time=[0], basin=[1])
    assert least.hbv.check().days == 1
    assert least.hbv.simulate(make_parameters(least))["streamflow"].shape == (1, 1)


TEXT: dict[str, Any] = {
    "objects": [120.5, 300.0, 95.2],
    "text": ["120.5", "300", "95.2"],
    "padded": [" 120.5", "300.0 ", "9.52e1"],
    "bytes": np.array([b"120.5", b"300", b"95.2"]),
}


@pytest.mark.parametrize("kind", TEXT)
@pytest.mark.parametrize("lazy", [False, True])
def test_numbers_stored_as_text_are_numbers(ds: xr.Dataset, kind: str, lazy: bool) -> None:
    """A model trained with them is the model trained with numbers, and runs on either."""
    spec = hx.DeltaHBV(components=1, hidden=2, network="lstm")
    numbers = ds.assign(elev_mean=("basin", [120.5, 300.0, 95.2], {"units": "m"}))
    values = TEXT[kind] if isinstance(TEXT[kind], np.ndarray) else np.array(TEXT[kind], dtype=object)
    text = ds.assign(elev_mean=("basin", values, {"units": "m"}))
    options = {**FIT, "iterations": 1, "attributes": ["elev_mean", "p_mean"]}
    model = numbers.hbv.fit(spec, **options)
    if not lazy:
        assert text.hbv.fit(spec, **options) == model
    sim = (text.chunk() if lazy else text).hbv.simulate(model)
    np.testing.assert_allclose(sim["streamflow"], numbers.hbv.simulate(model)["streamflow"], rtol=1e-5)


def test_attributes_in_other_units_are_converted(ds: xr.Dataset, tmp_path: Any) -> None:
    """Feet and metres; a saved model remembers; what cannot be an elevation is refused."""
    spec = hx.DeltaHBV(components=1, hidden=2, network="lstm")
    model = ds.hbv.fit(spec, **{**FIT, "iterations": 1, "attributes": ["elev_mean", "p_mean"]})
    model.save(tmp_path / "model")
    loaded = hx.load_model(tmp_path / "model")
    assert loaded == model
    assert loaded.attribute_units == {"elev_mean": "m", "p_mean": "mm day-1"}
    feet = ds.assign(elev_mean=(ds["elev_mean"] / 0.3048).assign_attrs(units="ft"))
    expected = ds.hbv.simulate(model)["streamflow"]
    for each in (feet, feet.chunk()):
        np.testing.assert_allclose(each.hbv.simulate(loaded)["streamflow"], expected, rtol=1e-5)
    wrong = ds.assign(elev_mean=ds["elev_mean"].assign_attrs(units="degC"))
    with pytest.raises(hx.errors.UnitsError, match=r"'elev_mean' is in 'degC'.*'m'"):
        wrong.hbv.simulate(loaded)


def test_gaps_and_codes_among_training_attributes_are_told(ds: xr.Dataset) -> None:
    """Counted, by name."""
    ds["elev_mean"][1] = -999.0
    spec = hx.DeltaHBV(components=1, hidden=2, network="lstm")
    message = r"elev_mean is -999 in 1 of 3 cells.*frac_forest is missing in 1 of 3 cells"
    with pytest.warns(hx.errors.HydroxrWarning, match=message):
        ds.hbv.fit(spec, **{**FIT, "iterations": 1})


def test_parameters_fill_what_is_missing(ds: xr.Dataset, static_model: Any) -> None:
    """As ``simulate`` does; with none of the attributes there is nothing to fill from."""
    less = ds.drop_vars("p_mean")
    with pytest.raises(hx.errors.MissingAttributeError, match="missing='fill'"):
        less.hbv.parameters(static_model)
    with pytest.warns(hx.errors.HydroxrWarning, match="p_mean is missing"):
        filled = less.hbv.parameters(static_model, missing="fill")
    assert bool(np.isfinite(filled["FC"]).all())
    none = ds.drop_vars(static_model.attributes)
    with pytest.raises(hx.errors.MissingAttributeError, match="has none of the attributes"):
        none.hbv.parameters(static_model, missing="fill")
