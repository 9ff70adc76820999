"""Check a Dataset before it is simulated or fitted, and report what was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..conventions.variables import ATTRIBUTES, FORCING, VARIABLES
from ..errors import MissingVariableError
from ..inputs.cells import cells_first
from ..inputs.ranges import check_forcing, range_problem
from ..inputs.resolve import Inputs, resolve
from ..models.specs import Spec, check_spec

_DRIZZLE = 0.01  # mm/day; if a whole record stays below this, its unit is probably wrong


@dataclass(frozen=True)
class CheckReport:
    """Inputs found in a Dataset that can be simulated; prints as a table.

    Parameters
    ----------
    roles : dict
        For each role its variable, or how it is derived.
    days, cells : int
        Number of days and of cells.
    period : (str, str)
        First and last day.
    remarks : tuple of str
        Observations that are no errors.
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
    """Check the inputs of a Dataset; see :meth:`hydroxr.accessor.HBVAccessor.check`."""
    if spec is not None:
        check_spec(spec)
    inputs = resolve(ds, FORCING if spec is None else spec.forcing)
    times = ds["time"].values
    land = _land(inputs)
    cells = tuple(cell for cell, kept in zip(inputs.cell_names, land, strict=True) if kept)
    remarks = []
    if not land.all():
        remarks.append(f"{int((~land).sum())} cells are outside of the mask: they are not simulated")
    roles = {}
    for name, array in inputs.forcing.items():
        values = cells_first(array)[land]
        called = {name: inputs.call(name)}
        check_forcing({name: values}, times, cells, called=called, derived=inputs.derived)
        if name == "prcp" and 0.0 < values.max() < _DRIZZLE:
            remarks.append(f"the largest precipitation is {values.max():g} mm/day: is its unit right?")
        if name in FORCING:
            roles[VARIABLES[name].long_name] = _found(inputs, name)
        else:
            roles[str(ds[name].attrs.get("long_name", name))] = f"{name} ({ds[name].attrs['units']})"
    try:
        observed = inputs.observed
    except MissingVariableError as error:
        roles["observed streamflow"] = f"none: this Dataset can be simulated, not fitted ({error})"
    else:
        roles["observed streamflow"] = _found(inputs, "streamflow")
        remarks += _streamflow_remarks(cells_first(observed)[land], times, cells)
    known = len([name for name in ATTRIBUTES if name in ds])
    roles["attributes"] = f"{known} of the paper's {len(ATTRIBUTES)}"
    if "pet" in inputs.forcing:
        remarks += _temperature_remarks(inputs)
    period = (str(inputs.days[0])[:10], str(inputs.days[-1])[:10])
    return CheckReport(roles, len(times), len(cells), period, tuple(remarks))


def _land(inputs: Inputs) -> np.ndarray:
    """Which cells are simulated, in the order of the flattened space."""
    if inputs.mask is None:
        return np.ones(inputs.cell_count, dtype=bool)
    missing = {dim: inputs.ds.sizes[dim] for dim in inputs.space if dim not in inputs.mask.dims}
    return inputs.mask.expand_dims(missing).transpose(*inputs.space).values.ravel()


def _found(inputs: Inputs, role: str) -> str:
    found = inputs.name(role)
    return inputs.call(role) if found is None else f"{found} ({inputs.ds[found].attrs.get('units')})"


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


def _temperature_remarks(inputs: Inputs) -> list[str]:
    low, high = inputs.name("tmin"), inputs.name("tmax")
    if low is None or high is None or inputs.name("pet") is not None:
        return []
    crossed = int((inputs.required("tmin") > inputs.required("tmax")).sum())
    if not crossed:
        return []
    return [f"{low} is above {high} on {crossed} cell-days: Hargreaves takes the absolute difference"]
