"""Pairs of simulated and observed values, and the sums that metrics take of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from .alignment import align, require_arrays, require_same_units
from .selection import Dims, counted, dimensions, within

RANK = "flow_duration_rank"  # takes the place of time once flows are sorted


@dataclass(frozen=True)
class Pairs:
    """Two series with the same labels and gaps. Sums are cached, since several metrics share them.

    Parameters
    ----------
    simulated, observed
        float64 ``(..., *dims)``, NaN where either value is infinite or missing.
    count
        Number of pairs ``(...)``.
    defined
        Whether metrics are defined ``(...)``: at least two pairs, all of them finite.
    dims
        The dimensions that a metric reduces.
    """

    simulated: xr.DataArray
    observed: xr.DataArray
    count: xr.DataArray
    defined: xr.DataArray
    dims: tuple[Hashable, ...]

    def mean(self, values: xr.DataArray) -> xr.DataArray:
        """Mean over the pairs, NaN where metrics are not defined."""
        return values.sum(self.dims) / self.count.where(self.defined)

    def variance(self, values: xr.DataArray) -> xr.DataArray:
        """Variance over the pairs, exactly 0 for a constant series.

        Rounding may move the mean of equal numbers off that number. The comparison of extremes prevents
        a variance of 1e-33, and absurd metrics that divide by it.
        """
        varies = values.fillna(-np.inf).max(self.dims) > values.fillna(np.inf).min(self.dims)
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
        """NaN where the observations do not vary, since it is only used as a divisor."""
        return divisor(self.variance(self.observed))

    @cached_property
    def std_observed(self) -> xr.DataArray:
        return self.variance_observed**0.5

    @cached_property
    def mean_squared_error(self) -> xr.DataArray:
        return self.mean((self.simulated - self.observed) ** 2)

    @cached_property
    def curves(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Both series ``(..., rank)``, each sorted in ascending order; gaps come last."""
        return _sorted(self.simulated, self.dims), _sorted(self.observed, self.dims)

    def transformed(self, function: Callable[[xr.DataArray], xr.DataArray]) -> Pairs:
        """The same pairs on another scale."""
        return Pairs(function(self.simulated), function(self.observed), self.count, self.defined, self.dims)


def pair(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> Pairs:
    """Pair two series by the rules of :mod:`hydroxr.metrics`, which also states the parameters and errors."""
    require_arrays(simulated, observed)
    require_same_units(simulated, observed)
    dims = dimensions(dim, simulated)
    if time is not None:
        simulated = within(simulated, time, "'simulated'")
        observed = within(observed, time, "'observed'")
    simulated, observed = align(simulated, observed, dims)
    simulated, observed = simulated.astype(np.float64), observed.astype(np.float64)
    if mask is not None:
        if set(observed.dims) <= set(simulated.dims):  # one of the two has all dimensions
            simulated = counted(simulated, mask)
        else:
            observed = counted(observed, mask)
    count = (simulated.notnull() & observed.notnull()).sum(dims)
    # An infinite value is not a gap: leaving it out would flatter a simulation that has diverged.
    finite: xr.DataArray = xr.ufuncs.isfinite(simulated) & xr.ufuncs.isfinite(observed)
    defined = (count >= 2) & (finite.sum(dims) == count)
    return Pairs(simulated.where(finite), observed.where(finite), count, defined, dims)


def divisor(values: xr.DataArray) -> xr.DataArray:
    """NaN in place of 0, so that a division gives NaN without a warning."""
    return values.where(values != 0)


def _sorted(values: xr.DataArray, dims: tuple[Hashable, ...]) -> xr.DataArray:
    """Sort in ascending order along ``dims``, which become ``rank``, in one block per series."""
    if values.chunks is not None:
        values = values.chunk(dict.fromkeys(dims, -1))
    in_order: xr.DataArray = xr.apply_ufunc(
        _sort,
        values,
        kwargs={"n": len(dims)},
        input_core_dims=[list(dims)],
        output_core_dims=[[RANK]],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {RANK: math.prod(values.sizes[dim] for dim in dims)}},
        output_dtypes=[values.dtype],
    )
    return in_order


def _sort(values: np.ndarray, n: int) -> np.ndarray:
    """Flatten and sort the last ``n`` axes; numpy sorts NaN to the end."""
    return np.sort(values.reshape(*values.shape[: values.ndim - n], -1), axis=-1)
