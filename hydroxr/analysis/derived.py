"""Variables that follow from those of a simulation: lazily, of a run in memory or of a store.

Names and attributes are in the table of variables, formulas here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from ..conventions.attributes import PERIOD, TOKEN, restated, stated
from ..conventions.cf import name_flags
from ..conventions.units import convert, factor_offset
from ..conventions.variables import DERIVED, STATES, VARIABLES
from ..errors import DescriptionError, DimensionError, MissingVariableError, TimeAxisError, ValueRangeError
from ..inputs.cells import select_cells
from ..inputs.find import find
from ..inputs.time_axis import select_days
from ..support.checksums import digest
from .periods import days_of, span, time_index, whole_years

SWE, STORAGE, DISCHARGE = "snow_water_equivalent", "terrestrial_water_storage", "discharge"
ANOMALY, BASEFLOW_INDEX = "terrestrial_water_storage_anomaly", "baseflow_index"

# What each is made of; those that are of a day are there for simulate as well.
OF_A_DAY: dict[str, tuple[str, ...]] = {
    SWE: ("snowpack", "snow_liquid_water"),
    STORAGE: STATES,
    DISCHARGE: ("streamflow",),
}
AREA = "hydroxr_area"  # attribute of discharge: a digest of the areas that it was computed with
_NOT_SPACE = ("time", "component", "member")
_SQUARE_KILOMETRES = 1e6 / 1000.0 / 86400.0  # kg m-2 day-1 km2 -> m3 s-1


def derive(
    sim: xr.Dataset,
    names: str | Sequence[str],
    *,
    area: xr.DataArray | None = None,
    reference_period: slice | None = None,
) -> xr.Dataset:
    """A simulation with variables that follow from it; lazy where it is.

    Parameters
    ----------
    sim : Dataset
        Of ``simulate``, or opened from a store; the first three also of ``aggregate_time``.
    names : str or sequence of str
        ``snow_water_equivalent`` (kg m-2): frozen and liquid water of the snowpack.
        ``terrestrial_water_storage`` (kg m-2): the sum of all storages, channel included.
        ``discharge`` (m3 s-1): streamflow over the ``area``.
        ``terrestrial_water_storage_anomaly`` (kg m-2): less its mean over ``reference_period``, as GRACE
        has it. ``baseflow_index`` (1): sum of baseflow over sum of runoff, of as many whole years as the
        run has from its first day. These two are of a period: write a large run before asking for them.
    area : DataArray, optional
        Of the catchments or cells, with units km2 or m2; default: that of ``sim``. It is read, a number
        a cell; a digest of it is an attribute of ``discharge``, by which days of another area are told.
    reference_period : slice, optional
        ``slice("2004", "2009")`` is that of GRACE's mascons; default: all days.

    Returns
    -------
    Dataset
        ``sim`` and those of ``names`` that it has not, or has of another period. Snow water equivalent
        and discharge keep components; of the others they are averaged. Of packed or rounded variables
        the largest error follows from theirs, where it does.

    Raises
    ------
    MissingVariableError, UnitsError, CoordinateError, DimensionError, ValueRangeError, TimeAxisError,
    EmptySelectionError, DescriptionError
    """
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in DERIVED]
    if unknown:
        raise MissingVariableError(
            f"{unknown[0]!r} does not follow from a simulation; expected some of {', '.join(DERIVED)}."
        )
    for option, value, name in (("area", area, DISCHARGE), ("reference_period", reference_period, ANOMALY)):
        if value is not None and name not in wanted:
            raise DescriptionError(f"{option} is for {name!r}, which is not asked for; expected it in names.")
    formulas: dict[str, Callable[[], xr.DataArray]] = {
        DISCHARGE: lambda: _discharge(sim, area),
        ANOMALY: lambda: _anomaly(sim, reference_period),
        BASEFLOW_INDEX: lambda: _baseflow_index(sim),
    }
    made = {
        name: formulas[name]() if name in formulas else daily_sum(sim, name)
        for name in wanted
        if name not in sim or not _stands(sim, name, area, reference_period)
    }
    out = sim.assign(made)
    name_flags(out)
    lazy = [array.data.name for array in made.values() if array.chunks is not None]
    if lazy:  # what a write that goes on asks, whether all is as it was
        out.encoding[TOKEN] = tokenize([sim.encoding.get(TOKEN), *lazy])
    return out


def _stands(sim: xr.Dataset, name: str, area: xr.DataArray | None, reference_period: slice | None) -> bool:
    """Whether what the Dataset has under that name already is what is asked for."""
    if name == BASEFLOW_INDEX:  # of a part of a run, that of the whole is still there
        return "time" not in sim.dims or sim[name].attrs.get("comment") == _of_period(
            whole_years(sim["time"])
        )
    return (area if name == DISCHARGE else reference_period if name == ANOMALY else None) is None


def ingredients(names: Sequence[str]) -> list[str]:
    """The outputs of the model that ``names``, some of them derived, are made of.

    Raises
    ------
    DescriptionError
        For those of a whole period, which a run that others may continue does not know.
    """
    for name in names:
        if name in DERIVED and name not in OF_A_DAY:
            raise DescriptionError(
                f"{name!r} is of a period, and simulate gives values of a day; expected it of the finished "
                f"run: sim.hbv.derive({name!r})."
            )
    return list(dict.fromkeys(part for name in names for part in OF_A_DAY.get(name, (name,))))


def finisher(ds: xr.Dataset, names: Sequence[str] | str | None) -> Callable[[xr.Dataset], xr.Dataset]:
    """What makes of a simulation of the :func:`ingredients` one of ``names``.

    Parameters
    ----------
    ds : Dataset
        The input, for the area.

    Raises
    ------
    MissingVariableError, UnitsError, ValueRangeError
        Before anything is computed.
    """
    asked = [names] if isinstance(names, str) else list(names or ())
    derived = [name for name in asked if name in DERIVED]
    area = _area(ds, None) if DISCHARGE in derived else None
    superfluous = [name for name in ingredients(asked) if name not in asked]

    def finish(sim: xr.Dataset) -> xr.Dataset:
        return derive(sim, derived, area=area).drop_vars(superfluous) if derived else sim

    return finish


def daily_sum(sim: xr.Dataset, name: str) -> xr.DataArray:
    """Snow water equivalent or terrestrial water storage: the simulation's own, else the sum of its parts.

    Raises
    ------
    MissingVariableError
    """
    if name in sim:
        return sim[name]
    parts = _parts(sim, OF_A_DAY[name], name)
    total: Any = sum(part.astype(float) for part in parts)
    errors = [stated(part) for part in parts]
    absolute, relative = sum(error[0] for error in errors), max(error[1] for error in errors)
    return _described(total.astype(parts[0].dtype), name, parts[0], absolute, relative)


def _parts(sim: xr.Dataset, names: Sequence[str], wanted: str) -> list[xr.DataArray]:
    """Variables of the simulation; where not all have components, none has."""
    absent = [name for name in names if name not in sim]
    if absent:
        raise MissingVariableError(
            f"{wanted} needs {', '.join(absent)}, which the simulation lacks; simulate with variables=None, "
            f"or with {', '.join(map(repr, names))} among them."
        )
    parts = [sim[name] for name in names]
    if all("component" in part.dims for part in parts):
        return parts
    return [_mean(part) if "component" in part.dims else part for part in parts]


def _mean(part: xr.DataArray) -> xr.DataArray:
    """Over the components; missing where one is."""
    return part.mean("component", skipna=False, keep_attrs=True)


def _discharge(sim: xr.Dataset, area: xr.DataArray | None) -> xr.DataArray:
    (flow,) = _parts(sim, OF_A_DAY[DISCHARGE], DISCHARGE)
    area = _area(sim, area)
    space: tuple[Hashable, ...] = tuple(dim for dim in flow.dims if dim not in _NOT_SPACE)
    if set(area.dims) - set(space):
        raise DimensionError(
            f"the area has dimensions {tuple(area.dims)}, streamflow {tuple(flow.dims)}; expected those of "
            f"space alone, {space}: one area a cell. Select or rename: area.isel(...), area.rename(...)."
        )
    space = tuple(dim for dim in space if dim in area.dims)
    if space:
        area = select_cells(area.to_dataset(name="area"), sim, space, "the area")["area"]
    area = area.reset_coords(drop=True)
    factor, _ = factor_offset(flow.attrs.get("units"), "water flux", name=str(flow.name))
    out = convert(flow, VARIABLES["streamflow"]) * (area * _SQUARE_KILOMETRES)
    absolute, relative = stated(flow)
    absolute *= factor * float(area.max()) * _SQUARE_KILOMETRES
    out = _described(out.transpose(*flow.dims).astype(flow.dtype), DISCHARGE, flow, absolute, relative)
    # Rounded, as km2 and m2, single and double precision tell of the same area; in one order of axes.
    values = area.transpose(*sorted(space, key=str)).values.astype("float32")
    out.attrs[AREA] = digest(np.where(np.isnan(values), np.float32(np.nan), values))
    return out


def _area(ds: xr.Dataset, given: xr.DataArray | None) -> xr.DataArray:
    """The area of each cell, km2, in memory."""
    if given is not None and not isinstance(given, xr.DataArray):
        raise DescriptionError(
            f"area is {type(given).__name__} {given!r}; expected a DataArray with the cells as labels and "
            "units km2 or m2: area=ds['area_gages2']."
        )
    name = None if given is not None else find(ds, "area")
    if given is None and name is None:
        raise MissingVariableError(
            "discharge needs the area of the catchments, which the Dataset lacks (area_gages2, area or "
            "catchment_area); give it: sim.hbv.derive('discharge', area=ds['area_gages2']), in km2 or m2."
        )
    found = ds[name] if given is None else given.rename("area" if given.name is None else given.name)
    area = convert(found, VARIABLES["area"]).compute()
    if bool((area <= 0).any()):
        raise ValueRangeError(
            f"the area is {float(area.min()):g} km2 at least; expected more than 0. Leave out such cells, or "
            "correct the values."
        )
    return area


def _anomaly(sim: xr.Dataset, reference_period: slice | None) -> xr.DataArray:
    storage = daily_sum(sim, STORAGE)
    time_index(storage, "the simulation")
    reference = select_days(storage.to_dataset(name=STORAGE), reference_period, "the simulation")[STORAGE]
    mean = reference.astype(float).mean("time", skipna=False)
    absolute, relative = stated(storage)  # a share of the storage is none of what is left of it
    error = 0.0 if relative else 2 * absolute
    out = _described((storage - mean).astype(storage.dtype), ANOMALY, storage, error)
    out.attrs[PERIOD] = span(reference)
    return out


def _baseflow_index(sim: xr.Dataset) -> xr.DataArray:
    from .baseflow_index import baseflow_index

    parts = _parts(sim, ("baseflow", "runoff"), BASEFLOW_INDEX)
    days = days_of(parts[0], "the simulation")
    steps = np.asarray((days[1:] - days[:-1]) / np.timedelta64(1, "D"), dtype=float)
    if (steps != 1.0).any():
        raise TimeAxisError(
            f"'time' has steps of {steps.max():g} days; expected daily values: whole years are summed."
        )
    if "component" in parts[0].dims:  # of all water, not the mean of the components' indices
        parts = [_mean(part) for part in parts]
    baseflow, runoff = (whole_years(part) for part in parts)
    out = _described(baseflow_index(baseflow, runoff), BASEFLOW_INDEX, parts[0])
    out.attrs["comment"] = _of_period(baseflow)
    return out


def _of_period(array: xr.DataArray) -> str:
    return f"The period is {span(array)}."


def _described(
    out: xr.DataArray, name: str, part: xr.DataArray, absolute: float = 0.0, relative: float = 0.0
) -> xr.DataArray:
    """With the table's attributes, what a part has of place and time, largest errors if not 0."""
    out = out.rename(name)
    kept = {key: part.attrs[key] for key in ("grid_mapping", "coverage_content_type") if key in part.attrs}
    out.attrs = restated(VARIABLES[name].attrs() | kept, absolute, relative)
    if "cell_methods" in out.attrs:  # of an aggregate, the aggregate's
        out.attrs["cell_methods"] = part.attrs.get("cell_methods", out.attrs["cell_methods"])
    return out
