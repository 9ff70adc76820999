"""Climate attributes of CAMELS, computed from a Dataset's own forcing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..conventions.variables import CLIMATE_ATTRIBUTES
from ..errors import EmptySelectionError
from ..inputs.pet.sun import day_of_year
from ..inputs.resolve import resolve
from ..inputs.time_axis import select_days
from .camels_variables import ATTRS

_SEASONS = ("high_prec_timing", "low_prec_timing")
_SEASON_NAMES = np.array(["djf", "mam", "jja", "son", ""])
_UNKNOWN = len(_SEASON_NAMES) - 1

_HIGH = 5.0  # times the mean precipitation
_LOW = 1.0  # mm/day
_SNOW = 1.0  # degC; the values published with CAMELS-US follow from 1, though the paper says 0
_YEAR = 365.25  # days, as CAMELS counts them

Array = npt.NDArray[np.float64]


def climate_attributes(ds: xr.Dataset, time: slice | None = None) -> xr.Dataset:
    """Climate attributes by the definitions of CAMELS, from the forcing of a stated period.

    Parameters
    ----------
    ds : Dataset
        Forcing as for ``ds.hbv.simulate``: precipitation, temperature, and PET (its own, or computed, see
        ``ds.hbv.pet``).
    time : slice, optional
        The period, such as ``slice("1989-10-01", "2009-09-30")``, which CAMELS-US has. It should be whole
        years. Default: the whole years from the first day on.

    Returns
    -------
    Dataset
        ``(space)``: ``p_mean`` and ``pet_mean`` [mm day-1], ``aridity``, ``p_seasonality`` and ``frac_snow``
        [1], ``high_prec_freq`` and ``low_prec_freq`` [day year-1], ``high_prec_dur`` and ``low_prec_dur``
        [day]; and the seasons ``high_prec_timing`` and ``low_prec_timing`` (djf, mam, jja, son). Lazy where
        the forcing is. NaN and "" for cells with a missing day. The ``comment`` has the period.

    Raises
    ------
    EmptySelectionError
        If the period is shorter than a year.
    HydroxrError
        If forcing is absent, or its units or time axis are unsound; the class names the problem.

    Notes
    -----
    Definitions of Addor et al. (2017), doi:10.5194/hess-21-5293-2017. Days of high precipitation have at
    least five times the mean, dry days less than 1 mm. Snow falls on days below 1 degC: the paper says 0, but
    the published values follow from 1. ``p_seasonality`` is equation 14 of Woods (2009),
    doi:10.1016/j.advwatres.2009.06.011, from sine curves fitted to daily precipitation and temperature. From
    the Daymet forcing of CAMELS-US all but two attributes come out as published. ``pet_mean`` and ``aridity``
    rest on the formula of PET; that of CAMELS is Priestley-Taylor, calibrated per catchment.

    Static parameters of a regional model depend on these attributes, so compute them once, from the same
    period for training and simulation.

    Examples
    --------
    >>> ds = ds.merge(hx.climate_attributes(ds, slice("1989-10-01", "2009-09-30")))  # doctest: +SKIP
    """
    inputs = resolve(_period(ds, time))
    forcing, days = inputs.forcing, inputs.days
    stamps = inputs.ds["time"]
    table = xr.apply_ufunc(
        _attributes,
        *(_whole(forcing[name]) for name in ("prcp", "tmean", "pet")),
        kwargs={
            "angle": 2.0 * np.pi * np.asarray(day_of_year(stamps), float) / _YEAR,
            "season": stamps.dt.month.values % 12 // 3,
        },
        input_core_dims=[["time"]] * 3,
        output_core_dims=[["attribute"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"attribute": len(CLIMATE_ATTRIBUTES) + len(_SEASONS)}},
    )
    comment = f"computed from {str(days[0])[:10]} to {str(days[-1])[:10]}"
    out, table = xr.Dataset(), table.reset_coords(drop=True)  # merges with any Dataset of these cells
    for place, name in enumerate((*CLIMATE_ATTRIBUTES, *_SEASONS)):
        values = table.isel(attribute=place)
        out[name] = values if name in CLIMATE_ATTRIBUTES else _season_names(values)
        out[name].attrs = ATTRS[name] | {"comment": comment}
    pet = forcing["pet"].attrs.get("comment")
    for name in ("pet_mean", "aridity") if pet else ():
        out[name].attrs["comment"] += f"; PET by {pet}"
    return out


def _period(ds: xr.Dataset, time: slice | None) -> xr.Dataset:
    """The days of the period; without one, whole years from the first day."""
    chosen = select_days(ds, time)
    index = chosen.indexes["time"]
    days = index.append(index[-1:] + np.timedelta64(1, "D"))
    anniversaries = np.flatnonzero((days.month == days[0].month) & (days.day == days[0].day))
    last = int(anniversaries[-1])
    if last == 0:
        raise EmptySelectionError(
            f"the period has {len(index)} days; expected at least a year, since climate attributes are "
            "means over years. Choose a longer one: time=slice(first, last)."
        )
    return chosen if time is not None else chosen.isel(time=slice(0, last))


def _whole(array: xr.DataArray) -> xr.DataArray:
    return array if array.chunks is None else array.chunk(time=-1)


def _season_names(numbers: xr.DataArray) -> xr.DataArray:
    names: xr.DataArray = xr.apply_ufunc(
        lambda values: _SEASON_NAMES[np.nan_to_num(values, nan=_UNKNOWN).astype(int)],
        numbers,
        dask="parallelized",
        output_dtypes=[_SEASON_NAMES.dtype],
    )
    return names


def _attributes(
    precipitation: Array, temperature: Array, pet: Array, angle: Array, season: npt.NDArray[np.int64]
) -> Array:
    """All attributes, (..., attribute), from arrays (..., time); NaN where a day is missing."""
    p, t, e = (np.asarray(array, np.float64) for array in (precipitation, temperature, pet))
    p_mean, e_mean = p.mean(-1), e.mean(-1)
    high, low = (p >= _HIGH * p_mean[..., None]) & (p > 0.0), p < _LOW
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [
            *(p_mean, e_mean, _seasonality(p, t, angle)),
            *(np.where(t < _SNOW, p, 0.0).sum(-1) / p.sum(-1), e_mean / p_mean),
            *(_frequency(high), _duration(high), _frequency(low), _duration(low)),
            *(_timing(high, season), _timing(low, season)),
        ]
    known = np.isfinite(p_mean + t.mean(-1) + e_mean)
    return np.where(known[..., None], np.stack(columns, -1), np.nan)


def _seasonality(p: Array, t: Array, angle: Array) -> Array:
    """Woods (2009), equation 14: the amplitude of precipitation in phase with temperature."""
    waves = np.stack([np.sin(angle), np.cos(angle)])
    fit = np.linalg.pinv(waves)  # least squares around the mean
    p_mean = p.mean(-1, keepdims=True)
    rain, warmth = (p / p_mean - 1.0) @ fit, (t - t.mean(-1, keepdims=True)) @ fit
    # delta_p sgn(delta_t) cos(phase) is the projection of one wave on the direction of the other.
    return np.asarray((rain * warmth).sum(-1) / np.linalg.norm(warmth, axis=-1))


def _frequency(event: npt.NDArray[np.bool_]) -> Array:
    """Days per year."""
    return np.asarray(event.mean(-1) * _YEAR)


def _duration(event: npt.NDArray[np.bool_]) -> Array:
    """Mean length of events in days; 0 without any."""
    begins = event[..., :1].sum(-1) + (event[..., 1:] & ~event[..., :-1]).sum(-1)
    return np.asarray(event.sum(-1) / np.maximum(begins, 1))


def _timing(event: npt.NDArray[np.bool_], season: npt.NDArray[np.int64]) -> Array:
    """The season with most days."""
    counts = np.stack([event[..., season == number].sum(-1) for number in range(4)], -1)
    return np.where(counts.any(-1), counts.argmax(-1), np.nan)
