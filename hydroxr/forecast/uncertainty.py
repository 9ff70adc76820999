"""A calibrated predictive distribution of streamflow: quantiles of past errors, by cell and season.

Errors are differences of log(streamflow + offset), so that they grow with streamflow and no quantile is
negative. In each cell and season the errors of some years give quantiles, with the positions (n + 1) p
among n sorted errors, which cover p of new errors that come from the same distribution (split conformal
prediction; Vovk et al., 2005, doi:10.1007/b106715). Days of one year are alike, and other years differ. So
each year is predicted from the others, and the distances of all quantiles from the median are widened by
the one factor for each cell with which these predictions cover what they promise.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..conventions.attributes import MODEL_SHA256
from ..conventions.dimensions import INIT, LEAD
from ..conventions.stamps import by_day
from ..conventions.variables import VARIABLES
from ..errors import EmptySelectionError, MissingObservationError
from ..inputs.cells import select_cells
from ..inputs.resolve import observed_streamflow
from ..models.error_tables import ERROR, LEVEL, LEVELS, NUMBER, OFFSET, PERIOD, SEASON, SEASONS, WIDENING
from ..simulation.quantiles import seasons_of, streamflow_of

_OFFSET = 0.02  # of mean simulated streamflow
_LEAST = 1e-4  # mm/day
_NARROW = 1e-9  # distance of an interval's end from the median, at least
_FEW = 30  # errors; a season with fewer takes those of all seasons
_COVERED = 0.9  # share of the interval with which the widening is found


def fit_errors(sim: xr.Dataset, observed: xr.Dataset | xr.DataArray, time: slice | None = None) -> xr.Dataset:
    """Distribution of the errors of streamflow; see :meth:`hydroxr.accessor.HBVAccessor.fit_errors`."""
    sim = by_day(sim)
    over = INIT if INIT in sim.dims else "time"
    if time is not None:
        sim = sim.sel({over: time})
    flow, days = streamflow_of(sim, over)
    years = days.dt.year.drop_vars(list(days.coords))
    if not years.size or int(years.min()) == int(years.max()):
        raise EmptySelectionError("the simulation has days of one year or none; expected at least two years.")
    space = tuple(dim for dim in flow.dims if dim not in (over, LEAD))
    ds = observed.to_dataset(name="streamflow") if isinstance(observed, xr.DataArray) else observed
    gauged = select_cells(
        observed_streamflow(ds).to_dataset(name="streamflow"), sim, space, "the observations"
    )
    known = _on_days(gauged["streamflow"], days)
    offset = (_OFFSET * flow.mean(over)).clip(min=_LEAST)
    given = [flow, known, seasons_of(days), years]
    found = xr.apply_ufunc(
        _fit,
        *(
            array.drop_vars(list(array.coords)).chunk({over: -1}) if array.chunks else array
            for array in given
        ),
        offset,
        input_core_dims=[[over]] * 4 + [[]],
        output_core_dims=[[SEASON, LEVEL], [], [SEASON]],
        vectorize=True,
        dask="parallelized",
        output_dtypes=[float, float, float],
        dask_gufunc_kwargs={"output_sizes": {SEASON: len(SEASONS), LEVEL: len(LEVELS)}},
        keep_attrs=False,
    )
    table, widening, number = found
    if number.chunks is None and not float(number.sum()):
        raise MissingObservationError(
            "no day of the simulation has observed streamflow; expected years that both have."
        )
    out = xr.Dataset({ERROR: table, WIDENING: widening, NUMBER: number, OFFSET: offset.astype(float)})
    out = out.assign_coords({name: sim[name] for name in sim.coords if {*sim[name].dims} <= {*space, LEAD}})
    out = out.drop_vars(["time", INIT], errors="ignore")
    out = _described(out.assign_coords({LEVEL: LEVELS, SEASON: list(SEASONS)}), flow)
    out.attrs[PERIOD] = " to ".join(str(sim[over].values[place])[:10] for place in (0, -1))
    return out.assign_attrs({name: sim.attrs[name] for name in (MODEL_SHA256,) if name in sim.attrs})


def _on_days(observed: xr.DataArray, days: xr.DataArray) -> xr.DataArray:
    """Observations on some days, NaN where there are none."""
    wanted = xr.DataArray(days.values.ravel(), dims="time").to_index().floor("D")
    places = observed.indexes["time"].floor("D").get_indexer(wanted).reshape(days.shape)
    picked = xr.DataArray(places, dims=days.dims)
    found = observed.drop_vars(list(observed.coords)).isel(time=picked.clip(min=0))
    return found.where(picked >= 0)


def _fit(
    flow: np.ndarray, observed: np.ndarray, season: np.ndarray, year: np.ndarray, offset: float
) -> tuple[np.ndarray, float, np.ndarray]:
    """Quantiles of errors (season, level), the factor that widened them, and how many errors (season,)."""
    known = np.isfinite(flow) & np.isfinite(observed)
    error = np.log(np.maximum(observed[known], 0.0) + offset) - np.log(flow[known] + offset)
    season, year = season[known], year[known]
    number = np.bincount(season, minlength=len(SEASONS)).astype(float)
    if len(np.unique(year)) < 2:
        return np.full((len(SEASONS), len(LEVELS)), np.nan), np.nan, number
    around = np.array([0.5 - _COVERED / 2, 0.5, 0.5 + _COVERED / 2])
    size = np.empty(len(error))  # distance from the median as a share of that of the interval's end
    for each in np.unique(year):
        out = year == each
        low, middle, high = _table(error[~out], season[~out], around)[season[out]].T
        above = error[out] > middle
        reach = np.where(above, high - middle, middle - low)
        size[out] = abs(error[out] - middle) / np.maximum(reach, _NARROW)
    widening = max(1.0, float(np.quantile(size, _COVERED, method="weibull")))
    table = _table(error, season, np.array([*LEVELS, 0.5]))
    return table[:, -1:] + widening * (table[:, :-1] - table[:, -1:]), widening, number


def _table(error: np.ndarray, season: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of errors, (season, level)."""
    groups = [season == place for place in range(len(SEASONS))]
    own = [error[group] if group.sum() >= _FEW else error for group in groups]
    return np.stack([np.quantile(each, levels, method="weibull") for each in own])


def _described(out: xr.Dataset, flow: xr.DataArray) -> xr.Dataset:
    """The tables with attributes."""
    names = {
        ERROR: ("log of (observed + offset) over (simulated + offset), quantiles", "1"),
        WIDENING: ("factor by which distances from the median were widened", "1"),
        NUMBER: ("days with an error", "1"),
        OFFSET: ("offset of the logarithm", flow.attrs.get("units", VARIABLES["streamflow"].units)),
        LEVEL: ("probability of a smaller error", "1"),
    }
    for name, (long_name, unit) in names.items():
        out[name].attrs = {"long_name": long_name, "units": unit}
    out.attrs = {"title": "Distribution of the errors of simulated streamflow"}
    return out
