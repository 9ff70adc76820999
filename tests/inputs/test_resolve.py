"""How inputs are found, and what is refused: each error named for what is wrong, with what to do about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import errors
from hydroxr.errors import (
    AmbiguousVariableError,
    CoordinateError,
    DimensionError,
    EmptySelectionError,
    HydroxrError,
    MissingAttributeError,
    MissingForcingError,
    MissingObservationError,
    MissingVariableError,
    TimeAxisError,
    UnitsError,
    ValueRangeError,
)
from hydroxr.inputs import resolve
from hydroxr.inputs.find import find
from hydroxr.models.model import Model
from tests.conftest import FIT
from tests.support.labelled import (
    OUTPUTS,
    assert_same_values,
    make_dataset,
    make_parameters,
    raise_if_dask_computes,
    with_extremes,
)

# --- Finding --------------------------------------------------------------------------------------

# The contract's table.
NAMES = {
    "prcp": ("prcp", "pr", "precipitation"),
    "tmean": ("tmean", "tas", "t2m"),
    "pet": ("pet", "evspsblpot"),
    "streamflow": ("streamflow", "qobs", "q"),
}
STANDARD_NAMES = {
    "prcp": ("precipitation_flux", "lwe_precipitation_rate"),
    "tmean": ("air_temperature",),
    "pet": ("water_potential_evaporation_flux",),
    "streamflow": ("runoff_flux",),
}


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in NAMES.items() for name in names])
def test_inputs_are_found_by_name(ds: xr.Dataset, role: str, name: str) -> None:
    """Every name of the contract."""
    renamed = ds.rename({role: name}) if role != name else ds
    assert find(renamed, role) == name
    renamed.hbv.check()


@pytest.mark.parametrize(
    ("role", "standard_name"), [(role, name) for role, names in STANDARD_NAMES.items() for name in names]
)
def test_inputs_are_found_by_standard_name(ds: xr.Dataset, role: str, standard_name: str) -> None:
    """Where no name is known, every standard name of the contract; the result is the same."""
    parameters = make_parameters(ds)
    renamed = ds.rename({role: "mine"})
    renamed["mine"].attrs["standard_name"] = standard_name
    assert find(renamed, role) == "mine"
    assert_same_values(renamed.hbv.simulate(parameters), ds.hbv.simulate(parameters))


def test_a_name_counts_before_a_standard_name(ds: xr.Dataset) -> None:
    """``prcp`` is the precipitation, whatever else has its standard name."""
    other = (ds["prcp"] * 2).assign_attrs(units="mm/day", standard_name="precipitation_flux")
    assert find(ds.assign(other=other), "prcp") == "prcp"


@pytest.mark.parametrize(
    ("role", "name"), [("prcp", "pr"), ("tmean", "t2m"), ("pet", "evspsblpot"), ("streamflow", "q")]
)
def test_two_names_are_an_error_that_has_both(ds: xr.Dataset, role: str, name: str) -> None:
    """No rule decides between two of the contract's names."""
    with pytest.raises(AmbiguousVariableError, match=rf"{role}.*{name}.*drop_vars"):
        ds.assign({name: ds[role]}).hbv.check()


def test_two_standard_names_are_an_error_that_has_both(ds: xr.Dataset) -> None:
    """Nor between two standard names."""
    ds = ds.rename(prcp="gauge").assign(radar=ds["prcp"])
    for name in ("gauge", "radar"):
        ds[name].attrs["standard_name"] = "precipitation_flux"
    with pytest.raises(AmbiguousVariableError, match=r"(?s)gauge.*radar|radar.*gauge"):
        ds.hbv.simulate(make_parameters(ds.rename(gauge="prcp")))


def test_bounds_and_other_variables_do_not_count(ds: xr.Dataset) -> None:
    """Space is what the precipitation has beside time; bounds and profiles may lie about."""
    parameters = make_parameters(ds)
    more = ds.assign(
        time_bnds=(("time", "bnds"), np.stack([ds["time"], ds["time"]], axis=1)),
        soil=(("basin", "depth"), np.zeros((3, 4))),
        pr_error=(
            ("basin", "time"),
            np.zeros((3, 60)),
            {"standard_name": "precipitation_flux standard_error"},
        ),
    )
    sim = more.hbv.simulate(parameters)
    assert sim["streamflow"].dims == ("basin", "time")
    assert_same_values(sim, ds.hbv.simulate(parameters))


def test_extremes_stand_in_for_the_mean(ds: xr.Dataset) -> None:
    """Without tmean, the mean of tmin and tmax, each in its own units; extremes are not mistaken for the
    mean."""
    extremes = with_extremes(ds)
    for name, method in (("tmin", "minimum"), ("tmax", "maximum")):
        extremes[name].attrs |= {"standard_name": "air_temperature", "cell_methods": f"time: {method}"}
    with_mean = extremes.assign(pet=ds["pet"])
    without = with_mean.drop_vars("tmean")
    kelvin = without.assign(tmax=(without["tmax"] + 273.15).assign_attrs(units="K"))
    parameters = make_parameters(ds)
    expected = with_mean.hbv.simulate(parameters)
    assert_same_values(without.hbv.simulate(parameters), expected, atol=1e-3)
    assert_same_values(kelvin.hbv.simulate(parameters), expected, atol=1e-2)


def test_discharge_is_brought_to_depth_by_the_area(ds: xr.Dataset) -> None:
    """1 m3 s-1 from 86.4 km2 is 1 mm/day."""
    ds["streamflow"] = xr.ones_like(ds["streamflow"]).assign_attrs(units="m3 s-1")
    area = xr.DataArray([86.4, 864.0, 8.64], dims="basin", attrs={"units": "km2"})
    observed = resolve.observed_streamflow(ds.assign(area_gages2=area))
    np.testing.assert_allclose(observed.isel(time=0), [1.0, 0.1, 10.0], rtol=1e-6)
    in_m2 = ds.assign(area=(area * 1e6).assign_attrs(units="m2"))
    np.testing.assert_allclose(resolve.observed_streamflow(in_m2), observed, rtol=1e-6)
    with pytest.raises(MissingVariableError, match=r"'streamflow'.*m3 s-1.*area.*km2"):
        resolve.observed_streamflow(ds)


# --- Refusing: one table of what can be wrong -----------------------------------------------------


def units(ds: xr.Dataset, name: str, value: str | None) -> xr.Dataset:
    """``ds`` with other units written to a variable, its values as they are."""
    ds = ds.copy(deep=True)
    if value is None:
        del ds[name].attrs["units"]
    else:
        ds[name].attrs["units"] = value
    return ds


def value(ds: xr.Dataset, name: str, what: float, basin: int = 1, day: int = 5) -> xr.Dataset:
    """``ds`` with one value replaced."""
    ds = ds.copy(deep=True)
    ds[name][basin, day] = what
    return ds


def times(ds: xr.Dataset, order: Any) -> xr.Dataset:
    """The days ``order`` of ``ds``, whatever they are."""
    return ds.isel(time=list(order))


HOURS = pd.date_range("2000-01-01", periods=60, freq="h")
WRONG: dict[str, tuple[Any, type[HydroxrError], list[str]]] = {
    # what is wrong: (what makes it so, the error, what its message must say)
    "no precipitation": (
        lambda ds: ds.drop_vars("prcp"),
        MissingVariableError,
        ["precipitation", "prcp, pr", "'tmean'", "rename"],
    ),
    "no temperature": (
        lambda ds: ds.drop_vars("tmean"),
        MissingVariableError,
        ["temperature", "tmean, tas", "tmin", "'prcp'"],
    ),
    "no PET": (
        lambda ds: ds.drop_vars("pet"),
        MissingVariableError,
        ["potential evapotranspiration", "tmin", "tmax", "Hargreaves", "add"],
    ),
    "no units": (lambda ds: units(ds, "prcp", None), UnitsError, ["'prcp'", "no 'units'", "mm/day", "attrs"]),
    "empty units": (lambda ds: units(ds, "pet", " "), UnitsError, ["'pet'", "mm/day", "attrs"]),
    "strange units": (
        lambda ds: units(ds, "prcp", "mm/month"),
        UnitsError,
        ["'prcp'", "'mm/month'", "mm/day", "Convert"],
    ),
    "scaled units": (lambda ds: units(ds, "prcp", "0.1 mm/day"), UnitsError, ["'prcp'", "'0.1 mm/day'"]),
    "units of another quantity": (
        lambda ds: units(ds, "tmean", "mm/day"),
        UnitsError,
        ["'tmean'", "'mm/day'", "degC or K"],
    ),
    "time of another name": (
        lambda ds: ds.rename(time="date"),
        DimensionError,
        ["'prcp'", "'date'", "'time'", "rename"],
    ),
    "precipitation without time": (
        lambda ds: ds.assign(prcp=ds["prcp"].isel(time=0, drop=True)),
        DimensionError,
        ["'prcp'", "'basin'", "'time'"],
    ),
    "temperature without time": (
        lambda ds: ds.assign(tmean=ds["tmean"].isel(time=0, drop=True)),
        DimensionError,
        ["'tmean'", "'basin'", "'time'"],
    ),
    "a dimension too many": (
        lambda ds: ds.assign(tmean=ds["tmean"].expand_dims(height=2)),
        DimensionError,
        ["'tmean'", "'height'", "isel"],
    ),
    "no dates": (
        lambda ds: ds.drop_vars("time"),
        TimeAxisError,
        ["'time'", "no coordinate", "assign_coords"],
    ),
    "numbers for dates": (
        lambda ds: ds.assign_coords(time=np.arange(60)),
        TimeAxisError,
        ["'time'", "int64", "dates", "decode_cf"],
    ),
    "text for dates": (
        lambda ds: ds.assign_coords(time=ds["time"].dt.strftime("%Y-%m-%d").values),
        TimeAxisError,
        ["'time'", "dates"],
    ),
    "unsorted": (lambda ds: times(ds, [0, 2, 1, *range(3, 60)]), TimeAxisError, ["not sorted", "sortby"]),
    "backwards": (lambda ds: times(ds, range(59, -1, -1)), TimeAxisError, ["not sorted", "sortby"]),
    "a day twice": (
        lambda ds: times(ds, [0, 1, 1, *range(2, 60)]),
        TimeAxisError,
        ["2000-01-02", "more than once", "drop_duplicates"],
    ),
    "a gap": (
        lambda ds: times(ds, [*range(10), *range(13, 60)]),
        TimeAxisError,
        ["gap", "2000-01-14", "2000-01-10", "every day", "resample"],
    ),
    "hourly": (lambda ds: ds.assign_coords(time=HOURS), TimeAxisError, ["steps", "daily", "resample"]),
    "monthly": (
        lambda ds: ds.assign_coords(time=pd.date_range("2000-01-01", periods=60, freq="MS")),
        TimeAxisError,
        ["steps of 31 days", "daily", "resample"],
    ),
    "no days": (lambda ds: ds.isel(time=slice(0, 0)), EmptySelectionError, ["no days", "selection"]),
    "no cells": (lambda ds: ds.isel(basin=[]), EmptySelectionError, ["basin"]),
    "K labelled degC": (
        lambda ds: ds.assign(tmean=(ds["tmean"] + 273.15).assign_attrs(units="degC")),
        UnitsError,
        ["temperature", "kelvin", "'K'", "2000-01-01"],
    ),
    "degC labelled K": (
        lambda ds: units(ds, "tmean", "K"),
        UnitsError,
        ["temperature", "degC", "'degC'", "2000-01-01"],
    ),
    "negative precipitation": (
        lambda ds: value(ds, "prcp", -9999),
        ValueRangeError,
        ["precipitation", "-9999", "g1", "2000-01-06", "0 to 2000", "missing values"],
    ),
    "slightly negative precipitation": (
        lambda ds: value(ds, "prcp", -0.001),
        ValueRangeError,
        ["precipitation", "-0.001", "g1"],
    ),
    "a flood": (
        lambda ds: value(ds, "prcp", 1e5),
        ValueRangeError,
        ["precipitation", "100000", "units right"],
    ),
    "infinite": (lambda ds: value(ds, "pet", np.inf), ValueRangeError, ["evapotranspiration", "inf", "g1"]),
    "an impossible temperature": (
        lambda ds: value(ds, "tmean", -999),
        ValueRangeError,
        ["temperature", "-999", "g1", "-100 to 70"],
    ),
    "missing precipitation": (
        lambda ds: value(ds, "prcp", np.nan),
        MissingForcingError,
        ["precipitation", "1 of 180", "g1", "2000-01-06", "every day", "fill"],
    ),
    "missing temperature": (
        lambda ds: value(ds, "tmean", np.nan),
        MissingForcingError,
        ["temperature", "g1", "2000-01-06", "fill"],
    ),
}
USES: dict[str, Any] = {
    "check": lambda ds: ds.hbv.check(),
    "simulate": lambda ds: ds.hbv.simulate(make_parameters(make_dataset())),
    "fit": lambda ds: ds.hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT | {"time": None}),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("wrong", WRONG)
def test_bad_input_is_refused(ds: xr.Dataset, wrong: str, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By check, simulate and fit: the named error, before any computation, whose message says what, where,
    what was expected and what to do."""
    from hydroxr.physics import simulation
    from hydroxr.training.loop import train as training

    def computed(*args: Any, **options: Any) -> None:
        raise AssertionError("something long was computed before the error")

    monkeypatch.setattr(training, "train", computed)
    monkeypatch.setattr(simulation, "simulate_tensors", computed)
    make, error, words = WRONG[wrong]
    with pytest.raises(error) as caught:
        USES[use](make(ds))
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


def is_seen_without_values(wrong: str) -> bool:
    """Whether names, units, dimensions and days alone tell."""
    return WRONG[wrong][1] not in (ValueRangeError, MissingForcingError) and "labelled" not in wrong


@pytest.mark.parametrize("wrong", [wrong for wrong in WRONG if is_seen_without_values(wrong)])
def test_bad_lazy_input_is_refused_at_once(ds: xr.Dataset, wrong: str) -> None:
    """What can be seen without the values is, when simulate is called."""
    make, error, _ = WRONG[wrong]
    parameters = make_parameters(ds)
    bad = make(ds)
    bad = bad.drop_vars("basin_id").chunk()
    with raise_if_dask_computes(), pytest.raises(error):
        bad.hbv.simulate(parameters)


@pytest.mark.parametrize("wrong", [wrong for wrong in WRONG if not is_seen_without_values(wrong)])
def test_bad_lazy_values_are_refused_when_they_are_computed(ds: xr.Dataset, wrong: str) -> None:
    """The same error, out of the block."""
    make, error, words = WRONG[wrong]
    sim = make(ds).chunk(basin=1).hbv.simulate(make_parameters(ds))
    with pytest.raises(error, match=words[0]):
        sim.compute()


@pytest.mark.parametrize("chunked", ["forcing", "parameters"])
def test_an_error_never_names_another_cell(ds: xr.Dataset, chunked: str) -> None:
    """Whatever is lazy, the cell that the message names (if it names one) is the one at fault."""
    bad = value(ds, "prcp", -1.0, basin=2)
    parameters = make_parameters(ds)
    if chunked == "forcing":
        bad = bad.chunk(basin=1)
    else:
        parameters = parameters.chunk(basin=1)
    with pytest.raises(ValueRangeError) as caught:
        bad.hbv.simulate(parameters).compute()
    assert "g0" not in str(caught.value)
    assert "g1" not in str(caught.value)


@pytest.mark.parametrize(
    ("role", "name", "change"),
    [
        ("prcp", "pr", lambda array: array - 50),
        ("tmean", "tas", lambda array: array + 273.15),
        ("pet", "evspsblpot", lambda array: array * np.nan),
    ],
)
def test_messages_have_the_name_that_the_dataset_uses(
    ds: xr.Dataset, role: str, name: str, change: Any
) -> None:
    """Not the table's: the user looks for ``tas``, not for ``tmean``."""
    bad = ds.assign({role: change(ds[role]).assign_attrs(units=ds[role].attrs["units"])}).rename({role: name})
    with pytest.raises(HydroxrError, match=f"'{name}'"):
        bad.hbv.check()


def test_every_error_has_one_base(ds: xr.Dataset) -> None:
    """All are ``hx.HydroxrError``, none of them is anything else of Python's."""
    assert hx.HydroxrError is HydroxrError
    named = [
        thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)
    ]
    assert len(named) > 15
    for error in named:
        assert issubclass(error, (HydroxrError, hx.HydroxrWarning))
        assert error.__doc__


# --- Attributes, observations, cells --------------------------------------------------------------


@pytest.mark.parametrize("lazy", [False, True])
def test_attributes_that_a_model_needs_must_be_there(ds: xr.Dataset, static_model: Model, lazy: bool) -> None:
    """All that are absent are named."""
    ds = ds.drop_vars(["p_mean", "geol_class_1st"])
    with pytest.raises(MissingAttributeError, match=r"p_mean, geol_class_1st.*add"):
        (ds.chunk() if lazy else ds).hbv.simulate(static_model)


def test_attributes_that_are_chosen_must_be_there(ds: xr.Dataset) -> None:
    """Chosen ones that are absent are named; without any of the paper's, one must choose."""
    spec = hx.DeltaHBV(components=1, hidden=4)
    with pytest.raises(MissingAttributeError, match=r"slope_mean.*attributes=\["):
        ds.hbv.fit(spec, attributes=["p_mean", "slope_mean"], **FIT)
    with pytest.raises(MissingAttributeError, match=r"Table A1.*attributes=\[.*constant"):
        ds.drop_vars(["p_mean", "elev_mean", "frac_forest", "geol_class_1st"]).hbv.fit(spec, **FIT)


def test_attributes_do_not_vary_in_time(ds: xr.Dataset, static_model: Model) -> None:
    """A series is no attribute; in fit this is said before anything is read."""
    with raise_if_dask_computes(), pytest.raises(DimensionError, match=r"'tmean'.*'time'"):
        ds.chunk().hbv.fit(hx.DeltaHBV(components=1, hidden=4), attributes=["tmean"], **FIT)
    with pytest.raises(DimensionError, match=r"'elev_mean'.*'time'"):
        ds.assign(elev_mean=ds["tmean"]).hbv.simulate(static_model)


def test_streamflow_to_learn_from_must_be_there(ds: xr.Dataset) -> None:
    """Absent, missing throughout, or missing wherever a window could be."""
    spec = hx.DeltaHBV(components=1, network="constant")
    with pytest.raises(MissingVariableError, match=r"streamflow, qobs, q.*'prcp'"):
        ds.drop_vars("streamflow").hbv.fit(spec, **FIT)
    with pytest.raises(MissingVariableError, match="'discharge'"):
        ds.hbv.fit(spec, target="discharge", **FIT)
    with pytest.raises(MissingObservationError, match="every day"):
        ds.assign(streamflow=ds["streamflow"].where(False)).hbv.fit(spec, **FIT)
    only_in_warmup = ds["streamflow"].where(ds["time"] < np.datetime64("2000-01-12"))
    with pytest.raises(MissingObservationError):
        ds.assign(streamflow=only_in_warmup).hbv.fit(spec, **FIT)


def test_streamflow_must_be_possible(ds: xr.Dataset) -> None:
    """-999 for a missing value is not learned from."""
    with pytest.raises(ValueRangeError, match=r"streamflow.*-999.*g1 on 2000-01-11.*missing values"):
        value(ds, "streamflow", -999, day=10).hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)
    with pytest.raises(UnitsError, match=r"'streamflow'.*'cubic feet'"):
        units(ds, "streamflow", "cubic feet").hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)


def test_selections_must_hold_something(ds: xr.Dataset, static_model: Model) -> None:
    """A period outside of the data, one too short for a window, a parameter window outside."""
    spec = hx.DeltaHBV(components=1, network="constant")
    options = {key: value for key, value in FIT.items() if key != "time"}
    with pytest.raises(EmptySelectionError, match=r"1990.*2000-01-01 to 2000-02-29"):
        ds.hbv.fit(spec, time=slice("1990-01-01", "1995-01-01"), **options)
    with pytest.raises(EmptySelectionError, match=r"20 days.*10 of warm-up.*20"):
        ds.hbv.fit(spec, time=slice("2000-01-01", "2000-01-20"), **options)
    with pytest.raises(EmptySelectionError, match=r"1990.*2000-01-01 to 2000-02-29"):
        ds.hbv.parameters(static_model, time=slice("1990-01-01", "1995-01-01"))


def test_cells_that_a_constant_model_does_not_know_are_refused(ds: xr.Dataset, constant_model: Model) -> None:
    """By label, by number, by name."""
    with pytest.raises(CoordinateError, match=r"basin 31.*1 of 3"):
        ds.assign_coords(basin=[10, 20, 31]).hbv.simulate(constant_model)
    with pytest.raises(CoordinateError, match=r"3.*2"):
        ds.isel(basin=[0, 1]).drop_vars("basin").hbv.simulate(constant_model)
    names = ("basin", ds["basin_id"].values[::-1])
    with pytest.raises(CoordinateError, match=r"'g0'.*'g2'") as caught:
        ds.assign_coords(basin_id=names).hbv.simulate(constant_model)
    assert "np.str_" not in str(caught.value)


def test_a_constant_model_of_one_place_does_not_know_another(ds: xr.Dataset) -> None:
    """Also where neither has a dimension of space."""
    model = ds.isel(basin=[0]).hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)
    with pytest.raises(CoordinateError, match="basin"):
        ds.isel(basin=[1]).hbv.simulate(model)
    single = ds.isel(basin=0).hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)
    with pytest.raises(CoordinateError, match="basin"):
        ds.isel(basin=1).hbv.simulate(single)


def test_what_does_not_name_places_does_not_tell_them_apart(ds: xr.Dataset) -> None:
    """A model runs on another scenario of its basins, which a scalar of text may name."""
    trained = ds.assign_coords(scenario="historical")
    model = trained.hbv.fit(hx.DeltaHBV(components=1, network="constant"), **FIT)
    warmer = ds.assign_coords(scenario="ssp585")
    warmer.hbv.simulate(model)
    _, state = trained.hbv.simulate(model, return_state=True)
    warmer.hbv.simulate(model, initial_state=state.drop_vars("time"))


def test_grids_that_do_not_match_are_refused(grid: xr.Dataset) -> None:
    """Parameters half a cell off."""
    parameters = make_parameters(grid)
    shifted = parameters.assign_coords(lat=parameters["lat"] + 0.25)
    with pytest.raises(CoordinateError, match=r"lat 45\.5"):
        grid.hbv.simulate(shifted)


# --- Calendars ------------------------------------------------------------------------------------


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard", "proleptic_gregorian", "julian"])
def test_calendars_of_climate_models_are_accepted(
    ds: xr.Dataset, calendar: str, dynamic_model: Model, tmp_path: Any
) -> None:
    """Checked, simulated with time bounds of their own calendar, continued, evaluated, written and read
    again."""
    days = xr.date_range("2000-01-01", periods=60, calendar=calendar, use_cftime=True)
    other = ds.assign_coords(time=days)
    assert other.hbv.check().days == 60
    parameters = make_parameters(ds)
    sim = other.hbv.simulate(parameters)
    assert_same_values(sim[list(OUTPUTS)], ds.hbv.simulate(parameters).drop_vars("time")[list(OUTPUTS)])
    assert ((sim["time_bnds"][:, 1] - sim["time_bnds"][:, 0]) == np.timedelta64(1, "D")).all()
    assert (sim["time_bnds"][1:, 0].values == sim["time_bnds"][:-1, 1].values).all()
    other.hbv.simulate(dynamic_model)
    sim.hbv.evaluate(other)
    sim.hbv.water_balance()
    _, middle = other.isel(time=slice(0, 50)).hbv.simulate(parameters, return_state=True)
    other.isel(time=slice(50, None)).hbv.simulate(parameters, initial_state=middle)
    path = sim.hbv.to_netcdf(tmp_path / "sim.nc")
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as opened:
        assert opened["time"].dt.calendar == calendar
        np.testing.assert_array_equal(opened["time"], days)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_hargreaves_and_training_take_any_calendar(ds: xr.Dataset, calendar: str) -> None:
    """A model is fitted and its parameter window found again."""
    days = xr.date_range("2000-01-01", periods=60, calendar=calendar, use_cftime=True)
    other = with_extremes(ds).assign_coords(time=days)
    model = other.hbv.fit(hx.DeltaHBV(components=1, hidden=4), **FIT)
    assert "the training period" in other.hbv.simulate(model).attrs["hydroxr_parameter_window"]


def test_a_model_of_one_calendar_runs_on_another(ds: xr.Dataset) -> None:
    """Trained up to 30 February, it simulates years that have none."""
    days = xr.date_range("2000-01-01", periods=60, calendar="360_day", use_cftime=True)
    model = ds.assign_coords(time=days).hbv.fit(hx.DeltaHBV(components=1, hidden=4), **FIT | {"time": None})
    assert model.training["period"][1] == "2000-02-30"
    assert "first days" in ds.hbv.simulate(model).attrs["hydroxr_parameter_window"]


def test_a_state_of_another_calendar_is_refused(ds: xr.Dataset) -> None:
    """With an error of hydroxr's."""
    parameters = make_parameters(ds)
    _, state = ds.isel(time=slice(0, 50)).hbv.simulate(parameters, return_state=True)
    days = xr.date_range("2000-02-20", periods=10, calendar="noleap", use_cftime=True)
    with pytest.raises(errors.StateError):
        ds.isel(time=slice(50, None)).assign_coords(time=days).hbv.simulate(parameters, initial_state=state)
