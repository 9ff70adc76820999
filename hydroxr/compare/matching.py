"""A simulation and a product on the same cells and periods, and metrics of the pair."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..analysis.periods import Periods
from ..analysis.time_means import over_periods
from ..conventions.dimensions import component_mean
from ..conventions.labels import is_text, labelled
from ..conventions.variables import AMOUNT
from ..errors import CoordinateError, DimensionError, MissingVariableError
from ..inputs.cells import select_cells
from ..metrics.formulas import metrics
from ..metrics.selection import within


def simulated(sim: xr.Dataset | xr.DataArray, name: str) -> xr.DataArray:
    """A variable of a simulation, averaged over components."""
    if isinstance(sim, xr.Dataset):
        if name not in sim:
            raise MissingVariableError(
                f"the simulation has no {name!r}; it has {', '.join(map(str, sim.data_vars)) or 'nothing'}. "
                f"Simulate with variables=None, or include {name!r}."
            )
        sim = sim[name]
    return component_mean(sim, skipna=None, keep_attrs=True) if "component" in sim.dims else sim


def same_cells(product: xr.DataArray, sim: xr.DataArray, what: str) -> xr.DataArray:
    """Select the cells of the simulation from the product, in their order; ``what`` names it in messages."""
    space = tuple(dim for dim in sim.dims if dim != "time")
    other = tuple(dim for dim in product.dims if dim != "time")
    if set(space) != set(other):
        raise DimensionError(
            f"{what} has dimensions of space {_spelled(other)}, the simulation {_spelled(space)}; expected "
            "the same cells. Aggregate it first: hx.compare.aggregate(product, weights)."
        )
    for dim in space:
        if dim in product.indexes and is_text(sim.coords.to_dataset(), dim):
            _require_names(product, sim, dim, what)
    chosen = select_cells(product.to_dataset(name="_values"), sim.to_dataset(name="_values"), space, what)
    return chosen["_values"].rename(product.name)


def _require_names(product: xr.DataArray, sim: xr.DataArray, dim: Hashable, what: str) -> None:
    """Refuse positions, as polygons without names have them, where the simulation has names."""
    positions = np.arange(product.sizes[dim])
    if is_text(product.coords.to_dataset(), dim) or not (product[dim].values == positions).all():
        return
    numbers = ", ".join(map(str, product.indexes[dim][:3]))
    name = labelled(sim.coords.to_dataset())[dim].values[0]
    raise CoordinateError(
        f"{what} numbers its cells ({numbers}, ...), and the simulation names them ({name}, ...); expected "
        "the same labels. Name the polygons: hx.compare.area_weights(grid, polygons.set_index(...))."
    )


def in_time(
    sim: xr.DataArray,
    product: xr.DataArray,
    periods: Periods,
    how: str,
    names: tuple[str, ...],
    time: slice | None,
    *,
    anomalies: bool = False,
) -> tuple[xr.Dataset, xr.DataArray, xr.DataArray]:
    """Metrics of each cell over the common periods, and the long-term means of both.

    Parameters
    ----------
    sim
        Daily values ``(..., time)``.
    product
        Values of the ``periods``, ``(..., time)``, in the units of the reduced ``sim``.
    periods
        Those of the product.
    how
        Reduction of the daily values, see :func:`~hydroxr.analysis.time_means.over_periods`.
    names
        Metrics, keys of the table of :mod:`hydroxr.metrics.formulas`.
    time
        Days of the simulation that count; None: all.
    anomalies
        Whether to subtract from both series of a cell their mean over its pairs.

    Returns
    -------
    Dataset
        The metrics and ``n_periods`` ``(...)``; the attribute ``period`` gives the first and last day.
    DataArray, DataArray
        Long-term means of the simulation and the product ``(...)``, per day if ``how`` is ``"sum"``.
    """
    product = product.drop_vars([name for name, array in product.coords.items() if "time" in array.dims])
    product = same_cells(product.assign_coords(time=periods.starts), sim, "the product")
    if time is not None:
        sim = within(sim, time, "the simulation")
    composed, common = over_periods(sim.astype(float), periods, how, "the simulation")
    product = product.astype(float).sel(time=composed["time"]).transpose(*composed.dims)
    both = composed.notnull() & product.notnull()
    pair = [array.where(both).assign_attrs(units=AMOUNT) for array in (composed, product)]
    if anomalies:
        pair = [(array - array.mean("time")).assign_attrs(units=AMOUNT) for array in pair]
    out = metrics(names, pair[0], pair[1], "time")
    out["n_periods"] = both.sum("time")
    out["n_periods"].attrs = {"long_name": "number of periods compared", "units": "1"}
    last = _day_before(common.bounds()[-1, 1])
    out.attrs = {"period": f"{str(common.starts[0])[:10]} to {last}"}
    # States are averaged over periods, sums over the days of the periods.
    lengths = common.lengths if how == "sum" else np.ones(len(common.starts))
    weights = xr.DataArray(lengths.astype(float), {"time": composed["time"]}, ["time"])
    days = weights.where(both).sum("time")
    first, second = (array.sum("time") / days.where(days > 0) for array in pair)
    return out, first, second


def _day_before(end: Any) -> str:
    return str((pd.Timestamp(end) if isinstance(end, np.datetime64) else end) - timedelta(days=1))[:10]


def over_space(first: xr.DataArray, second: xr.DataArray, units: str) -> dict[Hashable, xr.DataArray]:
    """Two fields ``(...)``, and if there are several cells, metrics of one against the other over space."""
    first, second = first.astype(float), second.astype(float)
    first.attrs, second.attrs = {"units": units}, {"units": units}
    out: dict[Hashable, xr.DataArray] = {"simulated": first, "reference": second}
    if first.dims:
        plain = [array.drop_vars(array.coords) for array in (first, second)]
        fit = metrics(("r", "bias", "rmse"), plain[0], plain[1], ...)
        for name, text in (
            ("r", "Pearson correlation in space"),
            ("bias", "mean error over all cells"),
            ("rmse", "root-mean-square error over all cells"),
        ):
            out[f"spatial_{name}"] = fit[name]
            out[f"spatial_{name}"].attrs["long_name"] = text
    return out


def _spelled(dims: tuple[Hashable, ...]) -> str:
    return ", ".join(map(repr, dims)) or "none"


def described(out: xr.Dataset, what: str, mean: str) -> xr.Dataset:
    """Set the title and the long names of a comparison."""
    for name, text in (("simulated", "simulation"), ("reference", "product")):
        out[name].attrs["long_name"] = f"{mean} of the {text}"
    out.attrs = {"title": f"Comparison of {what}", **out.attrs}
    return out
