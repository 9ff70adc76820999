"""Whether days to append go on from the end of a store: no water comes or goes between two days."""

from __future__ import annotations

import dask
import numpy as np
import xarray as xr
from zarr.abc.store import Store

from ...analysis.water_balance import seam
from ...conventions.attributes import LAST_START, START, start_of
from ...conventions.labels import in_same_terms
from ...conventions.stamps import days
from ...errors import StateError
from ...inputs.cells import space_names
from ...support.dask_graphs import local_threads
from .location import Place, Recorder
from .manifest import WritePlan


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


def _compare(last: xr.Dataset, first: xr.Dataset, name: str) -> None:
    told = seam(last, first)
    if told is None:
        return
    gap, closed = told
    with local_threads():  # a store in the memory of this process is not there for other ones
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
