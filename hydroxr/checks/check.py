"""Check a Dataset before it is simulated or fitted: what it holds, what cannot be, what is improbable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from ..conventions.variables import ATTRIBUTES, FORCING, VARIABLES
from ..errors import EmptySelectionError, HydroxrError, ImprobableValueError, MissingVariableError, all_in_one
from ..inputs.cells import misplaced
from ..inputs.resolve import Inputs, inputs_of, potential_evapotranspiration
from ..models.specs import Spec, check_spec
from .attributes import attribute_faults, attribute_remarks, chosen_attributes
from .facts import facts
from .magnitudes import magnitudes
from .report import CheckReport
from .rules import doubts
from .summary import summarise


def check(
    ds: xr.Dataset,
    spec: Spec | None = None,
    target: str = "streamflow",
    attributes: Sequence[str] | None = None,
    *,
    strict: bool = False,
) -> CheckReport:
    """Check the inputs of a Dataset; see :meth:`hydroxr.accessor.HBVAccessor.check`."""
    if spec is not None:
        check_spec(spec)
    inputs = inputs_of(ds, FORCING if spec is None else spec.forcing, target=target)
    errors: list[HydroxrError] = []
    arrays = _forcing(inputs, errors)
    observed = _observed(inputs, arrays, errors)
    if not arrays:
        raise all_in_one(errors)
    names: tuple[str, ...] = ()
    try:
        names = chosen_attributes(inputs, spec, attributes)
    except HydroxrError as error:
        errors.append(error)
    unreadable = attribute_faults(inputs, names)
    errors += unreadable
    places = misplaced(inputs.ds, inputs.name("lat"))
    errors += [error for error in places if str(error) not in map(str, errors)]
    land = _land(inputs)
    if not land.any():
        raise EmptySelectionError("the mask is False everywhere; expected a cell to simulate.")
    summary = summarise(inputs, arrays | _beside(inputs, arrays), land)
    errors += [fault.error() for fault in summary.faults.values()]
    told = facts(summary) + inputs.unused
    if not land.all():
        told.insert(0, f"{int((~land).sum())} cells are outside of the mask: they are not simulated")
    improbable = (
        _repeated(inputs) + doubts(summary) + ([] if unreadable else attribute_remarks(inputs, names))
    )
    if errors:
        raise _with_remarks(all_in_one(errors), improbable)
    if strict and improbable:
        raise all_in_one([ImprobableValueError(remark) for remark in improbable])
    period = (str(inputs.days[0])[:10], str(inputs.days[-1])[:10])
    known = len([name for name in ATTRIBUTES if name in ds])
    roles = _roles(inputs, arrays) | {
        "observed streamflow": observed,
        "attributes": f"{known} of the paper's {len(ATTRIBUTES)}",
    }
    return CheckReport(
        roles,
        len(inputs.days),
        int(land.sum()),
        period,
        (*told, *improbable),
        tuple(improbable),
        magnitudes(summary),
    )


def _with_remarks(error: HydroxrError, remarks: list[str]) -> HydroxrError:
    """An error that tells the remarks as well."""
    return type(error)("\n  note: ".join([str(error), *remarks])) if remarks else error


def _forcing(inputs: Inputs, errors: list[HydroxrError]) -> dict[str, xr.DataArray]:
    """The daily inputs that can be found; what is wrong with the others goes to ``errors``."""
    found = {}
    for name in inputs.wanted:
        try:
            found[name] = replace(inputs, wanted=(name,)).forcing[name]
        except HydroxrError as error:
            if str(error) not in map(str, errors):
                errors.append(error)
    return found


def _observed(inputs: Inputs, arrays: dict[str, xr.DataArray], errors: list[HydroxrError]) -> str:
    """What the report says of the observed streamflow, which is added to ``arrays``."""
    if not arrays:
        return ""
    try:
        arrays["streamflow"] = inputs.observed
    except MissingVariableError as error:
        if inputs.target != "streamflow":
            errors.append(error)
            return ""
        return f"none: this Dataset can be simulated, not fitted ({error})"
    except HydroxrError as error:
        errors.append(error)
        return ""
    return _found(inputs, "streamflow")


def _beside(inputs: Inputs, arrays: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """Series that are compared with the inputs: daily extremes, and PET by Hargreaves beside another."""
    out = {}
    extremes = inputs.name("tmin") is not None and inputs.name("tmax") is not None
    makers: dict[str, Callable[[], xr.DataArray]] = {}
    if extremes:
        makers = {name: lambda name=name: inputs.required(name) for name in ("tmin", "tmax")}  # type: ignore[misc]
    pet = inputs.name("pet")
    if extremes and "pet" in arrays and pet is not None and inputs.name("lat") is not None:
        makers["hargreaves"] = lambda: potential_evapotranspiration(inputs.ds.drop_vars(pet))
    like = next(iter(arrays.values()))
    dims = like.dims
    for name, make in makers.items():
        try:
            array = make()
        except HydroxrError:  # what is not used may be unsound
            continue
        if "time" in array.dims and set(array.dims) <= set(dims):
            out[name] = (array if set(array.dims) == set(dims) else array.broadcast_like(like)).transpose(
                *dims
            )
    return out


def _land(inputs: Inputs) -> np.ndarray:
    """Which cells are simulated, in the order of the flattened space."""
    if inputs.mask is None:
        return np.ones(inputs.cell_count, dtype=bool)
    missing = {dim: inputs.ds.sizes[dim] for dim in inputs.space if dim not in inputs.mask.dims}
    return inputs.mask.expand_dims(missing).transpose(*inputs.space).values.ravel()


def _repeated(inputs: Inputs) -> list[str]:
    """A remark on cells of one name."""
    (name, times), *_ = Counter(inputs.cell_names).most_common(1)
    if times == 1:
        return []
    return [f"{name} is the name of {times} cells; expected one name for each: are cells repeated?"]


def _roles(inputs: Inputs, arrays: dict[str, xr.DataArray]) -> dict[str, str]:
    """How the report calls each daily input, and where it comes from."""
    roles = {}
    for name in (name for name in inputs.wanted if name in arrays):
        if name in FORCING:
            roles[VARIABLES[name].long_name] = _found(inputs, name)
        else:
            array = inputs.ds[name]
            roles[str(array.attrs.get("long_name", name))] = f"{name} ({array.attrs['units']})"
    return roles


def _found(inputs: Inputs, role: str) -> str:
    found = inputs.name(role)
    return inputs.call(role) if found is None else f"{found} ({inputs.ds[found].attrs.get('units')})"
