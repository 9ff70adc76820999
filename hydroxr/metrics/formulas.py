"""Formulas of all metrics over pairs, and the table of their long names and units."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..conventions.variables import FLUX
from .alignment import conversion, of_the_same_cells, require_arrays
from .arrays import efficiency
from .pairs import RANK, Pairs, divisor, pair
from .peaks import PeakRule, timing_errors
from .selection import Dims, dimensions

LOW_FLOWS = 0.30  # share of the flow duration curve that enters FLV
HIGH_FLOWS = 0.02  # and FHV


def _nse(pairs: Pairs) -> xr.DataArray:
    nse: xr.DataArray = efficiency(pairs.mean_squared_error, pairs.variance_observed)
    return nse


def _r(pairs: Pairs) -> xr.DataArray:
    anomalies = (pairs.simulated - pairs.mean_simulated) * (pairs.observed - pairs.mean_observed)
    r = pairs.mean(anomalies) / (divisor(pairs.std_simulated) * pairs.std_observed)
    # The correlation of a constant simulation is undefined. It counts as 0, since medians ignore NaN.
    return r.clip(-1, 1).where(pairs.std_simulated != 0, 0.0).where(pairs.std_observed.notnull())


def _alpha(pairs: Pairs) -> xr.DataArray:
    return pairs.std_simulated / pairs.std_observed


def _beta(pairs: Pairs) -> xr.DataArray:
    return pairs.mean_simulated / divisor(pairs.mean_observed)


def _gamma(pairs: Pairs) -> xr.DataArray:
    # A constant simulation has no variability, even if its mean is 0 and gamma cannot be computed.
    gamma = (_alpha(pairs) / divisor(_beta(pairs))).where(pairs.std_simulated != 0, 0.0)
    return gamma.where(_alpha(pairs).notnull() & _beta(pairs).notnull())


def _distance_from_one(*parts: xr.DataArray) -> xr.DataArray:
    distance: xr.DataArray = sum((part - 1) ** 2 for part in parts) ** 0.5
    return distance


def _kge(pairs: Pairs) -> xr.DataArray:
    return 1 - _distance_from_one(_r(pairs), _alpha(pairs), _beta(pairs))


def _kge_2012(pairs: Pairs) -> xr.DataArray:
    return 1 - _distance_from_one(_r(pairs), _gamma(pairs), _beta(pairs))


def _rmse(pairs: Pairs) -> xr.DataArray:
    return pairs.mean_squared_error**0.5


def _bias(pairs: Pairs) -> xr.DataArray:
    return pairs.mean(pairs.simulated - pairs.observed)


def _pbias(pairs: Pairs) -> xr.DataArray:
    return 100 * _bias(pairs) / divisor(pairs.mean_observed)


def _low_flow_scale(flow: xr.DataArray) -> xr.DataArray:
    """Equation 2 of Feng et al. (2022); a negative flow counts as 0."""
    scaled: xr.DataArray = xr.ufuncs.log10((flow.clip(min=0) + 1e-6) ** 0.5 + 0.1)
    return scaled


def _log_nse(pairs: Pairs) -> xr.DataArray:
    return _nse(pairs.transformed(_low_flow_scale))


def _ranks(pairs: Pairs) -> xr.DataArray:
    return xr.DataArray(np.arange(math.prod(pairs.observed.sizes[dim] for dim in pairs.dims)), dims=RANK)


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


def _peak_timing(pairs: Pairs, rule: PeakRule | None = None) -> xr.DataArray:
    total, count = timing_errors(pairs, rule or PeakRule())
    return (total / divisor(count)).where(pairs.defined)


def _n_days(pairs: Pairs) -> xr.DataArray:
    return pairs.count


@dataclass(frozen=True)
class _Metric:
    """One row of the table; units None means the units of the data."""

    long_name: str
    units: str | None
    formula: Callable[[Pairs], xr.DataArray]


_METRICS = {
    "nse": _Metric("Nash-Sutcliffe efficiency (NSE)", "1", _nse),
    "kge": _Metric("Kling-Gupta efficiency of 2009 (KGE)", "1", _kge),
    "kge_2012": _Metric("Kling-Gupta efficiency of 2012 (KGE')", "1", _kge_2012),
    "r": _Metric("Pearson correlation of simulated and observed values", "1", _r),
    "alpha": _Metric("ratio of the standard deviations, simulated to observed", "1", _alpha),
    "beta": _Metric("ratio of the means, simulated to observed", "1", _beta),
    "gamma": _Metric("ratio of the coefficients of variation, simulated to observed", "1", _gamma),
    "rmse": _Metric("root-mean-square error (RMSE)", None, _rmse),
    "bias": _Metric("mean error, simulated less observed", None, _bias),
    "pbias": _Metric("percent bias (PBIAS), positive where too much is simulated", "%", _pbias),
    "flv": _Metric("percent bias of the lowest 30 % of the flow duration curve (FLV)", "%", _flv),
    "fhv": _Metric("percent bias of the highest 2 % of the flow duration curve (FHV)", "%", _fhv),
    "log_nse": _Metric("Nash-Sutcliffe efficiency of log10(sqrt(Q + 1e-6) + 0.1)", "1", _log_nse),
    "peak_timing": _Metric(
        "mean absolute difference in time of observed and simulated peaks", "day", _peak_timing
    ),
    "n_days": _Metric("number of time steps with both simulated and observed values", "1", _n_days),
}

EVALUATED = (
    *("nse", "kge", "r", "alpha", "beta", "rmse", "pbias", "flv", "fhv", "log_nse"),
    *("kge_2012", "gamma", "peak_timing", "n_days"),
)
KGE_PARTS = ("r", "alpha", "beta")
KGE_2012_PARTS = ("r", "gamma", "beta")


def metrics(
    names: tuple[str, ...],
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
    rule: PeakRule | None = None,
) -> xr.Dataset:
    """The metrics ``names`` of the table, with its attributes and none of the inputs'.

    Parameters
    ----------
    names
        Keys of the table.
    simulated, observed, dim, time, mask
        As for :func:`hydroxr.metrics.nse`.
    rule
        How ``peak_timing`` finds peaks; default: the values of Kratzert et al. (2021).
    """
    require_arrays(simulated, observed)
    simulated, observed = of_the_same_cells(simulated, observed, dimensions(dim, simulated))
    pairs = pair(simulated, observed, dim, time, mask)
    units = _units(simulated, observed)
    result = xr.Dataset()
    for name in names:
        metric = _METRICS[name]
        result[name] = _peak_timing(pairs, rule) if name == "peak_timing" else metric.formula(pairs)
        result[name].attrs = {"long_name": metric.long_name, "units": metric.units or units}
    result.attrs = {}
    return result.assign_coords(_descriptions(simulated, observed, pairs.dims))


def _descriptions(
    simulated: xr.DataArray, observed: xr.DataArray, dims: tuple[Hashable, ...]
) -> dict[Hashable, xr.Variable]:
    """Coordinates that are not labels, such as names and elevations; the simulation's take precedence."""
    return {
        name: coordinate.variable
        for array in (observed, simulated)
        for name, coordinate in array.coords.items()
        if not set(dims) & set(coordinate.dims) and name not in {*simulated.xindexes, *observed.xindexes}
    }


def metric(
    name: str,
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims,
    time: slice | None,
    mask: xr.DataArray | None,
) -> xr.DataArray:
    """One metric of the table; see :func:`metrics`."""
    return metrics((name,), simulated, observed, dim, time, mask)[name]


def _units(simulated: xr.DataArray, observed: xr.DataArray) -> str:
    """Units of an error: those of the data, by default those of streamflow in CF spelling."""
    stated = str(simulated.attrs.get("units", observed.attrs.get("units", FLUX)))
    return FLUX if conversion(stated) == conversion(FLUX) else stated
