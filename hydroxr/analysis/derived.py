"""Variables derived from a simulation, such as snow water equivalent and discharge.

The formulas are here; names and attributes are in :mod:`hydroxr.conventions.variables`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from ..conventions.attributes import AREA, NETWORK, PERIOD, TOKEN, restated, stated
from ..conventions.cf import name_flags
from ..conventions.dimensions import component_mean, space_of
from ..conventions.units import convert, factor_offset
from ..conventions.variables import DERIVED, STATES, VARIABLES
from ..errors import DescriptionError, DimensionError, MissingVariableError, TimeAxisError, ValueRangeError
from ..inputs.cells import select_cells
from ..inputs.resolve import Inputs
from ..inputs.time_axis import select_days
from ..support.checksums import array_digest
from .baseflow_index import baseflow_index
from .periods import days_of, span, time_index, whole_years

SWE, STORAGE, DISCHARGE = "snow_water_equivalent", "terrestrial_water_storage", "discharge"
ANOMALY, BASEFLOW_INDEX = "terrestrial_water_storage_anomaly", "baseflow_index"

# Derived daily variable -> outputs of the model that it is computed from. ``simulate`` gives these as well.
DAILY_SOURCES: dict[str, tuple[str, ...]] = {
    SWE: ("snowpack", "snow_liquid_water"),
    STORAGE: STATES,
    DISCHARGE: ("streamflow",),
}
_SQUARE_KILOMETRES = 1e6 / 1000.0 / 86400.0  # kg m-2 day-1 km2 -> m3 s-1


def derive(
    sim: xr.Dataset,
    names: str | Sequence[str],
    *,
    area: xr.DataArray | None = None,
    reference_period: slice | None = None,
) -> xr.Dataset:
    """Add derived variables to a simulation; see :meth:`hydroxr.accessor.HBVAccessor.derive`."""
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in DERIVED]
    if unknown:
        raise MissingVariableError(
            f"{unknown[0]!r} cannot be derived from a simulation; choose from {', '.join(DERIVED)}."
        )
    if DISCHARGE in wanted and NETWORK in sim.attrs:
        raise DescriptionError(
            "'discharge' of a routed run is that of its reaches, and is there: sim['discharge']. That of a "
            "cell is derived from the simulation before routing."
        )
    for option, value, name in (("area", area, DISCHARGE), ("reference_period", reference_period, ANOMALY)):
        if value is not None and name not in wanted:
            raise DescriptionError(
                f"{option} is for {name!r}, which is not in names; add it, or omit {option}."
            )
    formulas: dict[str, Callable[[], xr.DataArray]] = {
        DISCHARGE: lambda: _discharge(sim, area),
        ANOMALY: lambda: _anomaly(sim, reference_period),
        BASEFLOW_INDEX: lambda: _baseflow_index(sim),
    }
    made = {
        name: formulas[name]() if name in formulas else daily_sum(sim, name)
        for name in wanted
        if name not in sim or not _is_valid(sim, name, area, reference_period)
    }
    out = sim.assign(made)
    name_flags(out)
    lazy = [array.data.name for array in made.values() if array.chunks is not None]
    if lazy:  # when a write is resumed, the token tells whether the input is the same
        out.encoding[TOKEN] = tokenize([sim.encoding.get(TOKEN), *lazy])
    return out


def _is_valid(sim: xr.Dataset, name: str, area: xr.DataArray | None, reference_period: slice | None) -> bool:
    """Whether the variable that the Dataset has under that name can be kept."""
    if name == BASEFLOW_INDEX:  # a part of a run may still have the index of the whole run
        comment = sim[name].attrs.get("comment")
        return "time" not in sim.dims or comment == _period_comment(whole_years(sim["time"]))
    return (area if name == DISCHARGE else reference_period if name == ANOMALY else None) is None


def model_outputs(names: Sequence[str]) -> list[str]:
    """The outputs of the model that are needed for ``names``, some of which may be derived."""
    for name in names:
        if name in DERIVED and name not in DAILY_SOURCES:
            raise DescriptionError(
                f"{name!r} needs the whole period, and simulate gives daily values; derive it from the "
                f"finished run: sim.hbv.derive({name!r})."
            )
    return list(dict.fromkeys(part for name in names for part in DAILY_SOURCES.get(name, (name,))))


def derivation(inputs: Inputs, names: Sequence[str] | str | None) -> Callable[[xr.Dataset], xr.Dataset]:
    """A function that turns a simulation of :func:`model_outputs` into one of ``names``.

    Parameters
    ----------
    inputs : Inputs
        The inputs of the simulation, which have the area.
    names
        Variables of the result; None: all of the model.
    """
    wanted = [names] if isinstance(names, str) else list(names or ())
    derived = [name for name in wanted if name in DERIVED]
    area = _area(inputs, None) if DISCHARGE in derived else None
    superfluous = [name for name in model_outputs(wanted) if name not in wanted]

    def finish(sim: xr.Dataset) -> xr.Dataset:
        return derive(sim, derived, area=area).drop_vars(superfluous) if derived else sim

    return finish


def daily_sum(sim: xr.Dataset, name: str) -> xr.DataArray:
    """Snow water equivalent or terrestrial water storage: the variable itself, else the sum of its parts."""
    if name in sim:
        return sim[name]
    parts = _parts(sim, DAILY_SOURCES[name], name)
    total: Any = sum(part.astype(float) for part in parts)
    errors = [stated(part) for part in parts]
    absolute, relative = sum(error[0] for error in errors), max(error[1] for error in errors)
    return _described(total.astype(parts[0].dtype), name, parts[0], absolute, relative)


def _parts(sim: xr.Dataset, names: Sequence[str], wanted: str) -> list[xr.DataArray]:
    """Variables of the simulation, without components unless all have them."""
    absent = [name for name in names if name not in sim]
    if absent:
        raise MissingVariableError(
            f"{wanted} needs {', '.join(absent)}, which the simulation lacks; simulate with variables=None, "
            f"or include {', '.join(map(repr, names))}."
        )
    parts = [sim[name] for name in names]
    if all("component" in part.dims for part in parts):
        return parts
    return [_mean(part) if "component" in part.dims else part for part in parts]


def _mean(part: xr.DataArray) -> xr.DataArray:
    """Mean of the components; missing where one is."""
    return component_mean(part, keep_attrs=True)


def _discharge(sim: xr.Dataset, area: xr.DataArray | None) -> xr.DataArray:
    (flow,) = _parts(sim, DAILY_SOURCES[DISCHARGE], DISCHARGE)
    area = _area(Inputs(sim), area)
    space = space_of(flow)
    if set(area.dims) - set(space):
        raise DimensionError(
            f"the area has dimensions {tuple(area.dims)}, streamflow {tuple(flow.dims)}; expected those of "
            f"space alone, {space}: one area per cell. Select or rename: area.isel(...), area.rename(...)."
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
    # The digest is the same for km2 and m2, single and double precision, and any order of dimensions.
    values = area.transpose(*sorted(space, key=str)).values.astype("float32")
    out.attrs[AREA] = array_digest(np.where(np.isnan(values), np.float32(np.nan), values))
    return out


def _area(inputs: Inputs, given: xr.DataArray | None) -> xr.DataArray:
    """The area of each cell, km2, in memory."""
    if given is not None and not isinstance(given, xr.DataArray):
        raise DescriptionError(
            f"area is {type(given).__name__} {given!r}; expected a DataArray with the cells as labels and "
            "units km2 or m2: area=ds['area_gages2']."
        )
    name = None if given is not None else inputs.name("area")
    if given is None and name is None:
        raise MissingVariableError(
            "discharge needs the area of the catchments, which the Dataset lacks (area_gages2, area or "
            "catchment_area); pass it: sim.hbv.derive('discharge', area=ds['area_gages2']), in km2 or m2."
        )
    found = inputs.ds[name] if given is None else given.rename("area" if given.name is None else given.name)
    area = convert(found, VARIABLES["area"]).compute()
    if bool((area <= 0).any()):
        raise ValueRangeError(
            f"the smallest area is {float(area.min()):g} km2; expected more than 0. Leave out these cells, "
            "or correct the values."
        )
    return area


def _anomaly(sim: xr.Dataset, reference_period: slice | None) -> xr.DataArray:
    storage = daily_sum(sim, STORAGE)
    time_index(storage, "the simulation")
    reference = select_days(storage.to_dataset(name=STORAGE), reference_period, "the simulation")[STORAGE]
    mean = reference.astype(float).mean("time", skipna=False)
    absolute, relative = stated(storage)  # a relative error of storage does not apply to its anomaly
    error = 0.0 if relative else 2 * absolute
    out = _described((storage - mean).astype(storage.dtype), ANOMALY, storage, error)
    out.attrs[PERIOD] = span(reference)
    return out


def _baseflow_index(sim: xr.Dataset) -> xr.DataArray:
    parts = _parts(sim, ("baseflow", "runoff"), BASEFLOW_INDEX)
    days = days_of(parts[0], "the simulation")
    steps = np.asarray((days[1:] - days[:-1]) / np.timedelta64(1, "D"), dtype=float)
    if (steps != 1.0).any():
        raise TimeAxisError(
            f"'time' has steps of {steps.max():g} days; expected daily values, since whole years are summed. "
            "Derive the baseflow index before aggregate_time."
        )
    if "component" in parts[0].dims:  # the index of all water, not the mean index of the components
        parts = [_mean(part) for part in parts]
    baseflow, runoff = (whole_years(part) for part in parts)
    out = _described(baseflow_index(baseflow, runoff), BASEFLOW_INDEX, parts[0])
    out.attrs["comment"] = _period_comment(baseflow)
    return out


def _period_comment(array: xr.DataArray) -> str:
    return f"The period is {span(array)}."


def _described(
    out: xr.DataArray, name: str, part: xr.DataArray, absolute: float = 0.0, relative: float = 0.0
) -> xr.DataArray:
    """Set the attributes of the table, grid mapping and cell methods of ``part``, and the stated errors."""
    out = out.rename(name)
    kept = {key: part.attrs[key] for key in ("grid_mapping", "coverage_content_type") if key in part.attrs}
    out.attrs = restated(VARIABLES[name].attrs() | kept, absolute, relative)
    if "cell_methods" in out.attrs:  # an aggregate keeps its own
        out.attrs["cell_methods"] = part.attrs.get("cell_methods", out.attrs["cell_methods"])
    return out
