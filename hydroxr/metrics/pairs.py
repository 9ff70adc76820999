"""From two series to pairs: units, places and days of a simulation and of observations brought together.

What does not belong together is an error; nothing is dropped in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from ..conventions.units import canonical, factor_offset, quantity_of
from ..errors import CoordinateError, DimensionError, EmptySelectionError, UnitsError
from .selection import Dims, counted, dimensions, within

RANK = "flow_duration_rank"  # takes the place of time once flows are sorted
_PLACE = ("basin", "basin_id")  # coordinates that say which basin a series is of


@dataclass(frozen=True)
class Pairs:
    """Two series that share labels and gaps, and the sums that several metrics need.

    The sums are taken on first use and kept, so that :func:`evaluate` takes each of them once.

    Parameters
    ----------
    simulated, observed
        float64 ``(..., *dims)``, NaN wherever one of the two is missing.
    count
        Number of pairs ``(...)``.
    defined
        Whether a metric can be given at all ``(...)``.
    dims
        The dimensions that a metric reduces.
    """

    simulated: xr.DataArray
    observed: xr.DataArray
    count: xr.DataArray
    defined: xr.DataArray
    dims: tuple[Hashable, ...]

    def mean(self, values: xr.DataArray) -> xr.DataArray:
        """Mean over the pairs, NaN where no metric is defined."""
        return values.sum(self.dims) / self.count.where(self.defined)

    def variance(self, values: xr.DataArray) -> xr.DataArray:
        """Variance over the pairs, exactly 0 where the values are all the same.

        The mean of n equal numbers is in general not that number, but next to it. Without the comparison
        of extremes a constant series would get a variance of 1e-33 and, divided by it, absurd metrics.
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
        """NaN where the observations do not vary: every use of it is as a divisor."""
        return divisor(self.variance(self.observed))

    @cached_property
    def std_observed(self) -> xr.DataArray:
        return self.variance_observed**0.5

    @cached_property
    def mean_squared_error(self) -> xr.DataArray:
        return self.mean((self.simulated - self.observed) ** 2)

    @cached_property
    def curves(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Both series sorted upwards, each on its own ``(..., rank)``; gaps come last."""
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
    """Bring two series together; see the top of :mod:`hydroxr.metrics` for the rules and the errors."""
    require_same_units(simulated, observed)
    dims = dimensions(dim, simulated)
    if time is not None:
        simulated = within(simulated, time, "'simulated'")
        observed = within(observed, time, "'observed'")
    simulated, observed = _align(simulated, observed, dims)
    simulated, observed = simulated.astype(np.float64), observed.astype(np.float64)
    if mask is not None:
        if set(observed.dims) <= set(simulated.dims):  # one of the two has all dimensions
            simulated = counted(simulated, mask)
        else:
            observed = counted(observed, mask)
    count = (simulated.notnull() & observed.notnull()).sum(dims)
    # An infinite value is no gap: leaving it out would flatter a simulation that has blown up.
    finite: xr.DataArray = xr.ufuncs.isfinite(simulated) & xr.ufuncs.isfinite(observed)
    defined = (count >= 2) & (finite.sum(dims) == count)
    return Pairs(simulated.where(finite), observed.where(finite), count, defined, dims)


def _align(
    simulated: xr.DataArray, observed: xr.DataArray, dims: tuple[Hashable, ...]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Keep the labels of time that both have; every other label must be the same in both.

    A single dimension that is reduced is treated as time is, whatever its name.
    """
    for name, array in (("simulated", simulated), ("observed", observed)):
        for dim in dims:
            if dim not in array.dims:
                raise DimensionError(
                    f"{name!r} has no dimension {dim!r}, only {array.dims}; a metric reduces {dim!r}. "
                    "Name the dimension to reduce: dim=..."
                )
            if array.sizes[dim] == 0:
                raise EmptySelectionError(
                    f"{name!r} has no values along {dim!r}; check what was selected before."
                )
    matched = {dim for dim in dims if len(dims) == 1 or dim == "time"}
    _require_same_space(simulated, observed, dims, matched)
    simulated = require_same_place(simulated, observed)
    # Only labels go through the sums: xarray would compare all other coordinates at each step, which
    # computes those that are lazy, and drop the ones that differ in the last digit.
    bare = simulated.reset_coords(drop=True), observed.reset_coords(drop=True)
    if not matched:
        return bare
    (along,) = matched
    try:
        pair = xr.align(*bare, join="inner", exclude=set(simulated.dims) - matched)
    except ValueError as error:  # duplicate labels; different lengths without labels
        raise CoordinateError(
            f"'simulated' and 'observed' cannot be matched along {along!r}: {error}"
        ) from error
    if pair[0].sizes[along] == 0:
        raise CoordinateError(_nothing_in_common(simulated[along], observed[along]))
    return pair


def _require_same_space(
    simulated: xr.DataArray, observed: xr.DataArray, dims: tuple[Hashable, ...], matched: set[Hashable]
) -> None:
    """Refuse pairs of cells that xarray would multiply out, or drop, because they do not match."""
    more, fewer = set(simulated.dims) - set(dims), set(observed.dims) - set(dims)
    if not (more <= fewer or fewer <= more):
        reduced = ", ".join(map(repr, dims))
        raise DimensionError(
            f"'simulated' has dimensions {simulated.dims}, 'observed' {observed.dims}; apart from {reduced} "
            "one must have all those of the other. Rename what means the same: observed.rename(...)."
        )
    try:
        xr.align(simulated, observed, join="exact", exclude=matched)
    except ValueError as error:
        for name in sorted(set(simulated.dims) & set(observed.dims) - matched, key=str):
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
    if first is None or second is None or conversion(str(first)) == conversion(str(second)):
        return
    raise UnitsError(
        f"'simulated' is in {first!r}, 'observed' in {second!r}; expected the same units. "
        "Convert one of them (discharge in m3 s-1 needs the catchment area)."
    )


def conversion(units: str) -> tuple[object, ...]:
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


def divisor(values: xr.DataArray) -> xr.DataArray:
    """NaN in place of 0, so that a division by it is undefined rather than a warning."""
    return values.where(values != 0)


def _sorted(values: xr.DataArray, dims: tuple[Hashable, ...]) -> xr.DataArray:
    """Sort upwards along ``dims``, which become ``rank``; a block must hold all of a series for that."""
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
    """The last ``n`` axes as one, sorted; numpy sorts NaN to the end."""
    return np.sort(values.reshape(*values.shape[: values.ndim - n], -1), axis=-1)
