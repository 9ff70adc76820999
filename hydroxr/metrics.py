"""How well a simulation fits the observations: one number a cell, lazily, over any other dimensions.

All metrics obey the same rules:

- **Pairs.** A time step counts only where both series have a value; n is the number of such pairs.
- **Undefined is NaN, never a warning**: fewer than 2 pairs, a formula that divides by zero (observations
  that do not vary, or whose sum is 0), or an infinite value in a pair.
- **float64.** Sums are taken in float64 whatever the input's dtype: those of float32 drift over decades.
- **Labels.** In time, the labels both series have are used. In space, labels must be the same, in the same
  order: hydroxr never drops a basin in silence. Units must be the same where both series state them.

In the formulas s is the simulated and o the observed value, and an overbar is the mean over the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from .errors import CoordinateError, DimensionError, EmptySelectionError, UnitsError
from .units import canonical, factor_offset, quantity_of
from .variables import FLUX

__all__ = [
    "bias",
    "correlation",
    "evaluate",
    "fhv",
    "flv",
    "kge",
    "kge_parts",
    "log_nse",
    "nse",
    "pbias",
    "require_same_place",
    "require_same_units",
    "rmse",
]

LOW_FLOWS = 0.30  # share of the flow duration curve that FLV looks at
HIGH_FLOWS = 0.02  # and FHV
_RANK = "flow_duration_rank"  # takes the place of time once flows are sorted
_PLACE = ("basin", "basin_id")  # coordinates that say which basin a series is of


# --- From two series to pairs ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Two series that share labels and gaps, and the sums that several metrics need.

    The sums are taken on first use and kept, so that :func:`evaluate` takes each of them once.

    Parameters
    ----------
    simulated, observed
        float64 ``(..., dim)``, NaN wherever one of the two is missing.
    count
        Number of pairs ``(...)``.
    defined
        Whether a metric can be given at all ``(...)``.
    dim
        The dimension that a metric reduces.
    """

    simulated: xr.DataArray
    observed: xr.DataArray
    count: xr.DataArray
    defined: xr.DataArray
    dim: str

    def mean(self, values: xr.DataArray) -> xr.DataArray:
        """Mean over the pairs, NaN where no metric is defined."""
        return values.sum(self.dim) / self.count.where(self.defined)

    def variance(self, values: xr.DataArray) -> xr.DataArray:
        """Variance over the pairs, exactly 0 where the values are all the same.

        The mean of n equal numbers is in general not that number, but next to it. Without the comparison
        of extremes a constant series would get a variance of 1e-33 and, divided by it, absurd metrics.
        """
        varies = values.fillna(-np.inf).max(self.dim) > values.fillna(np.inf).min(self.dim)
        return self.mean((values - self.mean(values)) ** 2) * varies

    @cached_property
    def mean_simulated(self) -> xr.DataArray:
        return self.mean(self.simulated)

    @cached_property
    def mean_observed(self) -> xr.DataArray:
        return self.mean(self.observed)

    @cached_property
    def std_simulated(self) -> xr.DataArray:
        return self.variance(self.simulated) ** 0.5

    @cached_property
    def variance_observed(self) -> xr.DataArray:
        """NaN where the observations do not vary: every use of it is as a divisor."""
        return _divisor(self.variance(self.observed))

    @cached_property
    def std_observed(self) -> xr.DataArray:
        return self.variance_observed**0.5

    @cached_property
    def mean_squared_error(self) -> xr.DataArray:
        return self.mean((self.simulated - self.observed) ** 2)

    @cached_property
    def curves(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Both series sorted upwards, each on its own ``(..., rank)``; gaps come last."""
        return _sorted(self.simulated, self.dim), _sorted(self.observed, self.dim)

    def transformed(self, function: Callable[[xr.DataArray], xr.DataArray]) -> _Pairs:
        """The same pairs on another scale."""
        return _Pairs(function(self.simulated), function(self.observed), self.count, self.defined, self.dim)


def _pair(simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> _Pairs:
    """Bring two series together; see the top of the module for the rules and the errors."""
    require_same_units(simulated, observed)
    simulated, observed = _align(simulated, observed, dim)
    simulated, observed = simulated.astype(np.float64), observed.astype(np.float64)
    count = (simulated.notnull() & observed.notnull()).sum(dim)
    # An infinite value is no gap: leaving it out would flatter a simulation that has blown up.
    finite: xr.DataArray = xr.ufuncs.isfinite(simulated) & xr.ufuncs.isfinite(observed)
    defined = (count >= 2) & (finite.sum(dim) == count)
    return _Pairs(simulated.where(finite), observed.where(finite), count, defined, dim)


def _align(simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Keep the labels of ``dim`` that both have; every other label must be the same in both."""
    for name, array in (("simulated", simulated), ("observed", observed)):
        if dim not in array.dims:
            raise DimensionError(
                f"{name!r} has no dimension {dim!r}, only {array.dims}; a metric reduces {dim!r}. "
                "Name the dimension to reduce: dim=..."
            )
        if array.sizes[dim] == 0:
            raise EmptySelectionError(
                f"{name!r} has no values along {dim!r}; check what was selected before."
            )
    _require_same_space(simulated, observed, dim)
    simulated = require_same_place(simulated, observed)
    # Only labels go through the sums: xarray would compare all other coordinates at each step, which
    # computes those that are lazy, and drop the ones that differ in the last digit.
    bare = simulated.reset_coords(drop=True), observed.reset_coords(drop=True)
    try:
        pair = xr.align(*bare, join="inner", exclude=_others(simulated, dim))
    except ValueError as error:  # duplicate labels; different lengths without labels
        raise CoordinateError(
            f"'simulated' and 'observed' cannot be matched along {dim!r}: {error}"
        ) from error
    if pair[0].sizes[dim] == 0:
        raise CoordinateError(_nothing_in_common(simulated[dim], observed[dim]))
    return pair


def _others(array: xr.DataArray, dim: str) -> set[Hashable]:
    return set(array.dims) - {dim}


def _require_same_space(simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> None:
    """Refuse pairs of cells that xarray would multiply out, or drop, because they do not match."""
    more, fewer = _others(simulated, dim), _others(observed, dim)
    if not (more <= fewer or fewer <= more):
        raise DimensionError(
            f"'simulated' has dimensions {simulated.dims}, 'observed' {observed.dims}; apart from {dim!r} "
            "one must have all those of the other. Rename what means the same: observed.rename(...)."
        )
    try:
        xr.align(simulated, observed, join="exact", exclude={dim})
    except ValueError as error:
        for name in sorted(more & fewer, key=str):
            _require_same_labels(name, simulated, observed)
        raise CoordinateError(f"'simulated' and 'observed' do not match in space: {error}") from error


def _require_same_labels(name: Hashable, simulated: xr.DataArray, observed: xr.DataArray) -> None:
    """Say how the labels of a spatial dimension differ, if they do."""
    found = (
        f"'simulated' has {simulated.sizes[name]} and 'observed' {observed.sizes[name]} cells along {name!r}"
    )
    if name not in simulated.indexes or name not in observed.indexes:
        if simulated.sizes[name] != observed.sizes[name]:
            raise CoordinateError(
                f"{found}, and no labels say which belong together. Select the same cells in both."
            )
        return
    first, second = simulated.indexes[name], observed.indexes[name]
    if first.equals(second):
        return
    common = len(first.intersection(second))
    if common == len(first) == len(second):
        advice = f"Only the order differs: use observed.sel({name}=simulated[{name!r}])."
    elif common == 0 and len(first) == len(second) and first.dtype.kind == second.dtype.kind == "f":
        advice = (
            f"If they differ only by rounding, use observed.assign_coords({name}=simulated[{name!r}]); "
            "else select the same cells in both."
        )
    else:
        advice = f"Select the same cells in both, for instance those of the simulation: .sel({name}=[...])."
    raise CoordinateError(
        f"{found}, {common} labels in common; expected the same labels in the same order. {advice}"
    )


def require_same_place(simulated: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Refuse two arrays whose ``basin`` or ``basin_id`` differ, where both have that coordinate.

    xarray compares only labels of dimensions; a ``basin_id`` along ``basin``, or the one left over from
    ``.isel(basin=0)``, it would drop in silence.

    Returns
    -------
    xarray.DataArray
        ``simulated``. Labels that are lazy are not read here; they are compared when it is computed.

    Raises
    ------
    CoordinateError
        With the first labels that differ.
    """
    for name in _PLACE:
        if name not in simulated.coords or name not in observed.coords:
            continue
        labels = [array[name].reset_coords(drop=True) for array in (simulated, observed)]
        sizes = [dict(array.sizes) for array in labels]
        if sizes[0] != sizes[1]:
            raise CoordinateError(
                f"{name!r} has dimensions {sizes[0]} in 'simulated' and {sizes[1]} in 'observed'; expected "
                "the same basins in both. Select the same in both."
            )
        if all(array.chunks is None for array in labels):
            _require_equal(*(array.values for array in labels), name=name)
            continue
        equal = xr.apply_ufunc(
            _require_equal, *labels, kwargs={"name": name}, dask="parallelized", output_dtypes=[bool]
        )
        simulated = simulated.where(equal)
    return simulated


def _require_equal(first: np.ndarray, second: np.ndarray, *, name: str) -> np.ndarray:
    """All True, or the error of :func:`require_same_place`."""
    # What does not equal itself is NaN, for cells outside all basins; two NaN are no difference.
    differs = np.asarray((first != second) & ((first == first) | (second == second)))
    if differs.any():
        here = np.flatnonzero(differs)[0]
        raise CoordinateError(
            f"{name!r} is {np.ravel(first)[here]!s} in 'simulated' and {np.ravel(second)[here]!s} in "
            f"'observed', {differs.sum()} of {differs.size} differ; expected the same basins in the same "
            "order. Select the same in both."
        )
    return ~differs


def require_same_units(simulated: xr.DataArray, observed: xr.DataArray) -> None:
    """Refuse two arrays in different units, where both state them; ``mm/day`` is ``kg m-2 day-1``.

    Raises
    ------
    UnitsError
        With both units.
    """
    first, second = simulated.attrs.get("units"), observed.attrs.get("units")
    if first is None or second is None or _conversion(str(first)) == _conversion(str(second)):
        return
    raise UnitsError(
        f"'simulated' is in {first!r}, 'observed' in {second!r}; expected the same units. "
        "Convert one of them (discharge in m3 s-1 needs the catchment area)."
    )


def _conversion(units: str) -> tuple[object, ...]:
    """What two spellings of one unit have in common."""
    quantity = quantity_of(units)
    return (
        (canonical(units),) if quantity is None else (quantity, *factor_offset(units, quantity, name="units"))
    )


def _nothing_in_common(first: xr.DataArray, second: xr.DataArray) -> str:
    """The message for two axes without a common label: both ranges, and the reason if it can be seen."""
    dim = first.name
    ranges = f"'simulated' ({_range(first)}) and 'observed' ({_range(second)})"
    found = f"{ranges} have no label in common along {dim!r}"
    calendars = (_calendar(first), _calendar(second))
    if None in calendars:
        return f"{found}. Select the same part of both."
    if calendars[0] != calendars[1] or first.dtype.kind != second.dtype.kind:
        return (
            f"{found}: their calendars differ ({calendars[0]} in {first.dtype}, {calendars[1]} in "
            f"{second.dtype}). Convert one: observed.convert_calendar({calendars[0]!r}, "
            f"use_cftime={first.dtype.kind == 'O'})."
        )
    days = [axis.dt.floor("D") for axis in (first, second)]
    if days[0].isin(days[1].values).any():
        hours = [str(axis.dt.strftime("%H:%M").values[0]) for axis in (first, second)]
        midnight = f'.assign_coords({dim}=lambda a: a["{dim}"].dt.floor("D"))'
        return (
            f"{found}: the days are the same, but 'simulated' is stamped {hours[0]} and 'observed' "
            f"{hours[1]}. If both mean the same day, stamp both 00:00: simulated{midnight} and "
            f"observed{midnight}."
        )
    return f"{found}; expected periods that overlap. Select or simulate the observed period."


def _range(axis: xr.DataArray) -> str:
    """First and last label, times without the zeros that numpy prints after the seconds."""
    ends = axis[[0, -1]]
    if _calendar(axis) is not None:
        ends = ends.dt.strftime("%Y-%m-%d %H:%M")
    return " to ".join(str(end) for end in ends.values)


def _calendar(axis: xr.DataArray) -> str | None:
    """The calendar, or None for labels that are no times."""
    try:
        return str(axis.dt.calendar)
    except (AttributeError, TypeError):
        return None


# --- Formulas over pairs --------------------------------------------------------------------------


def _divisor(values: xr.DataArray) -> xr.DataArray:
    """NaN in place of 0, so that a division by it is undefined rather than a warning."""
    return values.where(values != 0)


def _nse(pairs: _Pairs) -> xr.DataArray:
    return 1 - pairs.mean_squared_error / pairs.variance_observed


def _r(pairs: _Pairs) -> xr.DataArray:
    anomalies = (pairs.simulated - pairs.mean_simulated) * (pairs.observed - pairs.mean_observed)
    r = pairs.mean(anomalies) / (_divisor(pairs.std_simulated) * pairs.std_observed)
    # A constant simulation has no correlation, and 0 is what it deserves: NaN would drop out of medians.
    return r.clip(-1, 1).where(pairs.std_simulated != 0, 0.0).where(pairs.std_observed.notnull())


def _alpha(pairs: _Pairs) -> xr.DataArray:
    return pairs.std_simulated / pairs.std_observed


def _beta(pairs: _Pairs) -> xr.DataArray:
    return pairs.mean_simulated / _divisor(pairs.mean_observed)


def _kge(pairs: _Pairs) -> xr.DataArray:
    return 1 - ((_r(pairs) - 1) ** 2 + (_alpha(pairs) - 1) ** 2 + (_beta(pairs) - 1) ** 2) ** 0.5


def _rmse(pairs: _Pairs) -> xr.DataArray:
    return pairs.mean_squared_error**0.5


def _bias(pairs: _Pairs) -> xr.DataArray:
    return pairs.mean(pairs.simulated - pairs.observed)


def _pbias(pairs: _Pairs) -> xr.DataArray:
    return 100 * _bias(pairs) / _divisor(pairs.mean_observed)


def _low_flow_scale(flow: xr.DataArray) -> xr.DataArray:
    """Equation 2 of Feng et al. (2022); the root of a negative flow does not exist, so it counts as 0."""
    scaled: xr.DataArray = xr.ufuncs.log10((flow.clip(min=0) + 1e-6) ** 0.5 + 0.1)
    return scaled


def _log_nse(pairs: _Pairs) -> xr.DataArray:
    return _nse(pairs.transformed(_low_flow_scale))


def _sorted(values: xr.DataArray, dim: str) -> xr.DataArray:
    """Sort upwards along ``dim``, which becomes ``rank``; a block must hold all of a series for that."""
    if values.chunks is not None:
        values = values.chunk({dim: -1})
    in_order: xr.DataArray = xr.apply_ufunc(  # numpy sorts NaN to the end
        np.sort,
        values,
        input_core_dims=[[dim]],
        output_core_dims=[[_RANK]],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {_RANK: values.sizes[dim]}},
        output_dtypes=[values.dtype],
    )
    return in_order


def _ranks(pairs: _Pairs) -> xr.DataArray:
    return xr.DataArray(np.arange(pairs.observed.sizes[pairs.dim]), dims=_RANK)


def _volume_bias(pairs: _Pairs, chosen: xr.DataArray) -> xr.DataArray:
    """Percent bias of the chosen ranks of the two flow duration curves."""
    simulated, observed = (curve.where(chosen).sum(_RANK) for curve in pairs.curves)
    return (100 * (simulated - observed) / _divisor(observed)).where(pairs.defined)


def _flv(pairs: _Pairs) -> xr.DataArray:
    lowest = (LOW_FLOWS * pairs.count).round()
    return _volume_bias(pairs, _ranks(pairs) < lowest)


def _fhv(pairs: _Pairs) -> xr.DataArray:
    highest = (HIGH_FLOWS * pairs.count).round()
    return _volume_bias(pairs, _ranks(pairs) >= pairs.count - highest)


def _n_days(pairs: _Pairs) -> xr.DataArray:
    return pairs.count


# --- The table of metrics -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Metric:
    """One row: how it is called, its unit (None: that of the data), how it comes from the pairs."""

    long_name: str
    units: str | None
    formula: Callable[[_Pairs], xr.DataArray]


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

_EVALUATED = ("nse", "kge", "r", "alpha", "beta", "rmse", "pbias", "flv", "fhv", "log_nse", "n_days")
_KGE_PARTS = ("r", "alpha", "beta")


def _metrics(names: tuple[str, ...], simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> xr.Dataset:
    """Some metrics of the table, with attributes from there and none of the inputs'."""
    pairs = _pair(simulated, observed, dim)
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


def _metric(name: str, simulated: xr.DataArray, observed: xr.DataArray, dim: str) -> xr.DataArray:
    return _metrics((name,), simulated, observed, dim)[name]


def _units(simulated: xr.DataArray, observed: xr.DataArray) -> str:
    """The unit of an error: that of the data; streamflow's, in its CF spelling, unless they say otherwise."""
    stated = str(simulated.attrs.get("units", observed.attrs.get("units", FLUX)))
    return FLUX if _conversion(stated) == _conversion(FLUX) else stated


# --- Public ---------------------------------------------------------------------------------------


def nse(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Nash-Sutcliffe efficiency: 1 is perfect, 0 no better than the mean of the observations.

    .. math:: \mathrm{NSE} = 1 - \frac{\sum (s - o)^2}{\sum (o - \bar{o})^2}

    Parameters
    ----------
    simulated, observed
        Values ``(..., dim)`` in the same units; one may have dimensions that the other lacks.
    dim
        The dimension to reduce.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs or observations that do not vary.

    Raises
    ------
    CoordinateError
        No label of ``dim`` in common (periods that do not overlap, 00 h against 12 h stamps), or cells that
        do not match: labels of space must be the same in the same order, ``basin_id`` as well.
    DimensionError
        ``dim`` is missing, or each of the two has a dimension that the other lacks.
    EmptySelectionError
        One of the two has no values along ``dim``.
    UnitsError
        Both state their units, and these differ.

    References
    ----------
    Nash, J. E., & Sutcliffe, J. V. (1970). River flow forecasting through conceptual models part I.
    Journal of Hydrology, 10(3), 282-290. https://doi.org/10.1016/0022-1694(70)90255-6
    """
    return _metric("nse", simulated, observed, dim)


def kge(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Kling-Gupta efficiency in its form of 2009: 1 is perfect, the mean flow gets 1 - sqrt(2), or -0.41.

    .. math:: \mathrm{KGE} = 1 - \sqrt{(r - 1)^2 + (\alpha - 1)^2 + (\beta - 1)^2}

    with the parts that :func:`kge_parts` returns. A constant simulation counts as uncorrelated, r = 0.

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs, observations that do not vary,
        or observations with a mean of 0.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Gupta, H. V., Kling, H., Yilmaz, K. K., & Martinez, G. F. (2009). Decomposition of the mean squared error
    and NSE performance criteria. Journal of Hydrology, 377, 80-91.
    https://doi.org/10.1016/j.jhydrol.2009.08.003

    Knoben, W. J. M., Freer, J. E., & Woods, R. A. (2019). Technical note: Inherent benchmark or not?
    Hydrology and Earth System Sciences, 23, 4323-4331 (the value of the mean flow).
    https://doi.org/10.5194/hess-23-4323-2019
    """
    return _metric("kge", simulated, observed, dim)


def kge_parts(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.Dataset:
    r"""The three parts of :func:`kge`: what is wrong with the timing, the variability and the volume.

    .. math:: r = \frac{\overline{(s - \bar{s})(o - \bar{o})}}{\sigma_s \sigma_o}, \quad
              \alpha = \frac{\sigma_s}{\sigma_o}, \quad \beta = \frac{\bar{s}}{\bar{o}}

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`.

    Returns
    -------
    xarray.Dataset
        ``r``, ``alpha`` and ``beta`` ``(...)``, units 1, float64. NaN for fewer than 2 pairs; ``r`` and
        ``alpha`` also for observations that do not vary, ``beta`` for observations with a mean of 0.
        ``r`` is 0 for a constant simulation.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Gupta et al. (2009), see :func:`kge`.
    """
    return _metrics(_KGE_PARTS, simulated, observed, dim)


def correlation(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    """Pearson correlation, the ``r`` of :func:`kge_parts`; 0 for a constant simulation.

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, from -1 to 1. NaN for fewer than 2 pairs or for observations that do
        not vary.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.
    """
    return _metric("r", simulated, observed, dim)


def rmse(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Root-mean-square error.

    .. math:: \mathrm{RMSE} = \sqrt{\overline{(s - o)^2}}

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units of the data (kg m-2 day-1 where they state none), float64. NaN for fewer than 2
        pairs.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.
    """
    return _metric("rmse", simulated, observed, dim)


def bias(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Mean error, positive where too much is simulated.

    .. math:: \mathrm{bias} = \bar{s} - \bar{o}

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units of the data (kg m-2 day-1 where they state none), float64. NaN for fewer than 2
        pairs.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.
    """
    return _metric("bias", simulated, observed, dim)


def pbias(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Percent bias, positive where too much is simulated.

    .. math:: \mathrm{PBIAS} = 100 \, \frac{\sum (s - o)}{\sum o}

    Some papers, Gupta et al. (1999) the first of them, have the opposite sign.

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64. NaN for fewer than 2 pairs or observations with a sum of 0.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Gupta, H. V., Sorooshian, S., & Yapo, P. O. (1999). Status of automatic calibration for hydrologic models.
    Journal of Hydrologic Engineering, 4(2), 135-143. https://doi.org/10.1061/(ASCE)1084-0699(1999)4:2(135)
    """
    return _metric("pbias", simulated, observed, dim)


def log_nse(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Nash-Sutcliffe efficiency on a scale that brings out low flows.

    :func:`nse` of, for the simulated and the observed flow Q in mm/day,

    .. math:: \hat{Q} = \log_{10}\left(\sqrt{Q + 10^{-6}} + 0.1\right)

    which, unlike a plain logarithm, bears days without flow. A negative flow counts as 0.

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`; in mm/day (kg m-2 day-1), as the constants of the scale are.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs or observations that do not vary.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Feng, D., Liu, J., Lawson, K., & Shen, C. (2022). Differentiable, learnable, regionalized process-based
    models with multiphysical outputs can approach state-of-the-art hydrologic prediction accuracy. Water
    Resources Research, 58, e2022WR032404, equation 2. https://doi.org/10.1029/2022WR032404
    """
    return _metric("log_nse", simulated, observed, dim)


def flv(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Percent bias of the low-flow volume: the lowest 30 % of the flow duration curves.

    .. math:: \mathrm{FLV} = 100 \, \frac{\sum_{i=1}^{h} (s_{(i)} - o_{(i)})}{\sum_{i=1}^{h} o_{(i)}},
              \quad h = \mathrm{round}(0.3 \, n)

    Only the n pairs enter. Their simulated and observed flows are sorted upwards each on its own, so
    that the i-th lowest simulated flow :math:`s_{(i)}` meets the i-th lowest observed one, whatever their
    days. A half rounds to the even number. (Yilmaz et al. (2008), who gave the index its name, take
    logarithms and the opposite sign; this is the plain volume that Feng et al. (2020) report.)

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`. Blocks along ``dim`` are merged, since a series must be sorted as a whole.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64, positive where low flows are too high. NaN for fewer than 2 pairs, or where
        the h lowest observed flows sum to 0, as in a river that is dry 30 % of the time.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Yilmaz, K. K., Gupta, H. V., & Wagener, T. (2008). A process-based diagnostic approach to model
    evaluation. Water Resources Research, 44, W09417. https://doi.org/10.1029/2007WR006716

    Feng, D., Fang, K., & Shen, C. (2020). Enhancing streamflow forecast and extracting insights using
    long-short term memory networks with data integration at continental scales. Water Resources Research,
    56, e2019WR026793. https://doi.org/10.1029/2019WR026793
    """
    return _metric("flv", simulated, observed, dim)


def fhv(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.DataArray:
    r"""Percent bias of the high-flow volume: the highest 2 % of the flow duration curves.

    .. math:: \mathrm{FHV} = 100 \, \frac{\sum_{i=n-h+1}^{n} (s_{(i)} - o_{(i)})}{\sum_{i=n-h+1}^{n} o_{(i)}},
              \quad h = \mathrm{round}(0.02 \, n)

    Sorting and rounding as for :func:`flv`.

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`flv`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64, positive where peaks are too high. NaN for fewer than 26 pairs (h is 0 then),
        or where the h highest observed flows sum to 0.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Yilmaz et al. (2008) and Feng et al. (2020), see :func:`flv`.
    """
    return _metric("fhv", simulated, observed, dim)


def evaluate(simulated: xr.DataArray, observed: xr.DataArray, dim: str = "time") -> xr.Dataset:
    """All metrics of streamflow at once, lazily where one of the two is lazy.

    Parameters
    ----------
    simulated, observed, dim
        As for :func:`nse`; in mm/day (kg m-2 day-1).

    Returns
    -------
    xarray.Dataset
        ``nse``, ``kge``, ``r``, ``alpha``, ``beta``, ``rmse``, ``pbias``, ``flv``, ``fhv``, ``log_nse``
        ``(...)``, float64, each as the function of that name (``r``, ``alpha``, ``beta``: of
        :func:`kge_parts`) returns it, and ``n_days``, the number of pairs. Each has the attributes
        ``long_name`` and ``units``.

    Raises
    ------
    CoordinateError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    Examples
    --------
    >>> scores = evaluate(simulation["streamflow"], observations["streamflow"])  # doctest: +SKIP
    >>> scores["nse"].median("basin")  # doctest: +SKIP
    """
    return _metrics(_EVALUATED, simulated, observed, dim)
