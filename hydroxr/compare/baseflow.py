"""Simulated baseflow index against other estimates of it."""

from __future__ import annotations

import xarray as xr

from ..analysis.baseflow_index import as_fraction, baseflow_index
from ..analysis.periods import span, whole_years
from ..metrics.selection import within
from .matching import over_space, same_cells, simulated


def baseflow(sim: xr.Dataset, index: xr.DataArray, time: slice | None = None) -> xr.Dataset:
    """Compare the baseflow index of a simulation, Q2 over Q of Feng et al. (2022), with another estimate.

    Parameters
    ----------
    sim : Dataset
        Simulation of a δ model with daily ``baseflow`` and ``runoff`` ``(..., time)``; components are
        averaged first.
    index : DataArray
        The estimate ``(...)`` for the same cells, such as ``baseflow_index`` of CAMELS (Ladson et al., 2013),
        the index of the USGS, or a gridded product after :func:`~hydroxr.compare.aggregate`. A fraction
        (units 1) or percent (units %); without units, values above 2 mean percent.
    time : slice, optional
        The period; default: all of the simulation. Only whole years, counted from its first day, are used.

    Returns
    -------
    Dataset
        ``baseflow_index``, ``reference`` and ``difference`` ``(...)``; ``spatial_r``, ``spatial_bias`` and
        ``spatial_rmse`` over all cells; units 1. The attribute ``period`` gives the first and last day.

    Raises
    ------
    MissingVariableError
        If the simulation lacks ``baseflow`` or ``runoff``.
    UnitsError
        If units and values of ``index`` contradict each other.
    DimensionError
        If ``index`` has other dimensions than the cells of the simulation.
    CoordinateError
        If ``index`` lacks cells of the simulation.
    EmptySelectionError
        If the period has no whole year.
    """
    parts = [simulated(sim, name) for name in ("baseflow", "runoff")]
    if time is not None:
        parts = [within(part, time, "the simulation") for part in parts]
    parts = [whole_years(part) for part in parts]
    model = baseflow_index(parts[0], parts[1])
    out = xr.Dataset(over_space(model, same_cells(as_fraction(index), model, "the index"), "1"))
    out = out.rename(simulated="baseflow_index")
    out["difference"] = out["baseflow_index"] - out["reference"]
    for name, text in (
        ("baseflow_index", "simulated baseflow index: Q2 over Q"),
        ("reference", "baseflow index compared with"),
        ("difference", "simulated baseflow index less the other"),
    ):
        out[name].attrs = {"long_name": text, "units": "1"}
    out.attrs = {"title": "Comparison of the baseflow index", "period": span(parts[0])}
    return out
