"""Efficiencies and errors of streamflow, by the rules of :mod:`hydroxr.metrics`."""

from __future__ import annotations

import xarray as xr

from .formulas import metric
from .selection import Dims


def nse(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Nash-Sutcliffe efficiency: 1 is perfect, 0 no better than the mean of the observations.

    .. math:: \mathrm{NSE} = 1 - \frac{\sum (s - o)^2}{\sum (o - \bar{o})^2}

    Parameters
    ----------
    simulated, observed
        Values ``(..., dim)`` in the same units. One of them may have additional dimensions.
    dim
        The dimension to reduce, or several, which both must have: ``("time", "basin")`` gives one number
        for the pairs of all basins, ``...`` reduces all dimensions of ``simulated``.
    time
        Days that count, such as ``slice("1995-10-01", "2010-09-30")``; default: all common days.
    mask
        True where a value counts, along any of the dimensions; may be lazy. It must have every label of
        the data, in any order, and may have more. Default: True everywhere.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs or observations that do not vary.

    Raises
    ------
    CoordinateError
        If the series have no label of ``dim`` in common (periods that do not overlap, stamps at 00 h and at
        12 h); if a cell of the simulation, also by ``basin_id``, is not among the observed ones; or if the
        mask lacks labels of the data.
    DescriptionError
        If ``time`` is not a period, or ``mask`` is not a DataArray of bool.
    DimensionError
        If ``dim`` is absent, each series has a dimension that the other lacks, or the mask has a dimension
        that the data lack.
    EmptySelectionError
        If a series has no values along ``dim``, or no day in ``time``.
    UnitsError
        If both state their units, and these differ.

    References
    ----------
    Nash, J. E., & Sutcliffe, J. V. (1970). River flow forecasting through conceptual models part I.
    Journal of Hydrology, 10(3), 282-290. https://doi.org/10.1016/0022-1694(70)90255-6
    """
    return metric("nse", simulated, observed, dim, time, mask)


def correlation(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    """Pearson correlation, the ``r`` of :func:`kge_parts`; 0 for a constant simulation.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`, with the same errors.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, from -1 to 1. NaN for fewer than 2 pairs or for observations that do
        not vary.
    """
    return metric("r", simulated, observed, dim, time, mask)


def rmse(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Root-mean-square error.

    .. math:: \mathrm{RMSE} = \sqrt{\overline{(s - o)^2}}

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`, with the same errors.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units of the data (kg m-2 day-1 where they state none), float64. NaN for fewer than 2
        pairs.
    """
    return metric("rmse", simulated, observed, dim, time, mask)


def bias(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Mean error, positive where the simulation is too high.

    .. math:: \mathrm{bias} = \bar{s} - \bar{o}

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`, with the same errors.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units of the data (kg m-2 day-1 where they state none), float64. NaN for fewer than 2
        pairs.
    """
    return metric("bias", simulated, observed, dim, time, mask)


def pbias(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Percent bias, positive where the simulation is too high.

    .. math:: \mathrm{PBIAS} = 100 \, \frac{\sum (s - o)}{\sum o}

    Some papers use the opposite sign, first Gupta et al. (1999).

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`, with the same errors.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64. NaN for fewer than 2 pairs or observations with a sum of 0.

    References
    ----------
    Gupta, H. V., Sorooshian, S., & Yapo, P. O. (1999). Status of automatic calibration for hydrologic models.
    Journal of Hydrologic Engineering, 4(2), 135-143. https://doi.org/10.1061/(ASCE)1084-0699(1999)4:2(135)
    """
    return metric("pbias", simulated, observed, dim, time, mask)


def log_nse(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Nash-Sutcliffe efficiency on a scale that emphasises low flows.

    This is :func:`nse` of the simulated and observed flows Q, mm/day, after the transformation

    .. math:: \hat{Q} = \log_{10}\left(\sqrt{Q + 10^{-6}} + 0.1\right)

    which, unlike a plain logarithm, is defined for days without flow. A negative flow counts as 0.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`, with the same errors; in mm/day (kg m-2 day-1), the units of the constants.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs or observations that do not vary.

    References
    ----------
    Feng, D., Liu, J., Lawson, K., & Shen, C. (2022). Differentiable, learnable, regionalized process-based
    models with multiphysical outputs can approach state-of-the-art hydrologic prediction accuracy. Water
    Resources Research, 58, e2022WR032404, equation 2. https://doi.org/10.1029/2022WR032404
    """
    return metric("log_nse", simulated, observed, dim, time, mask)
