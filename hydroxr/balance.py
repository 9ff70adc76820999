"""The water balance of a simulation, recomputed from its variables alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .description import LSTMStreamflow
from .errors import DescriptionError, EmptySelectionError, MissingVariableError
from .fingerprint import FIRST_DAY
from .inputs import check_time
from .variables import AMOUNT, STATES

FLUXES = ("rainfall", "snowfall", "evapotranspiration", "streamflow")
# Units of the last place of the water that moved and was stored, which rounding may add up to. Measured
# in ten years of 50 cells, in single and double precision: at most a twentieth of it.
_ROUNDINGS = 16


def water_balance(sim: xr.Dataset, by: str | None = None) -> xr.Dataset:
    """Sums of the water balance a cell, and whether it closes.

    Parameters
    ----------
    sim : Dataset
        Of ``simulate``, with all storages, ``initial_storage`` and the fluxes rainfall, snowfall,
        evapotranspiration and streamflow. For a later stretch of a run, of which
        ``initial_storage`` says nothing, the balance starts after its first day.
    by : "year", optional
        A balance of each calendar year, (space, year); default: one of all days.

    Returns
    -------
    Dataset
        Over space, mm (kg m-2) in float64, lazy where ``sim`` is: ``precipitation``,
        ``evapotranspiration``, ``streamflow``, ``storage_change``, ``residual`` (what does not close
        over the whole), ``largest_daily_residual`` and the ``tolerance`` of both, which is what
        rounding to the type of ``sim`` (and the stated errors of packed or rounded variables) can
        amount to. ``closed`` is True where both are within it; it is False as well where a value is
        missing, so that nothing counts as closed that was not verified. ``days`` are those counted.

    Raises
    ------
    MissingVariableError, TimeAxisError, EmptySelectionError, DescriptionError
    """
    if by not in (None, "year"):
        raise DescriptionError(f"by={by!r} is not known; expected 'year', or None for all days as one.")
    if sim.attrs.get("hydroxr_model") == LSTMStreamflow.symbol:
        raise MissingVariableError(
            "the simulation is of an LSTM, which has neither evapotranspiration nor storages and so no water "
            "balance; expected one of a δ model: ds.hbv.fit(hx.DeltaHBV(...))."
        )
    absent = [name for name in (*FLUXES, *STATES, "initial_storage") if name not in sim]
    if absent:
        raise MissingVariableError(
            f"the water balance needs {', '.join(absent)}, which the simulation lacks; simulate with "
            "variables=None."
        )
    check_time(sim)
    whole = xr.Dataset({name: sim[name].astype(float) for name in (*FLUXES, *STATES)})
    if "component" in whole.dims:
        whole = whole.mean("component")
    storage = total_storage(whole)
    before = storage.shift(time=1)
    from_start = sim["initial_storage"].attrs.get(FIRST_DAY) == str(sim.indexes["time"][0])[:10]
    if from_start:
        first_day = storage["time"] == storage["time"][0]
        before = before.where(~first_day, sim["initial_storage"].astype(float))
    change = (storage - before).isel(time=slice(0 if from_start else 1, None))
    if change.sizes["time"] == 0:
        raise EmptySelectionError(
            "one day in the middle of a run has no balance: the storage before it is not known. "
            "Select two or more."
        )
    fluxes = whole[list(FLUXES)].sel(time=change["time"])
    precipitation = fluxes["rainfall"] + fluxes["snowfall"]
    lost = fluxes["evapotranspiration"] + fluxes["streamflow"]
    daily = xr.Dataset(
        {
            "precipitation": precipitation,
            "evapotranspiration": fluxes["evapotranspiration"],
            "streamflow": fluxes["streamflow"],
            "storage_change": change,
            "residual": precipitation - lost - change,
        }
    )
    rounding = _ROUNDINGS * max(float(np.finfo(sim[name].dtype).eps) for name in (*FLUXES, *STATES))
    daily["tolerance"] = rounding * (precipitation + lost) + stated_errors(sim, FLUXES)
    # The storages of two days enter, whatever their number.
    at_the_ends = rounding * storage.sel(time=change["time"]) + 2 * stated_errors(sim, STATES)
    out = _in_years(daily, by).sum("time", skipna=False)
    out["largest_daily_residual"] = _in_years(abs(daily["residual"]), by).max("time", skipna=False)
    out["tolerance"] += _in_years(at_the_ends, by).max("time", skipna=False)
    out["days"] = _in_years(xr.ones_like(change["time"], dtype="int32"), by).sum("time")
    return _labelled(out, change["time"])


def total_storage(ds: xr.Dataset) -> xr.DataArray:
    """All water of a cell, that in the channel too, in the dimensions of the storages."""
    total = sum(ds[name] for name in STATES)
    assert isinstance(total, xr.DataArray)
    return total


def stated_errors(ds: xr.Dataset, names: tuple[str, ...]) -> xr.DataArray | float:
    """The largest error of the sum of some variables that packing and rounding have stated, a value."""
    error: xr.DataArray | float = 0.0
    for name in names:
        error = error + float(ds[name].attrs.get("packing_maximum_absolute_error", 0.0))
        relative = float(ds[name].attrs.get("quantization_maximum_relative_error", 0.0))
        if relative:
            values = abs(ds[name].astype(float))
            error = error + relative * (values.mean("component") if "component" in values.dims else values)
    return error


def _in_years(values: Any, by: str | None) -> Any:
    """What is reduced over time: all days at once, or those of each year."""
    return values if by is None else values.groupby("time.year")


def _labelled(out: xr.Dataset, time: xr.DataArray) -> xr.Dataset:
    """Verdict, attributes, period."""
    within = [abs(out[name]) <= out["tolerance"] for name in ("residual", "largest_daily_residual")]
    out["closed"] = within[0] & within[1]
    first, last = (str(time.to_index()[place])[:10] for place in (0, -1))
    for name, array in out.data_vars.items():
        array.attrs = {"long_name": str(name).replace("_", " "), "units": AMOUNT}
    out["days"].attrs["units"] = "1"
    out["closed"].attrs = {
        "long_name": "whether the water balance closes, to within the tolerance on every day and over all"
    }
    if "year" in out.coords:
        out = out.transpose(..., "year")
        out["year"].attrs = {"long_name": "calendar year, of which only the simulated days count"}
    out.attrs = {"title": "Water balance", "period": f"{first} to {last}"}
    return out
