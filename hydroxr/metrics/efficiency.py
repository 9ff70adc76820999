"""Efficiencies and errors of streamflow; see :mod:`hydroxr.metrics` for the rules that all metrics obey."""

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
        Values ``(..., dim)`` in the same units; one may have dimensions that the other lacks.
    dim
        The dimension to reduce, or several, which both must have: ``("time", "basin")`` gives one number
        for the pairs of all basins together, ``...`` reduces all dimensions of ``simulated``.
    time
        Days that count, such as ``slice("1995-10-01", "2010-09-30")``; default: all that both have.
    mask
        True where a value counts: ``(...)``, some of the dimensions, with every label of the data (more
        do not matter, nor their order); default: everywhere. May be lazy.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs or observations that do not vary.

    Raises
    ------
    CoordinateError
        No label of ``dim`` in common (periods that do not overlap, 00 h against 12 h stamps), or cells that
        do not match: labels of space must be the same in the same order, ``basin_id`` as well; or the mask
        lacks labels of the data.
    DescriptionError
        ``time`` is no period, or ``mask`` no DataArray of True and False.
    DimensionError
        ``dim`` is missing, each of the two has a dimension that the other lacks, or the mask has one that
        both lack.
    EmptySelectionError
        One of the two has no values along ``dim``, or no day in ``time``.
    UnitsError
        Both state their units, and these differ.

    References
    ----------
    Nash, J. E., & Sutcliffe, J. V. (1970). River flow forecasting through conceptual models part I.
    Journal of Hydrology, 10(3), 282-290. https://doi.org/10.1016/0022-1694(70)90255-6
    """
    return metric("nse", simulated, observed, dim=dim, time=time, mask=mask)


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
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, from -1 to 1. NaN for fewer than 2 pairs or for observations that do
        not vary.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.
    """
    return metric("r", simulated, observed, dim=dim, time=time, mask=mask)


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
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units of the data (kg m-2 day-1 where they state none), float64. NaN for fewer than 2
        pairs.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.
    """
    return metric("rmse", simulated, observed, dim=dim, time=time, mask=mask)


def bias(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Mean error, positive where too much is simulated.

    .. math:: \mathrm{bias} = \bar{s} - \bar{o}

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units of the data (kg m-2 day-1 where they state none), float64. NaN for fewer than 2
        pairs.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.
    """
    return metric("bias", simulated, observed, dim=dim, time=time, mask=mask)


def pbias(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Percent bias, positive where too much is simulated.

    .. math:: \mathrm{PBIAS} = 100 \, \frac{\sum (s - o)}{\sum o}

    Some papers, Gupta et al. (1999) the first of them, have the opposite sign.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64. NaN for fewer than 2 pairs or observations with a sum of 0.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Gupta, H. V., Sorooshian, S., & Yapo, P. O. (1999). Status of automatic calibration for hydrologic models.
    Journal of Hydrologic Engineering, 4(2), 135-143. https://doi.org/10.1061/(ASCE)1084-0699(1999)4:2(135)
    """
    return metric("pbias", simulated, observed, dim=dim, time=time, mask=mask)


def log_nse(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Nash-Sutcliffe efficiency on a scale that brings out low flows.

    :func:`nse` of, for the simulated and the observed flow Q in mm/day,

    .. math:: \hat{Q} = \log_{10}\left(\sqrt{Q + 10^{-6}} + 0.1\right)

    which, unlike a plain logarithm, bears days without flow. A negative flow counts as 0.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`; in mm/day (kg m-2 day-1), as the constants of the scale are.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs or observations that do not vary.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`nse`.

    References
    ----------
    Feng, D., Liu, J., Lawson, K., & Shen, C. (2022). Differentiable, learnable, regionalized process-based
    models with multiphysical outputs can approach state-of-the-art hydrologic prediction accuracy. Water
    Resources Research, 58, e2022WR032404, equation 2. https://doi.org/10.1029/2022WR032404
    """
    return metric("log_nse", simulated, observed, dim=dim, time=time, mask=mask)
