"""The water balance of a simulation, recomputed from its variables alone."""

from __future__ import annotations

import xarray as xr

from .description import LSTMStreamflow
from .errors import EmptySelectionError, MissingVariableError
from .inputs import check_time
from .variables import AMOUNT, STATES

_FLUXES = ("rainfall", "snowfall", "evapotranspiration", "streamflow")


def water_balance(sim: xr.Dataset) -> xr.Dataset:
    """Sums of the water balance a cell, and how well it closes.

    Parameters
    ----------
    sim : Dataset
        Of ``simulate``, with all storages, ``initial_storage`` and the fluxes rainfall, snowfall,
        evapotranspiration and streamflow. For a later stretch of a run, of which
        ``initial_storage`` says nothing, the balance starts after its first day.

    Returns
    -------
    Dataset
        Over space, mm (kg m-2) in float64: ``precipitation``, ``evapotranspiration``,
        ``streamflow``, ``storage_change``, ``residual`` (what does not close over the whole) and
        ``largest_daily_residual``.

    Raises
    ------
    MissingVariableError, TimeAxisError, EmptySelectionError
    """
    if sim.attrs.get("hydroxr_model") == LSTMStreamflow.symbol:
        raise MissingVariableError(
            "the simulation is of an LSTM, which has neither evapotranspiration nor storages and so no water "
            "balance; expected one of a δ model: ds.hbv.fit(hx.DeltaHBV(...))."
        )
    absent = [name for name in (*_FLUXES, *STATES, "initial_storage") if name not in sim]
    if absent:
        raise MissingVariableError(
            f"the water balance needs {', '.join(absent)}, which the simulation lacks; simulate with "
            "variables=None."
        )
    check_time(sim)
    whole = xr.Dataset({name: sim[name].astype(float) for name in (*_FLUXES, *STATES)})
    if "component" in whole.dims:
        whole = whole.mean("component")
    storage = sum(whole[name] for name in STATES)
    assert isinstance(storage, xr.DataArray)
    before = storage.shift(time=1)
    from_start = sim["initial_storage"].attrs.get("hydroxr_first_day") == str(sim.indexes["time"][0])[:10]
    if from_start:
        first_day = storage["time"] == storage["time"][0]
        before = before.where(~first_day, sim["initial_storage"].astype(float))
    change = (storage - before).isel(time=slice(0 if from_start else 1, None))
    if change.sizes["time"] == 0:
        raise EmptySelectionError(
            "one day in the middle of a run has no balance: the storage before it is not known. "
            "Select two or more."
        )
    fluxes = whole[list(_FLUXES)].sel(time=change["time"])
    precipitation = fluxes["rainfall"] + fluxes["snowfall"]
    daily = precipitation - fluxes["evapotranspiration"] - fluxes["streamflow"] - change
    out = xr.Dataset(
        {
            "precipitation": precipitation.sum("time", skipna=False),
            "evapotranspiration": fluxes["evapotranspiration"].sum("time", skipna=False),
            "streamflow": fluxes["streamflow"].sum("time", skipna=False),
            "storage_change": change.sum("time", skipna=False),
            "residual": daily.sum("time", skipna=False),
            "largest_daily_residual": abs(daily).max("time", skipna=False),
        }
    )
    first, last = (str(change["time"].to_index()[place])[:10] for place in (0, -1))
    for name, array in out.data_vars.items():
        array.attrs = {"long_name": str(name).replace("_", " "), "units": AMOUNT}
    out.attrs = {"title": "Water balance", "period": f"{first} to {last}"}
    return out
