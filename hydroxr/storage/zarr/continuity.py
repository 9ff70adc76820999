"""Whether days to append go on from the end of a store: no water comes or goes between two days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dask
import numpy as np
import xarray as xr
from zarr.abc.store import Store

from ...analysis.water_balance import FLUXES, stated_errors, total_storage
from ...conventions.attributes import FIRST_DAY, LAST_START, START, start_of
from ...conventions.dimensions import component_mean
from ...conventions.labels import in_same_terms
from ...conventions.stamps import days
from ...conventions.variables import DAILY_MEAN, END_OF_DAY, STATES
from ...errors import StateError
from ...inputs.cells import space_names
from ...support.dask_graphs import local_threads
from .location import Place, Recorder
from .manifest import WritePlan

# By how much the storage may differ over the seam: mm, and as a share of it.
_ABSOLUTE, _RELATIVE = 1e-2, 1e-5


def check_start(old: xr.Dataset, new: xr.Dataset, name: str) -> None:
    """Refuse days that neither begin with a state of the day before nor are of a run that the store has.

    Which water that state held is compared where all storages are written (:func:`check_seam`); where
    they are not, as in a run of streamflow alone, nothing tells one state of that day from another.

    Raises
    ------
    StateError
    """
    began = new.attrs.get(START)
    first = days(new["time"])[0]
    runs = [old.attrs[key] for key in (START, LAST_START) if key in old.attrs]
    stretch = began in runs if runs else began != start_of(first)
    if began is None or stretch or began == start_of(first, empty=False):
        return
    raise StateError(
        f"the run to append to {name} began with {began}, and not with the state at its end; expected "
        "ds.hbv.simulate(model, initial_state=state), with the state that return_state=True gave for the "
        f"days before {str(first)[:10]}, or later days of the same run as the store."
    )


def check_seam(place: Place, new: xr.Dataset) -> None:
    """The storage at the end of the store is that with which ``new``, which is in memory, begins.

    Nothing is said where the store, or the run, lacks a storage or a flux that it takes, and of cells
    that were not simulated, of which all of that is missing.

    Raises
    ------
    StateError
    """
    old, new = in_same_terms(_opened(place.store, not place.transactional), new)
    _compare(old.isel(time=-1), new.isel(time=0), place.name)


def check_written_seam(place: Place, plan: WritePlan, start: int) -> None:
    """The same of days that are written and not published yet.

    Raises
    ------
    StateError
    """
    kept = {key: text.encode() for texts in (plan.pending, plan.root) for key, text in texts.items()}
    compare_days(_opened(Recorder(place.store, kept)), start, place.name)


def compare_days(ds: xr.Dataset, start: int, name: str) -> None:
    """The same of a Dataset in which that day is the first of the new ones."""
    first = ds.isel(time=start).drop_vars("initial_storage", errors="ignore")  # that of the first day of all
    _compare(ds.isel(time=start - 1), first, name)


def _opened(store: Store, consolidated: bool = True) -> xr.Dataset:
    return xr.open_zarr(store, consolidated=consolidated, chunks={})


def _mean(ds: xr.Dataset) -> xr.Dataset:
    """Over the components, in double precision."""
    ds = ds[[name for name in (*STATES, *FLUXES, "initial_storage") if name in ds]].astype(float)
    return component_mean(ds) if "component" in ds.dims else ds


def _days(step: xr.Dataset) -> float:
    """The length of a step: a month's fluxes are means of all its days."""
    bounds = step.get("time_bnds")
    if bounds is None:
        return 1.0
    first, last = bounds.values.ravel()
    return float((last - first) / (np.timedelta64(1, "D") if bounds.dtype.kind == "M" else timedelta(1)))


def _began_with(first: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray | float] | None:
    """All water before the first step, and the possible error of it; None where it cannot be told."""
    day = _mean(first)
    known = first.get("initial_storage")
    if known is not None and known.attrs.get(FIRST_DAY) == str(days(first["time"])[0])[:10]:
        return day["initial_storage"], 0.0
    if not all(name in day for name in (*STATES, *FLUXES)) or not _at_the_end(first):
        return None
    length = _days(first)
    lengths = [length if first[name].attrs.get("cell_methods") == DAILY_MEAN else 1.0 for name in FLUXES]
    amounts = [day[name] * each for name, each in zip(FLUXES, lengths, strict=True)]
    rainfall, snowfall, evapotranspiration, streamflow = amounts
    began = total_storage(day) - rainfall - snowfall + evapotranspiration + streamflow
    error = _RELATIVE * (rainfall + snowfall + evapotranspiration + streamflow)
    for name, each in zip(FLUXES, lengths, strict=True):
        error = error + each * stated_errors(first, (name,))
    return began, error + stated_errors(first, STATES)


def _at_the_end(ds: xr.Dataset) -> bool:
    """Whether the storages are those at the end of the step, and not means of it."""
    methods = [str(ds[name].attrs.get("cell_methods", END_OF_DAY)) for name in STATES]
    return all(text.startswith("time: point") for text in methods)


def _absent(ds: xr.Dataset) -> Any:
    """Cells that were not simulated."""
    found: Any = True
    for array in _mean(ds.drop_vars("initial_storage", errors="ignore")).data_vars.values():
        found = found & array.isnull()
    return found


def _compare(last: xr.Dataset, first: xr.Dataset, name: str) -> None:
    told = _began_with(first)
    if told is None or not all(state in last for state in STATES) or not _at_the_end(last):
        return
    stored = total_storage(_mean(last))
    most = _ABSOLUTE + _RELATIVE * stored + stated_errors(last, STATES) + told[1]
    parts = (stored, told[0], most, _absent(last) | _absent(first))
    stored, began, most, absent = (array.drop_vars("time", errors="ignore") for array in parts)
    gap = began - stored
    # A value that is missing alone is no proof. Threads: a store in the memory of this process is not
    # there for other ones.
    closed = (abs(gap) <= most) | absent
    with local_threads():
        found, closed = dask.compute(gap.data, closed.transpose(*gap.dims).data)
        wrong = np.asarray(found)[~np.asarray(closed)]
        if not len(wrong):
            return
        cell = space_names(first, gap.dims)[int(np.argmin(closed))]
    raise StateError(
        f"the run to append to {name} does not begin with the water that is stored at its end: "
        f"{len(wrong)} of {closed.size} cells differ, {cell or 'the first'} by {wrong[0]:.4g} mm. Expected "
        "a run from the state at the end of the last day: simulate(model, initial_state=state)."
    )
