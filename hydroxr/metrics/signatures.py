"""Metrics of parts of a hydrograph: low flows, high flows and peaks."""

from __future__ import annotations

import xarray as xr

from .formulas import metric, metrics
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

    The n simulated and the n observed flows of the pairs are sorted separately in ascending order, so the
    i-th lowest simulated flow :math:`s_{(i)}` is compared with the i-th lowest observed flow of any day.
    A half rounds to the even number. This is the plain volume that Feng et al. (2020) report; Yilmaz et
    al. (2008), who named the index, take logarithms and the opposite sign.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`hydroxr.metrics.nse`, with the same errors. Blocks along ``dim`` are merged.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64, positive where low flows are too high. NaN for fewer than 2 pairs, or where
        the h lowest observed flows sum to 0, as in a river that is dry 30 % of the time.

    References
    ----------
    Yilmaz, K. K., Gupta, H. V., & Wagener, T. (2008). A process-based diagnostic approach to model
    evaluation. Water Resources Research, 44, W09417. https://doi.org/10.1029/2007WR006716

    Feng, D., Fang, K., & Shen, C. (2020). Enhancing streamflow forecast and extracting insights using
    long-short term memory networks with data integration at continental scales. Water Resources Research,
    56, e2019WR026793. https://doi.org/10.1029/2019WR026793
    """
    return metric("flv", simulated, observed, dim, time, mask)


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

    Sorting, rounding and sources are those of :func:`flv`.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`flv`.

    Returns
    -------
    xarray.DataArray
        ``(...)``, %, float64, positive where peaks are too high. NaN for fewer than 26 pairs (h is 0 then),
        or where the h highest observed flows sum to 0.
    """
    return metric("fhv", simulated, observed, dim, time, mask)


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
    r"""Mean absolute difference in time between observed peaks and the simulated maxima around them.

    .. math:: \mathrm{PT} = \frac{1}{K} \sum_{k=1}^{K} \min_{t \in M_k} |t - p_k|, \quad
              M_k = \arg\max_{|t - p_k| \le w} s_t

    The peaks :math:`p_1 \ldots p_K` of the observations are found in three steps:

    1. Take every value above both its neighbours; of adjacent equal values, the middle one.
    2. Starting with the highest, each peak removes all others fewer than ``distance`` steps away.
    3. Keep peaks with a prominence of at least ``threshold`` standard deviations of the observed series.
       For the prominence, find the lowest value on either side, up to the next higher value or the end;
       the prominence is the height above the higher of these two.

    The simulated maximum is the highest value at most ``window`` steps :math:`w` from the peak; of equal
    values, the nearest. A peak does not count if its window extends beyond the record or contains a missing
    pair. A value next to a gap is not a peak. Each cell has its own peaks. If several dimensions are reduced,
    the mean is over the peaks of all series along ``time``.

    This is the measure of Kratzert et al. (2021), with their defaults and one difference: their program
    takes the observed day itself if the simulation is higher on it than on the two adjacent days, even
    if the window holds a higher simulated peak.

    Parameters
    ----------
    simulated, observed, time, mask
        As for :func:`hydroxr.metrics.nse`; at even time steps, with or without gaps. Blocks along time
        are merged.
    dim
        ``"time"``, several dimensions including ``time``, or one other dimension with labels that count
        as days.
    window
        Time steps on either side of an observed peak, at least 1; the largest possible difference.
    distance
        Least number of time steps between two peaks, at least 1.
    threshold
        Least prominence of a peak, standard deviations of the observations, at least 0.

    Returns
    -------
    xarray.DataArray
        ``(...)``, days, float64, 0 or more. NaN for fewer than 2 pairs or where no peak is found.

    Raises
    ------
    CoordinateError, EmptySelectionError, UnitsError
        As :func:`hydroxr.metrics.nse`.
    DescriptionError
        As :func:`hydroxr.metrics.nse`; or ``window``, ``distance`` or ``threshold`` is out of range.
    DimensionError
        As :func:`hydroxr.metrics.nse`; or several dimensions are reduced and ``time`` is not among them.

    References
    ----------
    Kratzert, F., Klotz, D., Hochreiter, S., & Nearing, G. S. (2021). A note on leveraging synergy in multiple
    meteorological data sets with deep learning for rainfall-runoff modeling. Hydrology and Earth System
    Sciences, 25, 2685-2703, appendix. https://doi.org/10.5194/hess-25-2685-2021
    """
    rule = PeakRule(window, distance, threshold)
    return metrics(("peak_timing",), simulated, observed, dim, time, mask, rule)["peak_timing"]
