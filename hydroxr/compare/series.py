"""A simulated variable against a product of it, in time and in space: what all comparisons share."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..analysis.periods import Periods
from ..analysis.time_means import over_periods
from ..conventions.variables import AMOUNT, VARIABLES, Variable
from ..errors import AmbiguousVariableError, DimensionError, MissingVariableError
from ..inputs.cells import select_cells
from ..metrics.formulas import metrics
from ..metrics.selection import within

# Names, in small letters, that mean neither evapotranspiration nor snow nor stored water, beside the table's.
_ELSE = {
    "ep",
    "et0",
    "eto",
    "pev",
    "evspsblpot",
    "precip",
    "ppt",
    "rain",
    "tp",
    "p",
    "discharge",
    "qsim",
    "le",
}


def simulated(sim: xr.Dataset | xr.DataArray, name: str) -> xr.DataArray:
    """A variable of a simulation, mean of its components.

    Raises
    ------
    MissingVariableError
    """
    if isinstance(sim, xr.Dataset):
        if name not in sim:
            raise MissingVariableError(
                f"the simulation has no {name!r}; it has {', '.join(map(str, sim.data_vars)) or 'nothing'}. "
                f"Simulate with variables=None, or with {name!r} among them."
            )
        sim = sim[name]
    return sim.mean("component", keep_attrs=True) if "component" in sim.dims else sim


def find_in_product(
    product: xr.Dataset | xr.DataArray, names: tuple[str, ...], standard_names: tuple[str, ...]
) -> xr.DataArray:
    """The variable of a product: by name, by standard name, or the only one that has time.

    The only one is not taken where its name or standard name is known to mean something else.

    Raises
    ------
    AmbiguousVariableError, MissingVariableError
    """
    if isinstance(product, xr.DataArray):
        return product
    timed = {str(name): array for name, array in product.data_vars.items() if "time" in array.dims}
    timed = {name: array for name, array in timed.items() if name != product["time"].attrs.get("bounds")}
    others = [name for name in timed if name not in ("time_bnds", "fill_code")]
    for candidates in (
        [name for name in timed if name in names],
        [name for name, array in timed.items() if array.attrs.get("standard_name") in standard_names],
        others,
    ):
        if len(candidates) == 1 and (candidates is not others or not _means_else(timed[others[0]], names)):
            return timed[candidates[0]]
        if len(candidates) > 1:
            raise AmbiguousVariableError(
                f"{', '.join(map(repr, candidates))} of the product can each be meant; give one: "
                f"product[{candidates[0]!r}]."
            )
    if others:
        raise MissingVariableError(
            f"the product has {others[0]!r} only, which is something else; expected one named "
            f"{', '.join(names)}. Rename it if it is that."
        )
    raise MissingVariableError(
        f"the product has no variable along 'time'; it has {', '.join(map(str, product.variables))}."
    )


def _means_else(array: xr.DataArray, names: tuple[str, ...]) -> bool:
    """Whether a variable, of none of ``names``, is known under its own name or standard name."""
    name = str(array.name).lower()
    standard_name = array.attrs.get("standard_name")
    known = {each.lower() for row in VARIABLES.values() for each in (row.name, *row.names)}
    standard = {each for row in VARIABLES.values() for each in _standard_names(row) if each}
    potential = "potential" in f"{name} {standard_name} {array.attrs.get('long_name', '')}".lower()
    return name in known | _ELSE or name.startswith("pet") or standard_name in standard or potential


def _standard_names(row: Variable) -> tuple[str | None, ...]:
    return (row.standard_name, row.amount_name, *row.standard_names)


def same_cells(product: xr.DataArray, sim: xr.DataArray, what: str) -> xr.DataArray:
    """The product in the cells of the simulation, in their order.

    Raises
    ------
    DimensionError, CoordinateError
    """
    space = tuple(dim for dim in sim.dims if dim != "time")
    other = tuple(dim for dim in product.dims if dim != "time")
    if set(space) != set(other):
        raise DimensionError(
            f"{what} has dimensions of space {_spelled(other)}, the simulation {_spelled(space)}; expected "
            "the same cells. Bring it there first: hx.compare.aggregate(product, weights)."
        )
    for dim in space:
        product = _by_name(product, sim, dim)
    chosen = select_cells(product.to_dataset(name="_values"), sim.to_dataset(name="_values"), space, what)
    return chosen["_values"].rename(product.name)


def _by_name(product: xr.DataArray, sim: xr.DataArray, dim: Hashable) -> xr.DataArray:
    """The product with the simulation's labels, where it is labelled by the names that that has beside."""
    names = f"{dim}_id"
    if names not in sim.coords or dim not in product.indexes or dim not in sim.indexes:
        return product
    labels = product.indexes[dim]
    if labels.dtype.kind not in "OTU" or sim.indexes[dim].dtype.kind in "OTU":
        return product
    wanted = [str(name) for name in sim[names].values]
    if not set(wanted) <= set(map(str, labels)):
        return product
    chosen = product.assign_coords({dim: [str(label) for label in labels]}).sel({dim: wanted})
    return chosen.assign_coords({dim: sim.indexes[dim]})


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
    """Metrics a cell over the periods that both have, and the long-term means of both a day.

    ``how`` brings the simulation's days to the ``periods`` of the product (see :func:`over_periods`); with
    ``anomalies`` both series are taken less their mean over the pairs of a cell.
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
    # The mean of a state is over periods, that of sums is over the days they hold.
    lengths = common.lengths if how == "sum" else np.ones(len(common.starts))
    weights = xr.DataArray(lengths.astype(float), {"time": composed["time"]}, ["time"])
    days = weights.where(both).sum("time")
    first, second = (array.sum("time") / days.where(days > 0) for array in pair)
    return out, first, second


def _day_before(end: Any) -> str:
    return str((pd.Timestamp(end) if isinstance(end, np.datetime64) else end) - timedelta(days=1))[:10]


def over_space(first: xr.DataArray, second: xr.DataArray, units: str) -> dict[Hashable, xr.DataArray]:
    """Two fields of a value a cell, and how well one matches the other over all cells."""
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
