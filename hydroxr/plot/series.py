"""The time series of one cell, checked, computed and on a time axis that matplotlib understands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..analysis.grids import cell_edges
from ..conventions.labels import series_of
from ..conventions.variables import AMOUNT, FLUX, VARIABLES
from ..errors import DimensionError, EmptySelectionError, TimeAxisError
from ..inputs.cells import select_cells, space_labels
from ..metrics.alignment import require_same_place, require_same_units

_DISPLAYED_UNITS = {FLUX: "mm/day", AMOUNT: "mm"}


@dataclass(frozen=True)
class Cell:
    """The time series of one cell, in memory.

    Parameters
    ----------
    series
        Values ``(time,)`` by variable.
    units
        Displayed unit by variable.
    time
        Time stamps, datetime64 ``(time,)``.
    edges
        Limits of the bars around the stamps, datetime64 ``(time + 1,)``.
    observed
        Time stamps and values of the observed streamflow, or None.
    title
        Basin name or position.
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
    """Select the variables ``names`` of one cell in the period ``time`` and compute them."""
    # Together, so that dask computes shared blocks once.
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
    """Drop dimensions of size 1 and select the period ``time``."""
    data = data.squeeze([name for name, size in data.sizes.items() if size == 1 and name != "time"])
    for name, variable in data.data_vars.items():
        others = [f"{dim}=0" for dim in variable.dims if dim != "time"]
        if others:
            raise DimensionError(
                f"{name!r} of the {what} has dimensions {dict(variable.sizes)}; expected one cell (time,). "
                f"Select one: {what}.isel({', '.join(others)})."
            )
        if "time" not in variable.dims:
            raise DimensionError(f"{name!r} of the {what} has no dimension 'time'; expected a time series.")
    return select_period(data, time, what)


def select_period(data: xr.Dataset, time: slice | str | None, what: str) -> xr.Dataset:
    """The days in ``time``, such as ``"2001"``; all if None.

    Raises
    ------
    EmptySelectionError
        If no day lies in the period.
    """
    if time is not None:  # a slice keeps the dimension, even for a single day
        data = data.sel(time=time if isinstance(time, slice) else slice(time, time))
    if data.sizes["time"] == 0:
        raise EmptySelectionError(f"no days in {time!r}: select a period that the {what} cover.")
    return data


def _observed_within(
    edges: np.ndarray, simulation: xr.Dataset, observed: xr.DataArray
) -> tuple[np.ndarray, np.ndarray]:
    """Time stamps and values of the observed streamflow during the simulation."""
    if "streamflow" in simulation:
        require_same_units(simulation["streamflow"], observed)
    given = observed.rename("streamflow").to_dataset()
    if any(given.sizes[dim] > 1 for dim in given.dims if dim != "time"):  # of more basins, this one
        given = select_cells(given, simulation, (), "'observed'")
    flow = _one_cell(given, "observed", None)["streamflow"].compute()
    require_same_place(simulation[next(iter(simulation.data_vars))], flow)
    stamps = stamps_of(flow.to_dataset(), "observed")
    within = (stamps >= edges[0]) & (stamps < edges[-1])
    return stamps[within], flow.values[within]


def stamps_of(data: xr.Dataset, what: str) -> np.ndarray:
    """Time as datetime64. A date in another calendar keeps its year, month and day.

    Raises
    ------
    TimeAxisError
        If time has no dates, or dates such as 30 February that datetime64 lacks.
    """
    time = data.indexes.get("time")
    if isinstance(time, xr.CFTimeIndex):
        try:
            time = time.to_datetimeindex(unsafe=True, time_unit="us")
        except ValueError as error:
            raise TimeAxisError(
                f"time of the {what} is in the calendar {time.calendar!r}, which has dates that do not exist "
                f"in the standard calendar. Convert it: {what}.convert_calendar('standard', align_on='date')."
            ) from error
    if time is None or time.dtype.kind != "M":
        found = "no labels" if time is None else f"labels of type {time.dtype}"
        raise TimeAxisError(
            f"time of the {what} has {found}; expected dates. Assign them: assign_coords(time=...)."
        )
    return np.asarray(time)


def cell_title(cell: xr.Dataset) -> str:
    """Basin number and name, or else the position; empty if the cell has none of them."""
    named = [name for name in (series_of(cell), "basin_name") if name in cell.coords]
    named = [name for name in dict.fromkeys(named) if cell[name].ndim == 0]
    if named:
        return "  ".join(str(cell[name].item()) for name in named)
    if all(name in cell.coords and cell[name].ndim == 0 for name in ("lat", "lon")):
        north, east = cell["lat"].item(), cell["lon"].item()
        return f"{abs(north):.2f}°{'NS'[north < 0]}  {abs(east):.2f}°{'EW'[east < 0]}"
    return ""


def displayed(units: str) -> str:
    """A unit as it is displayed: mm/day and mm for CF's kg m-2 day-1 and kg m-2."""
    return _DISPLAYED_UNITS.get(units, units)


def basin_names(values: xr.DataArray) -> list[str]:
    """The basins' labels along their dimension, as text; [""] for an unnamed cell.

    Raises
    ------
    DimensionError
        If the values have several dimensions besides time.
    """
    space = [dim for dim in values.dims if dim != "time"]
    if not space:
        name = series_of(values)
        return ["" if name is None else str(values[name].item())]
    if len(space) > 1:
        raise DimensionError(
            f"{str(values.name)!r} has dimensions {values.dims}; expected one dimension besides time. Stack "
            f"the others: .stack(basin={space})."
        )
    (labels,) = space_labels(values.coords.to_dataset(), (space[0],)).values()
    return [str(each) for each in labels.values.astype(object)]
