"""Metrics of parts of a hydrograph: low flows, high flows, peaks; see :mod:`hydroxr.metrics`."""

from __future__ import annotations

import xarray as xr

from .formulas import metric
from .peaks import PeakRule
from .selection import Dims


def flv(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Percent bias of the low-flow volume: the lowest 30 % of the flow duration curves.

    .. math:: \mathrm{FLV} = 100 \, \frac{\sum_{i=1}^{h} (s_{(i)} - o_{(i)})}{\sum_{i=1}^{h} o_{(i)}},
              \quad h = \mathrm{round}(0.3 \, n)

    Only the n pairs enter. Their simulated and observed flows are sorted upwards each on its own, so
    that the i-th lowest simulated flow :math:`s_{(i)}` meets the i-th lowest observed one, whatever their
    days. A half rounds to the even number. (Yilmaz et al. (2008), who gave the index its name, take
    logarithms and the opposite sign; this is the plain volume that Feng et al. (2020) report.)

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`hydroxr.metrics.nse`. Blocks along ``dim`` are merged, since a series must be
        sorted as a whole.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64, positive where low flows are too high. NaN for fewer than 2 pairs, or where
        the h lowest observed flows sum to 0, as in a river that is dry 30 % of the time.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`hydroxr.metrics.nse`.

    References
    ----------
    Yilmaz, K. K., Gupta, H. V., & Wagener, T. (2008). A process-based diagnostic approach to model
    evaluation. Water Resources Research, 44, W09417. https://doi.org/10.1029/2007WR006716

    Feng, D., Fang, K., & Shen, C. (2020). Enhancing streamflow forecast and extracting insights using
    long-short term memory networks with data integration at continental scales. Water Resources Research,
    56, e2019WR026793. https://doi.org/10.1029/2019WR026793
    """
    return metric("flv", simulated, observed, dim=dim, time=time, mask=mask)


def fhv(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Percent bias of the high-flow volume: the highest 2 % of the flow duration curves.

    .. math:: \mathrm{FHV} = 100 \, \frac{\sum_{i=n-h+1}^{n} (s_{(i)} - o_{(i)})}{\sum_{i=n-h+1}^{n} o_{(i)}},
              \quad h = \mathrm{round}(0.02 \, n)

    Sorting and rounding as for :func:`flv`.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`flv`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64, positive where peaks are too high. NaN for fewer than 26 pairs (h is 0 then),
        or where the h highest observed flows sum to 0.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`hydroxr.metrics.nse`.

    References
    ----------
    Yilmaz et al. (2008) and Feng et al. (2020), see :func:`flv`.
    """
    return metric("fhv", simulated, observed, dim=dim, time=time, mask=mask)


def peak_timing(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    window: int = 3,
    distance: int = 100,
    threshold: float = 1.0,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.DataArray:
    r"""Mean absolute difference in time between observed peaks and what was simulated around them.

    .. math:: \mathrm{PT} = \frac{1}{K} \sum_{k=1}^{K} \min_{t \in M_k} |t - p_k|, \quad
              M_k = \arg\max_{|t - p_k| \le w} s_t

    The peaks :math:`p_1 \ldots p_K` of the observations are found in three steps:

    1. Every value above both its neighbours; of equal values side by side that in the middle.
    2. The highest first, each takes out all others that are fewer than ``distance`` steps away.
    3. Those that are left whose prominence, the height above the higher one of the two lowest values
       between the peak and the next higher value (or the end) on either side, is at least ``threshold``
       standard deviations of the observed values of the series.

    Around each the highest simulated value is looked for, of equal ones the nearest. A peak whose window,
    ``window`` steps :math:`w` on either side, reaches beyond the record or holds a missing pair does not
    count, nor does a value beside a gap. Each cell has its own peaks; where several dimensions are
    reduced, the mean is over the peaks of all series, each along ``time``.

    This is the measure of Kratzert et al. (2021) with their values as defaults, but for one rule: their
    program takes the observed day itself wherever the simulation is higher on it than on the two days
    beside it, although a higher simulated peak may lie within the window.

    Parameters
    ----------
    simulated, observed, time, mask
        As for :func:`hydroxr.metrics.nse`; regular in time, apart from gaps. Blocks along time are merged.
    dim
        ``"time"``, several dimensions with ``time`` among them, or one other dimension, whose labels
        then count as days.
    window
        Time steps on either side of an observed peak; the largest difference possible.
    distance
        Least number of time steps between two peaks.
    threshold
        Least prominence of a peak, in standard deviations of the observations.

    Returns
    -------
    xarray.DataArray
        ``(...)``, days, float64, 0 or more. NaN for fewer than 2 pairs or where there is no peak.

    Raises
    ------
    CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
        As :func:`hydroxr.metrics.nse`; also for a window, distance or threshold that is no such number,
        and several dimensions without ``time``.

    References
    ----------
    Kratzert, F., Klotz, D., Hochreiter, S., & Nearing, G. S. (2021). A note on leveraging synergy in multiple
    meteorological data sets with deep learning for rainfall-runoff modeling. Hydrology and Earth System
    Sciences, 25, 2685-2703, appendix. https://doi.org/10.5194/hess-25-2685-2021
    """
    rule = PeakRule(window, distance, threshold)
    return metric("peak_timing", simulated, observed, dim=dim, time=time, mask=mask, rule=rule)
