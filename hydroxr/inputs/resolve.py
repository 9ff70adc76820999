"""Resolve a model's inputs in a Dataset: find each once, check it, convert it to the model's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.missing_values import stated_missing
from ..conventions.stamps import by_day
from ..conventions.units import DISCHARGE_TO_DEPTH, convert, factor_offset, quantity_of
from ..conventions.variables import FORCING, VARIABLES
from ..conventions.weather import ROLES
from ..errors import DimensionError, EmptySelectionError, HydroxrError, MissingVariableError, all_in_one
from .cells import Space, check_labels, checked_latitude, space_labels, space_names
from .find import find, find_mask, find_own, find_rain_and_snow, listed, missing, nearest, spellings, unused
from .numbers import numbers_of
from .pet.choose import computed, described
from .time_axis import check_time, select_days


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs that a Dataset holds for a model; lazy where the Dataset is lazy.

    A call makes this once, where it begins, and passes it on. Every part is made when it is first
    used, and kept. Every role is looked up once, for this object and for all that :meth:`of` makes.

    Parameters
    ----------
    ds : Dataset
    wanted : tuple of str
        Names of the daily inputs. Precipitation, temperature and PET are found by role and converted;
        any other name is a variable of the Dataset, taken in its own units.
    units : mapping
        Units that those other variables must have.
    target : str
        ``"streamflow"`` finds the observed streamflow by its role; any other name is a variable.
    found : dict
        The variable found for each role, None where there is none; filled as roles are looked up.
    """

    ds: xr.Dataset
    wanted: tuple[str, ...] = FORCING
    units: Mapping[str, str] = field(default_factory=dict)
    target: str = "streamflow"
    found: dict[str, str | None] = field(default_factory=dict, repr=False)

    def of(self, part: xr.Dataset) -> Inputs:
        """The same inputs of other days or cells: ``part`` has the variables of ``ds``."""
        return replace(self, ds=part)

    def name(self, role: str) -> str | None:
        """The variable that plays a role, or None.

        Raises
        ------
        AmbiguousVariableError
            If several variables fit.
        MissingVariableError
            If the variable named as ``target`` does not exist.
        """
        if role not in self.found:
            chosen = self.target if role == "streamflow" and self.target != "streamflow" else None
            self.found[role] = find_mask(self.ds) if role == "mask" else find(self.ds, role, prefer=chosen)
        return self.found[role]

    def variable(self, role: str) -> xr.DataArray:
        """The variable that plays a role, as the Dataset has it; a MissingVariableError if there is none."""
        name = self.name(role)
        if name is not None:
            return self.ds[name]
        if role == "prcp" and self.rain_and_snow is not None:
            return self._sum_of_rain_and_snow
        raise missing(self.ds, role)

    def required(self, role: str) -> xr.DataArray:
        """The variable that plays a role, in the model's units.

        Raises
        ------
        MissingVariableError
            If there is none.
        UnitsError, ValueRangeError
            If its units are missing or wrong, or latitudes are beyond the poles.
        """
        array = convert(numbers_of(self.variable(role)), ROLES[role])
        return checked_latitude(array, str(self.name(role))) if role == "lat" else array

    @cached_property
    def rain_and_snow(self) -> tuple[str, str] | None:
        """The variables whose sum is the precipitation, if there is no variable of all of it."""
        return None if self.name("prcp") else find_rain_and_snow(self.ds)

    @cached_property
    def _sum_of_rain_and_snow(self) -> xr.DataArray:
        assert self.rain_and_snow is not None
        rain, snow = (convert(numbers_of(self.ds[name]), VARIABLES["prcp"]) for name in self.rain_and_snow)
        out: xr.DataArray = (rain + snow).rename("prcp")
        out.attrs = VARIABLES["prcp"].attrs()
        out.encoding = self.ds[self.rain_and_snow[0]].encoding
        return out

    @property
    def unused(self) -> list[str]:
        """Remarks on daily series that look like an input and are not used."""
        for role in (*FORCING, "streamflow"):
            with suppress(HydroxrError):  # nobody knows which of several is used
                self.name(role)
        return unused(self.ds, self.found)

    @cached_property
    def space(self) -> Space:
        """Dimensions of the precipitation other than ``time``."""
        return tuple(dim for dim in self.variable("prcp").dims if dim != "time")

    @property
    def days(self) -> pd.Index:
        """The time axis; a CFTimeIndex for a calendar that numpy does not know."""
        return self.ds.indexes["time"]

    @property
    def cell_count(self) -> int:
        """Number of cells in the flattened space."""
        return int(np.prod([self.ds.sizes[dim] for dim in self.space], dtype=int))

    @cached_property
    def labels(self) -> dict[str, xr.DataArray]:
        """How messages label positions along each dimension of space."""
        return space_labels(self.ds, self.space)

    @cached_property
    def cell_names(self) -> tuple[str, ...]:
        """How messages call each cell, in the order of the flattened space."""
        return space_names(self.ds, self.space)

    def check_time(self) -> None:
        """Refuse a time axis that is not daily, sorted and complete; see :func:`check_time`."""
        check_time(self.variable("prcp"), f"precipitation {self.call('prcp')}")

    @cached_property
    def forcing(self) -> dict[str, xr.DataArray]:
        """The daily inputs by ``wanted`` name, each ``(time, *space)``.

        ``prcp`` (mm/day), ``tmean`` (degC), ``pet`` (mm/day); others in their own units.

        Raises
        ------
        MissingVariableError, AmbiguousVariableError
            If an input is missing, or several variables fit.
        UnitsError
            If units are missing or wrong.
        DimensionError
            If an input has dimensions that the precipitation lacks, or a dimension is stacked.
        TimeAxisError, EmptySelectionError
            If the time axis is unsound, or there are no days or no cells.
        """
        self.check_time()  # before units: hours of sums are no daily sums in another unit
        precipitation = self.required("prcp")
        empty = [dim for dim in self.space if self.ds.sizes[dim] == 0]
        if empty:
            raise EmptySelectionError(f"the Dataset has no cells: the selection in {empty[0]!r} is empty.")
        check_labels(self.ds, self.space)
        stacked = [dim for dim in self.space if isinstance(self.ds.indexes.get(dim), pd.MultiIndex)]
        if stacked:
            raise DimensionError(
                f"{stacked[0]!r} is a stacked dimension, which no file can hold; expected plain dimensions: "
                f"ds.reset_index({str(stacked[0])!r})."
            )
        roles = {"prcp": lambda _: precipitation, "tmean": _temperature, "pet": _evapotranspiration}
        found, wrong = {}, []
        for name in self.wanted:
            try:
                array = roles[name](self) if name in roles else self._own(name)
                found[name] = self._over_space(array)
            except HydroxrError as error:  # the others may be wrong as well
                wrong.append(error)
        if wrong:
            raise all_in_one(wrong)
        return found

    @property
    def derived(self) -> tuple[str, ...]:
        """Daily inputs that the Dataset lacks and that are derived from others."""
        return tuple(name for name in self.wanted if name in FORCING and self.name(name) is None)

    @property
    def called(self) -> dict[str, str]:
        """How messages call each daily input: by its variable, or by what it is derived from."""
        return {name: self.call(name) for name in self.wanted}

    def call(self, role: str) -> str:
        """How messages call one input."""
        if role not in FORCING:
            return repr(role)
        found = self.name(role)
        if found is not None:
            return repr(found)
        if role == "prcp" and self.rain_and_snow is not None:
            return "the sum of {!r} and {!r}".format(*self.rain_and_snow)
        if role == "pet":
            return described(self)
        return f"the mean of {self.name('tmin')!r} and {self.name('tmax')!r}"

    @property
    def own_units(self) -> dict[str, str]:
        """Units of the daily inputs that are taken as they are."""
        return {name: str(self._own(name).attrs["units"]) for name in self.wanted if name not in FORCING}

    def check_units(self, units: Mapping[str, str]) -> None:
        """Refuse variables, taken as they are, that are not in ``units``, with a UnitsError."""
        for name, expected in units.items():
            find_own(self.ds, name, expected)

    def _own(self, name: str) -> xr.DataArray:
        return find_own(self.ds, name, self.units.get(name))

    @cached_property
    def mask(self) -> xr.DataArray | None:
        """Which cells to simulate: bool over some dimensions of space; None means all.

        A variable or coordinate named ``mask`` or with the standard name ``land_binary_mask``. Cells in
        which it is 0 or missing are left out.

        Raises
        ------
        DimensionError
            If it has other dimensions than those of space, or holds no numbers.
        """
        name = self.name("mask")
        if name is None:
            return None
        array = stated_missing(self.ds[name])
        strange = [dim for dim in array.dims if dim not in self.space]
        if strange or array.dtype.kind not in "biuf":
            raise DimensionError(
                f"{name!r}, of {array.dtype} over {listed(array.dims)}, is no mask of cells; expected "
                f"numbers or bool over {listed(self.space)}. Rename it if it is something else."
            )
        order = [dim for dim in self.space if dim in array.dims]
        array = array.reset_coords(drop=True).transpose(*order)
        return (array.fillna(0) if array.dtype.kind == "f" else array) != 0

    @cached_property
    def observed(self) -> xr.DataArray:
        """Observed streamflow in mm/day, ``(time, *space)``.

        Raises
        ------
        MissingVariableError, AmbiguousVariableError
            If there is none, several variables fit, or m3 s-1 come without a catchment area.
        UnitsError
            If its units are missing or wrong.
        DimensionError
            If it has dimensions that the precipitation lacks.
        """
        return self._over_space(_streamflow(self))

    def _over_space(self, array: xr.DataArray) -> xr.DataArray:
        """``array`` with time and all dimensions of space, broadcast over those that it lacks."""
        dims = ("time", *self.space)
        extra = [dim for dim in array.dims if dim not in dims]
        if extra:
            raise DimensionError(
                f"{array.name!r} has dimension {extra[0]!r}, which the precipitation has not; expected "
                f"{listed(dims)} only. Select in it first: ds.isel({extra[0]}=0)."
            )
        if "time" not in array.dims:
            raise DimensionError(
                f"{array.name!r} has dimensions {listed(array.dims)}; expected 'time' among them."
            )
        if set(array.dims) != set(dims):
            array = array.broadcast_like(self.variable("prcp"))
        return array.transpose(*dims)


def inputs_of(
    data: xr.Dataset | Inputs,
    wanted: Sequence[str] = FORCING,
    units: Mapping[str, str] | None = None,
    target: str = "streamflow",
) -> Inputs:
    """Inputs, not checked yet; roles that ``data`` has found already are not looked up again."""
    inputs = data if isinstance(data, Inputs) else Inputs(by_day(data))
    if (inputs.wanted, inputs.units, inputs.target) == (tuple(wanted), units or {}, target):
        return inputs
    return replace(inputs, wanted=tuple(wanted), units=units or {}, target=target)


def resolve(
    data: xr.Dataset | Inputs, wanted: Sequence[str] = FORCING, units: Mapping[str, str] | None = None
) -> Inputs:
    """Inputs of which the daily ones are found and checked; see :func:`inputs_of`.

    Raises
    ------
    HydroxrError
        What :attr:`Inputs.forcing` raises.
    """
    inputs = inputs_of(data, wanted, units)
    _ = inputs.forcing  # refuses what is wrong now
    return inputs


def potential_evapotranspiration(ds: xr.Dataset, method: str | None = None) -> xr.DataArray:
    """Potential evapotranspiration, mm/day: by a formula; without one of the Dataset, else by its data.

    Raises
    ------
    DescriptionError, MissingVariableError
        If there is no such formula, or no variables for it.
    """
    inputs = Inputs(by_day(ds))
    return _evapotranspiration(inputs) if method is None else computed(inputs, method)


def observed_streamflow(ds: xr.Dataset, target: str = "streamflow") -> xr.DataArray:
    """Observed streamflow, mm/day, with the dimensions that the Dataset gives it; lazy where it is lazy.

    Streamflow in m3 s-1 is divided by the catchment area.

    Raises
    ------
    MissingVariableError, AmbiguousVariableError
        If there is none, several variables fit, or m3 s-1 come without a catchment area.
    UnitsError
        If its units are missing or wrong.
    """
    return _streamflow(Inputs(by_day(ds), target=target))


def only_gauged(ds: xr.Dataset, period: slice | None = None) -> xr.Dataset:
    """The cells that have any observed streamflow (in ``period``, if given).

    Raises
    ------
    EmptySelectionError
        If there are none, or space has several dimensions.
    """
    inputs = Inputs(by_day(ds))
    observed, space = _streamflow(inputs), inputs.space
    if len(space) != 1:
        raise EmptySelectionError(
            f"cells can be left out of one dimension of space only, and there are {len(space)}: "
            f"{', '.join(map(str, space))}."
        )
    days = select_days(observed.to_dataset(name="_flow"), period)["_flow"]
    gauged = days.notnull().any("time").values
    if not gauged.any():
        when = "" if period is None else f" from {period.start} to {period.stop}"
        raise EmptySelectionError(f"no cell has observed streamflow{when}.")
    return ds.isel({space[0]: gauged})


def _temperature(inputs: Inputs) -> xr.DataArray:
    """Daily mean temperature, else the mean of minimum and maximum."""
    if inputs.name("tmean") is not None:
        return inputs.required("tmean")
    absent = [part for part in ("tmin", "tmax") if inputs.name(part) is None]
    if absent:
        raise MissingVariableError(
            f"there is no air temperature ({spellings('tmean')}), nor {' and '.join(absent)} for their mean; "
            f"the Dataset has {nearest(inputs.ds.data_vars, ('tmean', 'temperature', *absent))}."
        )
    mean = (0.5 * (inputs.required("tmin") + inputs.required("tmax"))).rename("tmean")
    mean.attrs = VARIABLES["tmean"].attrs()
    return mean


def _evapotranspiration(inputs: Inputs) -> xr.DataArray:
    if inputs.name("pet") is not None:
        return inputs.required("pet")
    return computed(inputs)


def _streamflow(inputs: Inputs) -> xr.DataArray:
    name, row = inputs.name("streamflow"), VARIABLES["streamflow"]
    if name is None:
        raise missing(inputs.ds, "streamflow")
    array = numbers_of(inputs.ds[name])
    units = str(array.attrs.get("units", ""))
    if quantity_of(units) != "discharge":
        return convert(array, row)
    if inputs.name("area") is None:
        raise MissingVariableError(
            f"{name!r} is in {units}, and there is no catchment area ({spellings('area')}) to "
            "convert it to mm/day; add one, with units km2, m2, ha, mi2 or acres."
        )
    factor, _ = factor_offset(units, "discharge", name=name)
    out = (array * (factor * DISCHARGE_TO_DEPTH) / inputs.required("area")).rename("streamflow")
    out.attrs = row.attrs()
    return out
