"""Whether days to append go on from the end of a store: no water comes or goes between two days."""

from __future__ import annotations

import numpy as np
import xarray as xr
from zarr.abc.store import Store

from .balance import FLUXES, stated_errors, total_storage
from .errors import StateError
from .fingerprint import FIRST_DAY, START, start_of
from .manifest import Plan
from .places import Place, Recorder
from .variables import STATES

# By how much the storage may differ over the seam: mm, and as a share of it.
_ABSOLUTE, _RELATIVE = 1e-2, 1e-5


def check_start(new: xr.Dataset, name: str) -> None:
    """Refuse a run that did not begin with a state.

    Raises
    ------
    StateError
    """
    if new.attrs.get(START) == start_of(new.indexes["time"][0]):
        raise StateError(
            f"the run to append to {name} began with nearly empty stores and not with the state at its end; "
            "expected ds.hbv.simulate(model, initial_state=state), with the state that return_state=True "
            "gave for the days before."
        )


def check_seam(place: Place, new: xr.Dataset) -> None:
    """The storage at the end of the store is that with which ``new``, which is in memory, begins.

    Nothing is said where the store, or the run, lacks a storage or a flux that it takes.

    Raises
    ------
    StateError
    """
    _compare(_opened(place.store).isel(time=-1), new.isel(time=0), place.name)


def check_written_seam(place: Place, plan: Plan, start: int) -> None:
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


def _opened(store: Store) -> xr.Dataset:
    return xr.open_zarr(store, consolidated=True, chunks={})


def _mean(ds: xr.Dataset) -> xr.Dataset:
    """Over the components, in double precision."""
    ds = ds[[name for name in (*STATES, *FLUXES, "initial_storage") if name in ds]].astype(float)
    return ds.mean("component") if "component" in ds.dims else ds


def _began_with(first: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray | float] | None:
    """All water before the first day, and the stated error of it; None where it cannot be told."""
    day = _mean(first)
    known = first.get("initial_storage")
    if known is not None and known.attrs.get(FIRST_DAY) == str(first["time"].values)[:10]:
        return day["initial_storage"], 0.0
    if not all(name in day for name in (*STATES, *FLUXES)):
        return None
    rainfall, snowfall, evapotranspiration, streamflow = (day[name] for name in FLUXES)
    began = total_storage(day) - rainfall - snowfall + evapotranspiration + streamflow
    return began, stated_errors(first, (*STATES, *FLUXES))


def _compare(last: xr.Dataset, first: xr.Dataset, name: str) -> None:
    told = _began_with(first)
    if told is None or not all(state in last for state in STATES):
        return
    stored = total_storage(_mean(last))
    most = _ABSOLUTE + _RELATIVE * stored + stated_errors(last, STATES) + told[1]
    stored, began, most = (array.drop_vars("time", errors="ignore") for array in (stored, told[0], most))
    gap = began - stored
    # Threads: a store in the memory of this process is not there for other ones.
    wrong = gap.where(abs(gap) > most).compute(scheduler="threads").values
    found = wrong[np.isfinite(wrong)]
    if len(found):
        raise StateError(
            f"the run to append to {name} does not begin with the water that is stored at its end: "
            f"{len(found)} of {wrong.size} cells differ, the first by {found[0]:.4g} mm. Expected a run from "
            "the state at the end of the last day: simulate(model, initial_state=state)."
        )
