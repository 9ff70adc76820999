"""Kling-Gupta efficiencies of 2009 and 2012 and their parts."""

from __future__ import annotations

import xarray as xr

from .formulas import KGE_2012_PARTS, KGE_PARTS, metric, metrics
from .selection import Dims


def kge(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Kling-Gupta efficiency of 2009: 1 is perfect; the mean flow scores 1 - sqrt(2), or -0.41.

    .. math:: \mathrm{KGE} = 1 - \sqrt{(r - 1)^2 + (\alpha - 1)^2 + (\beta - 1)^2}

    :func:`kge_parts` returns the parts. For a constant simulation r is 0.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`hydroxr.metrics.nse`, with the same errors.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs, observations that do not vary,
        or observations with a mean of 0.

    References
    ----------
    Gupta, H. V., Kling, H., Yilmaz, K. K., & Martinez, G. F. (2009). Decomposition of the mean squared error
    and NSE performance criteria. Journal of Hydrology, 377, 80-91.
    https://doi.org/10.1016/j.jhydrol.2009.08.003

    Knoben, W. J. M., Freer, J. E., & Woods, R. A. (2019). Technical note: Inherent benchmark or not?
    Hydrology and Earth System Sciences, 23, 4323-4331 (the value of the mean flow).
    https://doi.org/10.5194/hess-23-4323-2019
    """
    return metric("kge", simulated, observed, dim, time, mask)


def kge_parts(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""The three parts of :func:`kge`: errors of timing, variability and volume.

    .. math:: r = \frac{\overline{(s - \bar{s})(o - \bar{o})}}{\sigma_s \sigma_o}, \quad
              \alpha = \frac{\sigma_s}{\sigma_o}, \quad \beta = \frac{\bar{s}}{\bar{o}}

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`hydroxr.metrics.nse`, with the same errors.

    Returns
    -------
    xarray.Dataset
        ``r``, ``alpha`` and ``beta`` ``(...)``, units 1, float64. NaN for fewer than 2 pairs; ``r`` and
        ``alpha`` also for observations that do not vary, ``beta`` for observations with a mean of 0.
        ``r`` is 0 for a constant simulation.
    """
    return metrics(KGE_PARTS, simulated, observed, dim, time, mask)


def kge_2012(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Kling-Gupta efficiency of 2012, in which bias does not affect the variability.

    .. math:: \mathrm{KGE'} = 1 - \sqrt{(r - 1)^2 + (\gamma - 1)^2 + (\beta - 1)^2}

    :func:`kge_2012_parts` returns the parts. A simulation that is the observations times a factor has wrong
    :math:`\alpha` and :math:`\beta` in :func:`kge`; here only :math:`\beta` is wrong, since
    :math:`\gamma = \alpha / \beta`. 1 is perfect; the mean flow scores 1 - sqrt(2), or -0.41.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`hydroxr.metrics.nse`, with the same errors.

    Returns
    -------
    xarray.DataArray
        ``(...)``, units 1, float64, at most 1. NaN for fewer than 2 pairs, observations that do not vary,
        or a mean of 0 of the observations or of a simulation that varies.

    References
    ----------
    Kling, H., Fuchs, M., & Paulin, M. (2012). Runoff conditions in the upper Danube basin under an ensemble
    of climate change scenarios. Journal of Hydrology, 424-425, 264-277.
    https://doi.org/10.1016/j.jhydrol.2012.01.011
    """
    return metric("kge_2012", simulated, observed, dim, time, mask)


def kge_2012_parts(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.Dataset:
    r"""The three parts of :func:`kge_2012`.

    .. math:: r = \frac{\overline{(s - \bar{s})(o - \bar{o})}}{\sigma_s \sigma_o}, \quad
              \gamma = \frac{\sigma_s / \bar{s}}{\sigma_o / \bar{o}}, \quad
              \beta = \frac{\bar{s}}{\bar{o}}

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`hydroxr.metrics.nse`, with the same errors.

    Returns
    -------
    xarray.Dataset
        ``r``, ``gamma`` and ``beta`` ``(...)``, units 1, float64. NaN for fewer than 2 pairs; ``r`` and
        ``gamma`` also for observations that do not vary, ``gamma`` and ``beta`` for observations with a mean
        of 0, ``gamma`` for a simulation that varies about 0. ``r`` and ``gamma`` are 0 for a constant
        simulation.
    """
    return metrics(KGE_2012_PARTS, simulated, observed, dim, time, mask)
