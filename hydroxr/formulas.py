"""The formulas of the metrics over pairs, and the table of what each is called.

In the comments s is the simulated and o the observed value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .pairs import RANK, Pairs, conversion, divisor, pair
from .variables import FLUX

LOW_FLOWS = 0.30  # share of the flow duration curve that FLV looks at
HIGH_FLOWS = 0.02  # and FHV


def _nse(pairs: Pairs) -> xr.DataArray:
    return 1 - pairs.mean_squared_error / pairs.variance_observed


def _r(pairs: Pairs) -> xr.DataArray:
    anomalies = (pairs.simulated - pairs.mean_simulated) * (pairs.observed - pairs.mean_observed)
    r = pairs.mean(anomalies) / (divisor(pairs.std_simulated) * pairs.std_observed)
    # A constant simulation has no correlation, and 0 is what it deserves: NaN would drop out of medians.
    return r.clip(-1, 1).where(pairs.std_simulated != 0, 0.0).where(pairs.std_observed.notnull())


def _alpha(pairs: Pairs) -> xr.DataArray:
    return pairs.std_simulated / pairs.std_observed


def _beta(pairs: Pairs) -> xr.DataArray:
    return pairs.mean_simulated / divisor(pairs.mean_observed)


def _kge(pairs: Pairs) -> xr.DataArray:
    return 1 - ((_r(pairs) - 1) ** 2 + (_alpha(pairs) - 1) ** 2 + (_beta(pairs) - 1) ** 2) ** 0.5


def _rmse(pairs: Pairs) -> xr.DataArray:
    return pairs.mean_squared_error**0.5


def _bias(pairs: Pairs) -> xr.DataArray:
    return pairs.mean(pairs.simulated - pairs.observed)


def _pbias(pairs: Pairs) -> xr.DataArray:
    return 100 * _bias(pairs) / divisor(pairs.mean_observed)


def _low_flow_scale(flow: xr.DataArray) -> xr.DataArray:
    """Equation 2 of Feng et al. (2022); the root of a negative flow does not exist, so it counts as 0."""
    scaled: xr.DataArray = xr.ufuncs.log10((flow.clip(min=0) + 1e-6) ** 0.5 + 0.1)
    return scaled


def _log_nse(pairs: Pairs) -> xr.DataArray:
    return _nse(pairs.transformed(_low_flow_scale))


def _ranks(pairs: Pairs) -> xr.DataArray:
    return xr.DataArray(np.arange(pairs.observed.sizes[pairs.dim]), dims=RANK)


def _volume_bias(pairs: Pairs, chosen: xr.DataArray) -> xr.DataArray:
    """Percent bias of the chosen ranks of the two flow duration curves."""
    simulated, observed = (curve.where(chosen).sum(RANK) for curve in pairs.curves)
    return (100 * (simulated - observed) / divisor(observed)).where(pairs.defined)


def _flv(pairs: Pairs) -> xr.DataArray:
    lowest = (LOW_FLOWS * pairs.count).round()
    return _volume_bias(pairs, _ranks(pairs) < lowest)


def _fhv(pairs: Pairs) -> xr.DataArray:
    highest = (HIGH_FLOWS * pairs.count).round()
    return _volume_bias(pairs, _ranks(pairs) >= pairs.count - highest)


def _n_days(pairs: Pairs) -> xr.DataArray:
    return pairs.count


@dataclass(frozen=True)
class _Metric:
    """One row: how it is called, its unit (None: that of the data), how it comes from the pairs."""

    long_name: str
    units: str | None
    formula: Callable[[Pairs], xr.DataArray]


_METRICS = {
    "nse": _Metric("Nash-Sutcliffe efficiency (NSE)", "1", _nse),
    "kge": _Metric("Kling-Gupta efficiency of 2009 (KGE)", "1", _kge),
    "r": _Metric("Pearson correlation of simulated and observed values", "1", _r),
    "alpha": _Metric("ratio of the standard deviations, simulated to observed", "1", _alpha),
    "beta": _Metric("ratio of the means, simulated to observed", "1", _beta),
    "rmse": _Metric("root-mean-square error (RMSE)", None, _rmse),
    "bias": _Metric("mean error, simulated less observed", None, _bias),
    "pbias": _Metric("percent bias (PBIAS), positive where too much is simulated", "%", _pbias),
    "flv": _Metric("percent bias of the lowest 30 % of the flow duration curve (FLV)", "%", _flv),
    "fhv": _Metric("percent bias of the highest 2 % of the flow duration curve (FHV)", "%", _fhv),
    "log_nse": _Metric("Nash-Sutcliffe efficiency of log10(sqrt(Q + 1e-6) + 0.1)", "1", _log_nse),
    "n_days": _Metric("number of time steps with both simulated and observed values", "1", _n_days),
}

EVALUATED = ("nse", "kge", "r", "alpha", "beta", "rmse", "pbias", "flv", "fhv", "log_nse", "n_days")
KGE_PARTS = ("r", "alpha", "beta")


def metrics(names: tuple[str, ...], simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> xr.Dataset:
    """Some metrics of the table, with attributes from there and none of the inputs'."""
    pairs = pair(simulated, observed, dim)
    units = _units(simulated, observed)
    result = xr.Dataset()
    for name in names:
        metric = _METRICS[name]
        result[name] = metric.formula(pairs)
        result[name].attrs = {"long_name": metric.long_name, "units": metric.units or units}
    result.attrs = {}
    return result.assign_coords(_descriptions(simulated, observed, dim))


def _descriptions(simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> dict[Hashable, xr.Variable]:
    """Coordinates that are no labels, such as names and elevations; the simulation's come first."""
    return {
        name: coordinate.variable
        for array in (observed, simulated)
        for name, coordinate in array.coords.items()
        if dim not in coordinate.dims and name not in {*simulated.xindexes, *observed.xindexes}
    }


def metric(name: str, simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> xr.DataArray:
    return metrics((name,), simulated, observed, dim)[name]


def _units(simulated: xr.DataArray, observed: xr.DataArray) -> str:
    """The unit of an error: that of the data; streamflow's, in its CF spelling, unless they say otherwise."""
    stated = str(simulated.attrs.get("units", observed.attrs.get("units", FLUX)))
    return FLUX if conversion(stated) == conversion(FLUX) else stated
