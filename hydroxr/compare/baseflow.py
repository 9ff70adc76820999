"""Baseflow index: of any series, and of a simulation against other estimates of it."""

from __future__ import annotations

import xarray as xr

from ..analysis.baseflow_index import as_fraction, baseflow_index
from ..analysis.periods import span, whole_years
from ..metrics.selection import within
from .series import over_space, same_cells, simulated


def baseflow(sim: xr.Dataset, index: xr.DataArray, time: slice | None = None) -> xr.Dataset:
    """Baseflow index of a simulation, Q2 over Q of whole years, against another estimate of it.

    Parameters
    ----------
    sim : Dataset
        With ``baseflow`` and ``runoff``, daily, of a δ model; components are averaged first.
    index : DataArray
        The other estimate for the same cells, such as CAMELS' ``baseflow_index`` (Ladson et al.,
        2013), the USGS index, or a gridded product after :func:`hydroxr.analysis.area_means.aggregate`. A
        fraction (units 1) or percent (units %); without units, values above 2 say percent.
    time
        The period; by default all of the simulation. Whole years from its first day count.

    Returns
    -------
    Dataset
        A cell ``baseflow_index``, ``reference`` and ``difference``; over all cells ``spatial_r``,
        ``spatial_bias`` and ``spatial_rmse``; units 1. Attribute ``period``.

    Raises
    ------
    MissingVariableError, UnitsError, CoordinateError, EmptySelectionError
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
