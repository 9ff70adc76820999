"""The water balance of a routed run, over the cells and reaches above each reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..analysis.water_balance import ROUNDINGS
from ..conventions.attributes import FIRST_DAY, NETWORK
from ..conventions.stamps import by_day
from ..conventions.variables import VOLUME
from ..errors import DescriptionError, EmptySelectionError, MissingVariableError
from ..inputs.time_axis import check_time
from ..physics.rivers.scheme import DAY

_FLUXES = {
    "precipitation": "upstream_precipitation",
    "evapotranspiration": "upstream_evapotranspiration",
    "discharge": "discharge",
}
_STORED = ("upstream_storage", "initial_upstream_storage")


def is_routed(ds: xr.Dataset) -> bool:
    """Whether a Dataset is the result of routing."""
    return NETWORK in ds.attrs and "discharge" in ds


def water_balance(routed: xr.Dataset, by: str | None = None) -> xr.Dataset:
    """Check the balance at each reach; see :meth:`hydroxr.accessor.HBVAccessor.water_balance`."""
    if by not in (None, "year"):
        raise DescriptionError(f"by={by!r} is not known; expected 'year', or None for all days as one.")
    routed = by_day(routed)
    absent = [name for name in (*_FLUXES.values(), *_STORED) if name not in routed]
    if absent:
        raise MissingVariableError(
            f"the water balance of a routed run needs {', '.join(absent)}; route a simulation with all its "
            "variables, and without balance=False."
        )
    check_time(routed)
    volumes = {name: routed[own].astype(float) * DAY for name, own in _FLUXES.items()}
    stored = routed["upstream_storage"].astype(float)
    before = stored.shift(time=1)
    initial = routed["initial_upstream_storage"]
    if initial.attrs.get(FIRST_DAY) == str(routed.indexes["time"][0])[:10]:
        before = before.where(stored["time"] != stored["time"][0], initial.astype(float))
    else:  # the storage before the first day is not known
        before, stored = before.isel(time=slice(1, None)), stored.isel(time=slice(1, None))
        volumes = {name: array.isel(time=slice(1, None)) for name, array in volumes.items()}
    if stored.sizes["time"] == 0:
        raise EmptySelectionError(
            "a single day in the middle of a run has no balance, since the storage before it is unknown. "
            "Select two or more days."
        )
    daily = xr.Dataset(volumes | {"storage_change": stored - before})
    moved = sum(abs(array) for array in volumes.values())
    parts = daily.assign(moved=moved, most=np.maximum(abs(stored), abs(before)))
    grouped: Any = parts if by is None else parts.groupby("time.year")
    total = grouped.sum("time", skipna=False)
    out = total[list(daily.data_vars)]
    gone = out["evapotranspiration"] + out["discharge"]
    out["residual"] = out["precipitation"] - gone - out["storage_change"]
    # Each variable was rounded to its type; the simulation itself at least to single precision.
    precision = max(np.finfo(routed[name].dtype).eps for name in (*_FLUXES.values(), *_STORED))
    out["tolerance"] = ROUNDINGS * precision * (total["moved"] + 2 * grouped.max("time")["most"])
    for array in out.data_vars.values():
        array.attrs = {"units": VOLUME}
    out["closed"] = (abs(out["residual"]) <= out["tolerance"]) & np.isfinite(out["tolerance"])
    days = xr.ones_like(stored["time"], dtype="int32").drop_attrs()
    out["days"] = (days if by is None else days.groupby("time.year")).sum("time")
    if "unassigned_inflow" in routed:
        lost = routed["unassigned_inflow"].sel(time=stored["time"]).astype(float) * DAY
        out["unassigned"] = (lost if by is None else lost.groupby("time.year")).sum("time", skipna=False)
        out["unassigned"].attrs = {"units": VOLUME, "long_name": "inflow of cells without a reach"}
    for name, array in out.data_vars.items():
        array.attrs.setdefault("long_name", str(name).replace("_", " "))
    first, last = (str(stored.indexes["time"][place])[:10] for place in (0, -1))
    out.attrs = {"title": "Water balance of rivers and their cells", "period": f"{first} to {last}"}
    return out
