"""From Datasets to what is drawn of one cell: its series, on a time axis that matplotlib understands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..analysis.grids import cell_edges
from ..conventions.variables import AMOUNT, FLUX, VARIABLES
from ..errors import DimensionError, EmptySelectionError, TimeAxisError
from ..metrics.alignment import require_same_place, require_same_units

_DISPLAYED_UNITS = {FLUX: "mm/day", AMOUNT: "mm"}
_PLACE = ("basin_id", "basin_name", "lat", "lon")


@dataclass(frozen=True)
class Cell:
    """The series of one cell, in memory, on a time axis that matplotlib understands.

    Parameters
    ----------
    series, units
        Name to values ``(time,)``, and to the unit as it is displayed.
    time, edges
        datetime64 ``(time,)`` and ``(time + 1,)``: the stamps, and the limits of a bar around each.
    observed
        Stamps and values of the observed streamflow, if it is given.
    title
        What is known of the place.
    """

    series: dict[str, np.ndarray]
    units: dict[str, str]
    time: np.ndarray
    edges: np.ndarray
    observed: tuple[np.ndarray, np.ndarray] | None
    title: str


def cell_series(
    simulation: xr.Dataset, names: list[str], observed: xr.DataArray | None, time: slice | str | None
) -> Cell:
    """Check, select and compute what is drawn."""
    # All at once: variables that share blocks are computed together.
    chosen = _one_cell(simulation[names], "simulation", time).compute()
    stamps = stamps_of(chosen, "simulation")
    edges = cell_edges(stamps, width=np.timedelta64(24, "h"))
    units = {name: displayed(chosen[name].attrs.get("units", VARIABLES[name].units)) for name in names}
    flow = None
    if observed is not None:
        flow = _observed_within(edges, chosen, observed)
        units.setdefault("streamflow", displayed(observed.attrs.get("units", FLUX)))
    return Cell({name: chosen[name].values for name in names}, units, stamps, edges, flow, cell_title(chosen))


def _one_cell(data: xr.Dataset, what: str, time: slice | str | None) -> xr.Dataset:
    """Without dimensions of size 1, and only the period ``time``."""
    data = data.squeeze([name for name, size in data.sizes.items() if size == 1 and name != "time"])
    for name, variable in data.data_vars.items():
        others = [f"{dim}=0" for dim in variable.dims if dim != "time"]
        if others:
            raise DimensionError(
                f"{name!r} of the {what} has dimensions {dict(variable.sizes)}; expected one cell, with time "
                f"alone. Select one: {what}.isel({', '.join(others)})."
            )
        if "time" not in variable.dims:
            raise DimensionError(
                f"{name!r} of the {what} has no dimension 'time'; expected a series over time."
            )
    if time is not None:  # a slice keeps the dimension, even of a single day
        data = data.sel(time=time if isinstance(time, slice) else slice(time, time))
    if data.sizes["time"] == 0:
        raise EmptySelectionError(f"the {what} has no days in {time!r}; select a period that it covers.")
    return data


def _observed_within(
    edges: np.ndarray, simulation: xr.Dataset, observed: xr.DataArray
) -> tuple[np.ndarray, np.ndarray]:
    """Stamps and values of the observed streamflow within the days of the simulation."""
    if "streamflow" in simulation:
        require_same_units(simulation["streamflow"], observed)
    flow = _one_cell(observed.rename("streamflow").to_dataset(), "observed", None)["streamflow"].compute()
    require_same_place(simulation[next(iter(simulation.data_vars))], flow)
    stamps = stamps_of(flow.to_dataset(), "observed")
    within = (stamps >= edges[0]) & (stamps < edges[-1])
    return stamps[within], flow.values[within]


def stamps_of(data: xr.Dataset, what: str) -> np.ndarray:
    """Time as datetime64; the dates of other calendars stay what they are where these exist."""
    time = data.indexes.get("time")
    if isinstance(time, xr.CFTimeIndex):
        try:
            time = time.to_datetimeindex(unsafe=True, time_unit="us")
        except ValueError as error:
            raise TimeAxisError(
                f"time of the {what} is in the calendar {time.calendar!r}, whose dates cannot all be drawn; "
                f"use {what}.convert_calendar('standard', align_on='date')."
            ) from error
    if time is None or time.dtype.kind != "M":
        found = "no labels" if time is None else f"labels of type {time.dtype}"
        raise TimeAxisError(
            f"time of the {what} has {found}; expected dates. Assign them: assign_coords(time=...)."
        )
    return np.asarray(time)


def cell_title(cell: xr.Dataset) -> str:
    """What the simulation says about where it is."""
    known = {name: cell[name].item() for name in _PLACE if name in cell.coords and cell[name].ndim == 0}
    if "basin_id" in known or "basin_name" in known:
        return "  ".join(str(known[name]) for name in ("basin_id", "basin_name") if name in known)
    if "lat" in known and "lon" in known:
        north, east = known["lat"], known["lon"]
        return f"{abs(north):.2f}°{'NS'[north < 0]}  {abs(east):.2f}°{'EW'[east < 0]}"
    return ""


def displayed(units: str) -> str:
    return _DISPLAYED_UNITS.get(units, units)
