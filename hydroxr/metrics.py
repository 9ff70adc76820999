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

import xarray as xr

from .formulas import EVALUATED, KGE_PARTS, metric, metrics

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
    "rmse",
]


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
    return metric("nse", simulated, observed, dim)


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
    return metric("kge", simulated, observed, dim)


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
    return metrics(KGE_PARTS, simulated, observed, dim)


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
    return metric("r", simulated, observed, dim)


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
    return metric("rmse", simulated, observed, dim)


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
    return metric("bias", simulated, observed, dim)


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
    return metric("pbias", simulated, observed, dim)


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
    return metric("log_nse", simulated, observed, dim)


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
    return metric("flv", simulated, observed, dim)


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
    return metric("fhv", simulated, observed, dim)


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
    return metrics(EVALUATED, simulated, observed, dim)
