"""What ``check`` and ``evaluate`` tell of a Dataset."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..conventions.units import convert
from ..conventions.variables import ATTRIBUTES, FORCING, VARIABLES
from ..errors import MissingVariableError
from ..inputs import find, resolve
from ..inputs.cells import cells_first, space_names
from ..inputs.ranges import check_forcing, range_problem
from ..models.specs import LSTMStreamflow, Spec, check_spec

_DRIZZLE = 0.01  # mm/day; a whole record below this is a wrong unit rather than a climate


@dataclass(frozen=True)
class CheckReport:
    """What was found in a Dataset that can be simulated.

    Parameters
    ----------
    roles : dict
        For each role the variable that plays it, or how it is derived.
    days, cells : int
        Sizes in time and space.
    period : (str, str)
        First and last day.
    remarks : tuple of str
        What is no error, but good to know.
    """

    roles: dict[str, str]
    days: int
    cells: int
    period: tuple[str, str]
    remarks: tuple[str, ...]

    def __repr__(self) -> str:
        width = max(len(role) for role in self.roles)
        lines = [
            f"<hydroxr check: {self.cells} cells, {self.days} days, {self.period[0]} to {self.period[1]}>"
        ]
        lines += [f"  {role:<{width}}  {found}" for role, found in self.roles.items()]
        lines += [f"  note: {remark}" for remark in self.remarks]
        return "\n".join(lines)


def check(ds: xr.Dataset, spec: Spec | None = None) -> CheckReport:
    """Check the inputs of a Dataset; see the accessor."""
    if spec is not None:
        check_spec(spec)
    if isinstance(spec, LSTMStreamflow):
        resolve.own_units(ds, spec.own_forcing)
    forcing = resolve.forcing(ds, FORCING if spec is None else spec.forcing)
    space = resolve.space_dims(ds)
    times = ds["time"].values
    cells = space_names(ds, space)
    land = _land(ds, space, len(cells))
    remarks = []
    if not land.all():
        cells = tuple(cell for cell, kept in zip(cells, land, strict=True) if kept)
        remarks.append(f"{int((~land).sum())} cells are outside of the mask: they are not simulated")
    for name, array in forcing.items():
        values = cells_first(array)[land]
        check_forcing({name: values}, times, cells, called={name: resolve.called(ds, name)})
        if name == "prcp" and 0.0 < values.max() < _DRIZZLE:
            remarks.append(f"the largest precipitation is {values.max():g} mm/day: is its unit right?")
    roles = {
        VARIABLES[name].long_name if name in FORCING else str(ds[name].attrs.get("long_name", name)): (
            _found(ds, name) if name in FORCING else f"{name} ({ds[name].attrs['units']})"
        )
        for name in forcing
    }
    try:
        observed = resolve.observed_streamflow(ds)
    except MissingVariableError:
        roles["observed streamflow"] = "none: this Dataset can be simulated, not fitted"
    else:
        roles["observed streamflow"] = _found(ds, "streamflow")
        remarks += _streamflow_remarks(cells_first(resolve.on_space(observed, space, ds))[land], times, cells)
    roles["attributes"] = (
        f"{len([name for name in ATTRIBUTES if name in ds])} of the paper's {len(ATTRIBUTES)}"
    )
    if "pet" in forcing:
        remarks += _temperature_remarks(ds)
    index = ds.indexes["time"]
    period = (str(index[0])[:10], str(index[-1])[:10])
    return CheckReport(roles, len(times), len(cells), period, tuple(remarks))


def _land(ds: xr.Dataset, space: tuple[Hashable, ...], cells: int) -> np.ndarray:
    """Which cells are simulated, in the order of the flattened space."""
    mask = resolve.land_mask(ds, space)
    if mask is None:
        return np.ones(cells, dtype=bool)
    missing = {dim: ds.sizes[dim] for dim in space if dim not in mask.dims}
    return mask.expand_dims(missing).transpose(*space).values.ravel()


def _found(ds: xr.Dataset, name: str) -> str:
    found = find.find(ds, name)
    return resolve.called(ds, name) if found is None else f"{found} ({ds[found].attrs.get('units')})"


def _streamflow_remarks(values: np.ndarray, times: np.ndarray, cells: tuple[str, ...]) -> list[str]:
    problem = range_problem("streamflow", values, times, cells)
    if problem is not None:
        raise problem
    gauged = np.isfinite(values).any(axis=1)
    remarks = []
    if not gauged.all():
        remarks.append(
            f"{int((~gauged).sum())} of {len(gauged)} cells have no observed streamflow: they are not "
            "trained on"
        )
    gaps = int(np.isnan(values[gauged]).sum())
    if gaps:
        remarks.append(
            f"observed streamflow is missing on {gaps} cell-days of the others: they do not count in the loss"
        )
    return remarks


def _temperature_remarks(ds: xr.Dataset) -> list[str]:
    low, high = find.find(ds, "tmin"), find.find(ds, "tmax")
    if low is None or high is None or find.find(ds, "pet") is not None:
        return []
    crossed = int((convert(ds[low], VARIABLES["tmin"]) > convert(ds[high], VARIABLES["tmax"])).sum())
    if not crossed:
        return []
    return [f"{low} is above {high} on {crossed} cell-days: Hargreaves takes the absolute difference"]
