"""The scores of a run: metrics and means per cell over the test period."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..compare import baseflow_index, evapotranspiration
from ..conventions.variables import FLUX
from ..errors import MissingVariableError

# Variables that scores need; an LSTM has the first alone.
VARIABLES = ("streamflow", "runoff", "baseflow", "evapotranspiration", "rainfall", "snowfall")
# Name in the results -> name in CAMELS and GAGES-II, long name.
OBSERVED_INDICES = {
    "bfi_l13": ("baseflow_index", "baseflow index of observed streamflow, Ladson et al. (2013)"),
    "bfi_usgs": ("bfi_ave_gagesii", "baseflow index of observed streamflow, USGS (GAGES-II)"),
}
_MEANS = {
    "evapotranspiration": "mean simulated evapotranspiration",
    "precipitation": "mean precipitation",
    "streamflow_simulated": "mean simulated streamflow",
    "streamflow_observed": "mean observed streamflow",
}


def scores(sim: xr.Dataset, observed: xr.Dataset) -> xr.Dataset:
    """Metrics of streamflow, baseflow index and long-term means of a simulation of the test period.

    Parameters
    ----------
    sim : Dataset
        :data:`VARIABLES`, those that the model has.
    observed : Dataset
        With observed streamflow of the same cells.

    Returns
    -------
    Dataset
        Over the cells: what ``sim.hbv.evaluate`` gives; ``baseflow_index``, ΣQ2/ΣQ (NaN for an LSTM);
        means over the days with an observation, kg m-2 day-1 (NaN for variables that the simulation lacks).
    """
    from ..inputs.resolve import observed_streamflow

    out = sim.hbv.evaluate(observed)
    flow = observed_streamflow(observed).sel(time=sim["time"])
    missing = xr.full_like(out["nse"], np.nan)
    if "baseflow" in sim:
        out["baseflow_index"] = baseflow_index(sim["baseflow"], sim["runoff"])
    else:
        out["baseflow_index"] = missing.assign_attrs(long_name="baseflow index", units="1")
    series = {"streamflow_simulated": sim["streamflow"], "streamflow_observed": flow}
    if "rainfall" in sim:
        series["evapotranspiration"] = sim["evapotranspiration"]
        series["precipitation"] = sim["rainfall"] + sim["snowfall"]
    seen = flow.notnull()  # the same days for all, so that they are of one water balance
    for name in _MEANS:
        out[name] = _mean(series[name].where(seen), name) if name in series else _described(missing, name)
    return out.compute()


def _mean(array: xr.DataArray, name: str) -> xr.DataArray:
    return _described(array.mean("time", dtype=float), name)


def _described(array: xr.DataArray, name: str) -> xr.DataArray:
    return array.drop_attrs().assign_attrs(long_name=_MEANS[name], units=FLUX)


def et_correlation(sim: xr.Dataset, product: xr.Dataset) -> xr.DataArray:
    """Correlation in time of simulated evapotranspiration with another estimate, of each cell.

    Parameters
    ----------
    sim : Dataset
        Daily; one without ``evapotranspiration`` (of an LSTM) has NaN.
    product : Dataset
        See :func:`hydroxr.compare.evapotranspiration`, whose errors these are.
    """
    if "evapotranspiration" not in sim:
        missing = xr.full_like(sim["streamflow"].isel(time=0, drop=True), np.nan, dtype=float)
        out = missing.drop_attrs().assign_attrs(units="1")
    else:
        out = evapotranspiration(sim, product)["r"].compute()
    return out.assign_attrs(long_name="correlation in time of evapotranspiration with another estimate")


def observed_indices(ds: xr.Dataset) -> xr.Dataset:
    """Those baseflow indices of observed streamflow that ``ds`` has, under the names of the results."""
    out = xr.Dataset(coords=ds["lat"].coords if "lat" in ds else None)
    for name, (source, text) in OBSERVED_INDICES.items():
        if source in ds:
            out[name] = ds[source].astype(float).drop_attrs().assign_attrs(long_name=text, units="1")
    return out


def observed_means(ds: xr.Dataset) -> xr.Dataset:
    """Mean precipitation and observed streamflow of ``ds``, under the names of the results."""
    from ..inputs.resolve import observed_streamflow, resolve

    series = {
        "precipitation": resolve(ds, ("prcp",)).forcing["prcp"],
        "streamflow_observed": observed_streamflow(ds),
    }
    seen = series["streamflow_observed"].notnull()
    return xr.Dataset({name: _mean(array.where(seen), name) for name, array in series.items()})


def one_dataset(parts: dict[str, xr.Dataset], facts: dict[str, dict[str, Any]]) -> xr.Dataset:
    """The scores of all runs, (run, cell), with what tells the runs apart as coordinates of ``run``.

    Parameters
    ----------
    parts : dict of Dataset
        Of :func:`scores`, by the names of the runs; all of the same cells.
    facts : dict of dict
        The same values of each run, by its name.

    Raises
    ------
    MissingVariableError
        Where there are none.
    """
    if not parts:
        raise MissingVariableError("no run is finished: there is nothing to put together.")
    together = xr.concat(
        list(parts.values()),
        dim=xr.DataArray(list(parts), dims="run", name="run"),
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )
    keys = next(iter(facts.values()))
    return together.assign_coords({key: ("run", [facts[name][key] for name in parts]) for key in keys})
