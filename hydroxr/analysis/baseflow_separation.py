"""Baseflow separation by digital filters of streamflow, lazy and over any dimensions."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from ..conventions.missing_values import without_codes
from ..conventions.variables import FLUX
from ..errors import DescriptionError, DimensionError

_RECEDING = 5  # days of falling streamflow before a recession counts
_BRIDGED = 2  # days of the longest gap that the filter of Lyne and Hollick bridges
_ENVELOPE = 0.95  # quantile of the daily ratios that approximates their upper envelope


def lyne_hollick(
    streamflow: xr.DataArray,
    alpha: float = 0.925,
    passes: int = 3,
    reflect: int = 30,
    dim: Hashable = "time",
) -> xr.DataArray:
    r"""Baseflow by the filter of Lyne and Hollick, as standardised by Ladson et al. (2013).

    .. math:: f_i = \alpha f_{i-1} + \frac{1 + \alpha}{2} (q_i - q_{i-1}), \quad
              b_i = q_i - \max(f_i, 0)

    The passes alternate, forward and backward over the result. Both ends of the series are extended by
    their mirror image, which is removed afterwards.

    Parameters
    ----------
    streamflow : DataArray
        ``(..., dim)``, daily, any units, possibly lazy (blocks along ``dim`` are merged). Gaps of one or two
        days are interpolated for the filter and stay missing. A longer gap splits the series; each piece
        is filtered and mirrored separately. Pieces of at most ``reflect`` days are missing, since the
        filter treats the first day as quick flow, an effect that only mirrored days remove.
    alpha : float
        Filter parameter, between 0 and 1.
    passes : int
        Number of passes; an odd number ends forward.
    reflect : int
        Mirrored days at each end, at most the length of the piece less one.
    dim : hashable
        The dimension of days.

    Returns
    -------
    DataArray
        Baseflow, as ``streamflow``, float64, from 0 to streamflow; missing where streamflow is missing, and
        in short pieces.

    Raises
    ------
    DescriptionError
        If ``alpha``, ``passes`` or ``reflect`` is out of range.
    DimensionError
        If ``streamflow`` lacks ``dim``.
    ValueRangeError
        If ``streamflow`` is negative somewhere, or a code of missing values.

    References
    ----------
    Ladson, A. R., Brown, R., Neal, B., & Nathan, R. (2013). A standard approach to baseflow separation using
    the Lyne and Hollick filter. Australasian Journal of Water Resources, 17(1), 25-34.
    https://doi.org/10.7158/13241583.2013.11465417
    """
    if not 0.0 < alpha < 1.0:
        raise DescriptionError(f"alpha is {alpha}; expected a number between 0 and 1, such as 0.925.")
    for name, number, least in (("passes", passes, 1), ("reflect", reflect, 0)):
        if number != int(number) or number < least:
            raise DescriptionError(f"{name} is {number}; expected a whole number, {least} or more.")
    out = _filtered(_run_lyne_hollick, streamflow, dim, alpha=alpha, passes=int(passes), reflect=int(reflect))
    return _labelled(out, streamflow, f"baseflow (Lyne-Hollick filter, alpha {alpha:g}, {passes} passes)")


def eckhardt(
    streamflow: xr.DataArray,
    bfi_max: xr.DataArray | float = 0.8,
    recession: xr.DataArray | float | None = None,
    dim: Hashable = "time",
) -> xr.DataArray:
    r"""Baseflow by the two-parameter filter of Eckhardt (2005).

    .. math:: b_i = \min\left(q_i, \frac{(1 - B) a \, b_{i-1} + (1 - a) B \, q_i}{1 - a B}\right)

    Parameters
    ----------
    streamflow : DataArray
        ``(..., dim)``, daily, any units, possibly lazy. Each gapless piece starts with :math:`B` times its
        first value.
    bfi_max : float or DataArray
        :math:`B`, the largest baseflow index, ``()`` or ``(...)``. Eckhardt's values are 0.8 for perennial
        streams on porous aquifers, 0.5 for ephemeral streams on them, and 0.25 for perennial streams on hard
        rock.
    recession : float or DataArray, optional
        :math:`a`, the share of baseflow that remains after a day without recharge, ``()`` or ``(...)``;
        default: :func:`recession_constant` of the series.
    dim : hashable
        The dimension of days.

    Returns
    -------
    DataArray
        Baseflow, as ``streamflow``, float64; missing in a cell without a recession constant.

    Raises
    ------
    DescriptionError
        If ``bfi_max`` or ``recession`` in memory is not between 0 and 1.
    DimensionError
        If ``streamflow`` lacks ``dim``.

    References
    ----------
    Eckhardt, K. (2005). How to construct recursive digital filters for baseflow separation. Hydrological
    Processes, 19(2), 507-515. https://doi.org/10.1002/hyp.5675
    """
    constant = recession_constant(streamflow, dim) if recession is None else recession
    parts = {"bfi_max": bfi_max, "recession": constant}
    for name, part in parts.items():
        lazy = isinstance(part, xr.DataArray) and part.chunks is not None
        if not lazy and (np.any(np.less_equal(part, 0.0)) or np.any(np.greater_equal(part, 1.0))):
            raise DescriptionError(f"{name} has values that are not between 0 and 1; expected fractions.")
    per_cell = [xr.DataArray(part).astype(float).reset_coords(drop=True) for part in parts.values()]
    out = _filtered(_run_eckhardt, streamflow, dim, *per_cell)
    return _labelled(out, streamflow, "baseflow (Eckhardt filter)")


def recession_constant(streamflow: xr.DataArray, dim: Hashable = "time") -> xr.DataArray:
    """Share of streamflow that remains after a day when only groundwater feeds it.

    This is the 95th percentile of ``q[i + 1] / q[i]`` over the days on which streamflow falls after at least
    5 days of falling. It is a robust estimate of the upper envelope, a line through the origin, of
    Eckhardt (2008, https://doi.org/10.1016/j.jhydrol.2008.01.005).

    Parameters
    ----------
    streamflow : DataArray
        ``(..., dim)``, daily, any units, possibly lazy.
    dim : hashable
        The dimension of days.

    Returns
    -------
    DataArray
        ``(...)``, 0 to 1, units 1, float64. NaN where streamflow never falls long enough.

    Raises
    ------
    DimensionError
        If ``streamflow`` lacks ``dim``.
    """
    out: xr.DataArray = xr.apply_ufunc(
        _recession,
        _whole(streamflow, dim),
        input_core_dims=[[dim]],
        dask="parallelized",
        output_dtypes=[float],
    )
    out = out.rename("recession_constant")
    out.attrs = {"long_name": "recession constant: share of baseflow left after a day", "units": "1"}
    return out


def _whole(streamflow: xr.DataArray, dim: Hashable) -> xr.DataArray:
    """Streamflow in float64, in one block along ``dim``."""
    if dim not in streamflow.dims:
        raise DimensionError(f"streamflow has dimensions {streamflow.dims}; expected {dim!r} among them.")
    streamflow = without_codes(streamflow, lowest=0.0).astype(float)
    return streamflow if streamflow.chunks is None else streamflow.chunk({dim: -1})


def _filtered(
    run: Any, streamflow: xr.DataArray, dim: Hashable, *per_cell: xr.DataArray, **options: Any
) -> xr.DataArray:
    out: xr.DataArray = xr.apply_ufunc(
        run,
        _whole(streamflow, dim),
        *per_cell,
        kwargs=options,
        input_core_dims=[[dim], *([[]] * len(per_cell))],
        output_core_dims=[[dim]],
        dask="parallelized",
        output_dtypes=[float],
    )
    return out.transpose(*streamflow.dims)


def _rows(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Series as rows (cell, day), with infinite values as missing, and an empty array of that shape."""
    rows = np.ascontiguousarray(flow.reshape(-1, flow.shape[-1]))
    rows = np.where(np.isinf(rows), np.nan, rows) if np.isinf(rows).any() else rows
    return rows, np.empty_like(rows)


def _run_lyne_hollick(flow: np.ndarray, alpha: float, passes: int, reflect: int) -> np.ndarray:
    from .baseflow_filters import lyne_hollick_kernel

    rows, out = _rows(flow)
    bridged = np.ascontiguousarray([_bridged(row, reflect) for row in rows]).reshape(rows.shape)
    lyne_hollick_kernel()(bridged, alpha, passes, reflect, out)
    out[np.isnan(rows)] = np.nan
    return out.reshape(flow.shape)


def _bridged(row: np.ndarray, reflect: int) -> np.ndarray:
    """A series with short gaps interpolated, and without pieces too short for the filter."""
    valid = ~np.isnan(row)
    if valid.all() or not valid.any():
        return row
    starts, ends = _pieces(valid)
    out = row.copy()
    for first, after in zip(ends[:-1], starts[1:], strict=True):
        if after - first <= _BRIDGED:
            out[first:after] = np.interp(
                np.arange(first, after), [first - 1, after], [row[first - 1], row[after]]
            )
    for first, after in zip(*_pieces(~np.isnan(out)), strict=True):
        if after - first <= reflect and after - first < len(row):
            out[first:after] = np.nan
    return out


def _pieces(valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first day of each gapless piece, and the day after its last."""
    edges = np.flatnonzero(np.diff(np.r_[False, valid, False].astype("int8")))
    return edges[::2], edges[1::2]


def _run_eckhardt(flow: np.ndarray, bfi_max: np.ndarray, recession: np.ndarray) -> np.ndarray:
    from .baseflow_filters import eckhardt_kernel

    rows, out = _rows(flow)
    share, constant = (
        np.ascontiguousarray(np.broadcast_to(part, flow.shape[:-1])).reshape(-1)
        for part in (bfi_max, recession)
    )
    eckhardt_kernel()(rows, constant, share, out)
    return out.reshape(flow.shape)


def _recession(flow: np.ndarray) -> np.ndarray:
    """The envelope ``(...)`` of the daily ratios in recessions, from streamflow ``(..., day)``."""
    out = np.full(flow.shape[:-1], np.nan)
    for cell in np.ndindex(out.shape):
        q = flow[cell]
        falls = (q[1:] < q[:-1]) & (q[1:] > 0)  # NaN compares False: a gap ends a recession
        if len(falls) <= _RECEDING:
            continue
        long = np.lib.stride_tricks.sliding_window_view(falls, _RECEDING + 1).all(-1)
        today = np.flatnonzero(long) + _RECEDING
        if len(today):
            out[cell] = np.quantile(q[today + 1] / q[today], _ENVELOPE)
    return out


def _labelled(out: xr.DataArray, streamflow: xr.DataArray, long_name: str) -> xr.DataArray:
    out = out.rename("baseflow")
    out.attrs = {
        "long_name": long_name,
        "units": str(streamflow.attrs.get("units", FLUX)),
        "cell_methods": "time: mean",
    }
    return out
