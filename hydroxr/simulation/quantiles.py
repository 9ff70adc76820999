"""Quantiles of predicted streamflow, from the distribution of past errors that a model carries."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import xarray as xr

from ..conventions.dimensions import INIT, LEAD, VALID_TIME
from ..conventions.stamps import by_day
from ..conventions.variables import VARIABLES
from ..errors import CoordinateError, DescriptionError, MissingVariableError
from ..inputs.cells import select_cells
from ..inputs.resolve import Inputs
from ..models.ensemble import Ensemble
from ..models.error_tables import ERROR, LEVEL, LEVELS, OFFSET, PERIOD, SEASON, check_errors
from ..models.model import Model

QUANTILE = "quantile"


def predictive(
    given: Model | Ensemble | xr.Dataset,
    quantiles: Sequence[float] | None,
    kind: str,
    variables: Sequence[str] | None,
    members: bool,
    inputs: Inputs,
) -> Callable[[xr.Dataset], xr.Dataset]:
    """What adds the wanted quantiles to a run; it refuses before the run what cannot be added after it.

    Parameters
    ----------
    given : Model, Ensemble or Dataset
    quantiles : sequence of float, optional
        Nothing is added without them.
    kind : {"simulation", "forecast"}
    variables : sequence of str, optional
        Those that the run returns.
    members : bool
        Whether the run returns the members of an ensemble.
    inputs : Inputs
        Their cells have to be among those of the errors.

    Raises
    ------
    DescriptionError
        If quantiles are not allowed, or not of this run, or ``given`` has no errors.
    CoordinateError
        If a cell has no errors.
    """
    if quantiles is None:
        return lambda sim: sim
    wanted = checked_quantiles(quantiles)
    if variables is not None and "streamflow" not in variables:
        raise DescriptionError("quantiles are those of streamflow; add 'streamflow' to variables.")
    if members:
        raise DescriptionError("errors are those of the mean of an ensemble; leave members=True out.")
    if isinstance(given, xr.Dataset):
        raise DescriptionError(
            "quantiles need a model with its errors, and parameters have none; add them to the result: "
            "sim.hbv.add_quantiles(errors, quantiles)."
        )
    if kind not in given.errors:
        raise DescriptionError(
            f"the model carries no errors of a {kind}; fit them to years that it was not trained on: "
            f"model.with_errors({kind}.hbv.fit_errors(observed, time))."
        )
    errors = given.errors[kind]
    select_cells(errors, inputs.ds, inputs.space, "the model's errors")
    return lambda sim: add_quantiles(sim, errors, list(wanted))


def checked_quantiles(quantiles: Sequence[float]) -> np.ndarray:
    """Quantiles as numbers; a DescriptionError if they are not ascending, or beyond the levels of errors."""
    wanted = np.atleast_1d(np.asarray(quantiles, dtype=float))
    least, most = LEVELS[0], LEVELS[-1]
    if not len(wanted) or not ((wanted >= least) & (wanted <= most)).all() or (np.diff(wanted) <= 0).any():
        raise DescriptionError(
            f"quantiles are {list(map(float, wanted))}; expected ascending numbers from {least} to {most}."
        )
    return wanted


def add_quantiles(sim: xr.Dataset, errors: xr.Dataset, quantiles: Sequence[float]) -> xr.Dataset:
    """Quantiles of streamflow; see :meth:`hydroxr.accessor.HBVAccessor.add_quantiles`."""
    wanted = checked_quantiles(quantiles)
    check_errors(errors)
    over = INIT if INIT in sim.dims else "time"
    flow, days = streamflow_of(by_day(sim), over)
    if (LEAD in errors.dims) != (LEAD in flow.dims):
        raise DescriptionError(
            "errors of forecasts are by lead and those of simulations are not; expected errors that were "
            "fitted to the same kind of run."
        )
    space = tuple(dim for dim in errors[OFFSET].dims if dim != LEAD)
    errors = select_cells(errors, sim, space, "errors")
    if LEAD in flow.dims:
        absent = flow.indexes[LEAD].difference(errors.indexes[LEAD])
        if len(absent):
            raise CoordinateError(
                f"errors have no lead {absent[0]}, only {errors.indexes[LEAD].tolist()}; fit them to "
                "forecasts of all leads."
            )
        errors = errors.sel({LEAD: flow[LEAD]})
    table = _between(errors[ERROR], wanted)
    given = [flow, seasons_of(days), errors[OFFSET], table]
    found = xr.apply_ufunc(
        _quantiles,
        *(array.drop_vars(list(array.coords)) for array in given),
        input_core_dims=[[], [], [], [SEASON, QUANTILE]],
        output_core_dims=[[QUANTILE]],
        dask="parallelized",
        output_dtypes=[flow.dtype],
        dask_gufunc_kwargs={"allow_rechunk": True},
        keep_attrs=False,
    )
    found = found.transpose(QUANTILE, *flow.dims).assign_attrs(VARIABLES["streamflow_quantile"].attrs())
    if PERIOD in errors.attrs:
        found.attrs["comment"] = f"from the errors of {errors.attrs[PERIOD]}"
    found = found.assign_coords(sim["streamflow"].coords)
    out = sim.assign(streamflow_quantile=found).assign_coords({QUANTILE: wanted})
    out[QUANTILE].attrs = {"long_name": "probability that streamflow is lower", "units": "1"}
    return out


def streamflow_of(sim: xr.Dataset, over: Hashable) -> tuple[xr.DataArray, xr.DataArray]:
    """Simulated streamflow, and the day that each value is for, (time) or (init, lead)."""
    if "streamflow" not in sim:
        raise MissingVariableError(
            "the simulation has no 'streamflow'; simulate with it among the variables."
        )
    return sim["streamflow"], sim[VALID_TIME if over == INIT else "time"]


def seasons_of(days: xr.DataArray) -> xr.DataArray:
    """Position of the season of each day."""
    return (
        xr.zeros_like(days, dtype="int8")
        .drop_vars(list(days.coords))
        .copy(data=(days.dt.month.values % 12 // 3).astype("int8"))
    )


def _between(table: xr.DataArray, wanted: np.ndarray) -> xr.DataArray:
    """The table at the wanted quantiles, linear between its levels."""
    known = table[LEVEL].values
    low = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, len(known) - 2)
    share = xr.DataArray((wanted - known[low]) / (known[low + 1] - known[low]), dims=QUANTILE)
    below, above = (
        table.drop_vars(LEVEL).isel({LEVEL: xr.DataArray(place, dims=QUANTILE)}) for place in (low, low + 1)
    )
    return (1.0 - share) * below + share * above


def _quantiles(flow: np.ndarray, season: np.ndarray, offset: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Quantiles of streamflow (..., quantile), from tables (..., season, quantile)."""
    shape = np.broadcast_shapes(flow.shape, season.shape, offset.shape)
    table = table.reshape((1,) * (len(shape) + 2 - table.ndim) + table.shape)
    places: tuple[np.ndarray, ...] = np.indices(shape, sparse=True)
    where = [place if size > 1 else 0 for place, size in zip(places, table.shape, strict=False)]
    errors = table[(*where, np.broadcast_to(season, shape))]
    found = (flow + offset)[..., None] * np.exp(errors) - offset[..., None]
    return np.maximum(found, 0.0).astype(flow.dtype)
