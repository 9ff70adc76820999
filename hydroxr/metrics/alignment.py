"""Whether a simulation and observations belong together: the same units, the same places, common days.

Cells are matched by label: the simulation's are looked up among the observed ones, in any order, and a
series of one basin among many. Anything that does not match raises an error.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import xarray as xr

from ..conventions.labels import in_same_terms, names_of, tells_apart
from ..conventions.missing_values import without_codes
from ..conventions.stamps import END, STAMP, days
from ..conventions.units import factor_offset, identity, quantity_of
from ..errors import CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError

_ROUNDED = ("lat", "lon", "y", "x")  # they may differ in the last digit


def require_arrays(simulated: object, observed: object) -> None:
    """Refuse Datasets, NumPy arrays and other things that are no DataArrays, with a DescriptionError."""
    for name, given in (("simulated", simulated), ("observed", observed)):
        if isinstance(given, xr.Dataset):
            raise DescriptionError(
                f"{name!r} is a Dataset; expected a DataArray, such as sim['streamflow']. For two "
                "Datasets: sim.hbv.evaluate(ds)."
            )
        if not isinstance(given, xr.DataArray):
            raise DescriptionError(
                f"{name!r} is {type(given).__name__}; expected a DataArray with its labels: "
                "xr.DataArray(values, dims='time', coords={'time': dates})."
            )


def align(
    simulated: xr.DataArray, observed: xr.DataArray, dims: tuple[Hashable, ...]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Keep the time labels that both series have, and the observations of the simulation's cells.

    If only one dimension is reduced, its labels are matched like those of time, whatever its name.
    """
    observed = without_codes(observed, possible=True)
    for name, array in (("simulated", simulated), ("observed", observed)):
        for dim in dims:
            if dim not in array.dims:
                raise DimensionError(
                    f"{name!r} has no dimension {dim!r}, only {array.dims}. Name a dimension "
                    "that both have: dim=..."
                )
            if array.sizes[dim] == 0:
                raise EmptySelectionError(
                    f"{name!r} has no values along {dim!r}; expected at least one. Check your selection."
                )
    matched = _matched(dims)
    own, observed = of_the_same_cells(simulated, observed, dims)
    simulated, observed = by_label(own, observed)
    _require_same_space(simulated, observed, dims, matched)
    simulated = _require_same_place(simulated, observed)
    # Keep only the labels: at each step xarray would compare all other coordinates, which computes lazy
    # ones, and drop those that differ in the last digit.
    pair = [array.reset_coords(drop=True) for array in (simulated, observed)]
    pair = [_with_labels(array, own, matched) for array in pair]
    if not matched:
        return pair[0], pair[1]
    (along,) = matched
    if along == "time":
        results = [_is_model_result(array) for array in (simulated, observed)]
        pair = [*_of_the_same_days(pair[0], pair[1], model_results=results)]
    try:
        pair = [*xr.align(*pair, join="inner", exclude=set(simulated.dims) - matched)]
    except ValueError as error:  # duplicate labels; different lengths without labels
        raise CoordinateError(
            f"'simulated' and 'observed' cannot be matched along {along!r}: {error}"
        ) from error
    if pair[0].sizes[along] == 0:
        raise CoordinateError(_nothing_in_common(simulated[along], observed[along]))
    return pair[0], pair[1]


def of_the_same_cells(
    simulated: xr.DataArray, observed: xr.DataArray, dims: tuple[Hashable, ...]
) -> tuple[xr.DataArray, xr.DataArray]:
    """The observations in the order of the simulation, and of both only the basin that one of them is of."""
    first, second = by_label(simulated, observed)
    order: dict[Hashable, np.ndarray] = {}
    for dim, index in first.indexes.items():
        if dim in _matched(dims) or dim not in second.indexes or second.indexes[dim].equals(index):
            continue
        if second.indexes[dim].is_unique and index.isin(second.indexes[dim]).all():
            order[dim] = second.indexes[dim].get_indexer(index)
    return (
        simulated.isel(_place_of_one(first, second, "'simulated'")),
        observed.isel(order | _place_of_one(second, first, "'observed'")),
    )


def _place_of_one(array: xr.DataArray, other: xr.DataArray, what: str) -> dict[Hashable, int]:
    """Where an array of many basins has that of the other, of which a selection left the label."""
    out = {}
    for dim, index in array.indexes.items():
        if dim not in other.coords or other[dim].dims or other[dim].chunks or not tells_apart(other[dim]):
            continue
        label = other[dim].item()
        if index.is_unique and label in index:
            out[dim] = index.get_loc(label)
        elif dim not in _ROUNDED:
            raise CoordinateError(
                f"there is no {dim} {label} in {what}, which has {', '.join(map(str, index[:3]))}"
                f"{', ...' if len(index) > 3 else ''}; expected that of the other series. Select it in both."
            )
    return out


def _matched(dims: tuple[Hashable, ...]) -> set[Hashable]:
    """Dimensions of which the common labels are kept, of those that are reduced."""
    return {dim for dim in dims if len(dims) == 1 or dim == "time"}


def _with_labels(array: xr.DataArray, own: xr.DataArray, matched: set[Hashable]) -> xr.DataArray:
    """The same cells, as the simulation itself labels them."""
    dims = [dim for dim in array.dims if dim in own.dims and dim not in matched]
    array = array.drop_vars([dim for dim in dims if dim in array.indexes])
    return array.assign_coords({dim: own[dim].variable for dim in dims if dim in own.indexes})


def _is_model_result(array: xr.DataArray) -> bool:
    return array.attrs.get("coverage_content_type") == "modelResult"


def _of_the_same_days(
    simulated: xr.DataArray, observed: xr.DataArray, model_results: list[bool]
) -> tuple[xr.DataArray, xr.DataArray]:
    """The series, labelled by days where only one of them is stamped at the end of the day.

    A series that does not tell its stamps is taken to have those of the other if all labels are the same.
    """
    ends = [array["time"].attrs.get(STAMP) == END for array in (simulated, observed)]
    if ends[0] == ends[1] or simulated.indexes["time"].equals(observed.indexes["time"]):
        return simulated, observed
    if not model_results[ends.index(False)]:
        raise CoordinateError(
            f"{'simulated' if ends[0] else 'observed'!r} is stamped at the end of each day, and the other "
            "series does not tell its stamps; expected both alike. Pass Datasets, whose time bounds tell: "
            "sim.hbv.evaluate(ds); or label both by the days that they are of: "
            "ds.assign_coords(time=ds['time_bnds'][:, 0])."
        )
    labelled = [array.assign_coords(time=days(array["time"])) for array in (simulated, observed)]
    return labelled[0], labelled[1]


def _require_same_space(
    simulated: xr.DataArray, observed: xr.DataArray, dims: tuple[Hashable, ...], matched: set[Hashable]
) -> None:
    """Refuse cells that do not match, which xarray would broadcast against each other or drop."""
    more, fewer = set(simulated.dims) - set(dims), set(observed.dims) - set(dims)
    if not (more <= fewer or fewer <= more):
        reduced = ", ".join(map(repr, dims))
        raise DimensionError(
            f"'simulated' has dimensions {simulated.dims}, 'observed' {observed.dims}; apart from {reduced} "
            "one must have all those of the other. Rename those that mean the same: observed.rename(...)."
        )
    try:
        xr.align(simulated, observed, join="exact", exclude=matched)
    except ValueError as error:
        for name in sorted(set(simulated.dims) & set(observed.dims) - matched, key=str):
            _require_same_labels(name, simulated, observed)
        raise CoordinateError(f"'simulated' and 'observed' do not match in space: {error}") from error


def _require_same_labels(name: Hashable, simulated: xr.DataArray, observed: xr.DataArray) -> None:
    """Raise an error that says how the labels of a spatial dimension differ, if they do."""
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
    if common == 0 and len(first) == len(second) and first.dtype.kind == second.dtype.kind == "f":
        advice = (
            f"If they differ only by rounding, use observed.assign_coords({name}=simulated[{name!r}]); "
            "else select the same cells in both."
        )
    else:
        advice = (
            f"Select the same cells in both, for instance those of the simulation: .sel({name}=[...]). A "
            "file that plain xarray opened has numbers for labels: hx.open_run gives them back."
        )
    raise CoordinateError(
        f"{found}, {common} labels in common; expected every cell of the simulation "
        f"once among the observed. {advice}"
    )


def by_label(simulated: xr.DataArray, observed: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Both labelled by text, where both know it: a file that xarray opened has it beside numbers.

    Lazy labels are not read where the numbers are the same: :func:`require_same_place` compares them later.
    """
    pair = [array.to_dataset(name="_values") for array in (simulated, observed)]
    for dim in simulated.dims:
        lazy = any(_lazy_names(ds, dim) for ds in pair)
        if lazy and dim in observed.indexes and simulated.indexes[dim].equals(observed.indexes[dim]):
            return simulated, observed
    first, second = (ds["_values"] for ds in in_same_terms(*pair))
    return first.rename(simulated.name), second.rename(observed.name)


def _lazy_names(ds: xr.Dataset, dim: Hashable) -> bool:
    name = names_of(ds, dim)
    return name is not None and dim in ds.indexes and ds[name].chunks is not None


def require_same_place(simulated: xr.DataArray, observed: xr.DataArray) -> None:
    """Refuse series of other basins; see :func:`align`."""
    _require_same_place(*by_label(simulated, observed))


def _require_same_place(simulated: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    """Require the same label and name of the basin, where both arrays have that coordinate.

    xarray compares only index labels. It would silently drop a ``basin_id`` along ``basin``, or the scalar
    label that ``.isel(basin=0)`` leaves.

    Returns
    -------
    xarray.DataArray
        ``simulated``. Lazy labels are compared only when it is computed.
    """
    for name in _identifiers(simulated, observed):
        labels = [array[name].reset_coords(drop=True) for array in (simulated, observed)]
        sizes = [dict(array.sizes) for array in labels]
        if sizes[0] != sizes[1]:
            raise CoordinateError(
                f"{name!r} has dimensions {sizes[0]} in 'simulated' and {sizes[1]} in 'observed'; expected "
                "the same basins in both. Select the same in both."
            )
        if all(array.chunks is None for array in labels):
            _require_equal(*(array.values for array in labels), name=str(name))
            continue
        equal = xr.apply_ufunc(
            _require_equal, *labels, kwargs={"name": str(name)}, dask="parallelized", output_dtypes=[bool]
        )
        simulated = simulated.where(equal)
    return simulated


def _identifiers(simulated: xr.DataArray, observed: xr.DataArray) -> list[Hashable]:
    """Coordinates of both that name a basin."""
    return [
        name
        for name in simulated.coords
        if name in observed.coords
        and name not in _ROUNDED
        and any(tells_apart(array[name]) for array in (simulated, observed))
    ]


def _require_equal(first: np.ndarray, second: np.ndarray, *, name: str) -> np.ndarray:
    """All True, or the error of :func:`require_same_place`."""
    # NaN marks cells outside all basins; two NaN count as equal.
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
    """Require the same units, where both arrays state them; ``mm/day`` equals ``kg m-2 day-1``."""
    first, second = simulated.attrs.get("units"), observed.attrs.get("units")
    if first is None or second is None or conversion(str(first)) == conversion(str(second)):
        return
    raise UnitsError(
        f"'simulated' is in {first!r}, 'observed' in {second!r}; expected the same units. "
        "Convert one of them (discharge in m3 s-1 needs the catchment area)."
    )


def conversion(units: str) -> tuple[object, ...]:
    """A key that is the same for all spellings of one unit."""
    quantity = quantity_of(units)
    return identity(units) if quantity is None else (quantity, *factor_offset(units, quantity, name="units"))


def _nothing_in_common(first: xr.DataArray, second: xr.DataArray) -> str:
    """Message for two axes without a common label: both ranges, and the reason where it is evident."""
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
    """First and last label; times to the minute."""
    ends = axis[[0, -1]]
    if _calendar(axis) is not None:
        ends = ends.dt.strftime("%Y-%m-%d %H:%M")
    return " to ".join(str(end) for end in ends.values)


def _calendar(axis: xr.DataArray) -> str | None:
    """The calendar, or None if the labels are not times."""
    try:
        return str(axis.dt.calendar)
    except (AttributeError, TypeError):
        return None
