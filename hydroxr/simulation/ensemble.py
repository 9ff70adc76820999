"""Simulate an ensemble: its members, their mean and their spread."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import xarray as xr

from ..conventions import cf
from ..conventions.attributes import MEMBERS, MODEL_SHA256, TRAINING
from ..conventions.variables import VARIABLES
from ..errors import DescriptionError, DimensionError, StateError, each_warning_once
from ..inputs.resolve import Inputs
from ..models.ensemble import Ensemble
from .one_model import simulate_one

SPREAD = "streamflow_spread"
_OF_ANY_MEMBER = ("attribute_flag", "offset_flag")  # set if a member sets them
_MEMBER = {"long_name": "member of the ensemble", "standard_name": "realization", "units": "1"}


def simulate_members(
    inputs: Inputs,
    ensemble: Ensemble,
    initial_state: xr.Dataset | None,
    wanted: Sequence[str],
    *,
    members: bool,
    return_state: bool,
    static: xr.Dataset | None,
    **options: Any,
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    """Simulate every member; see :func:`hydroxr.simulation.simulate.simulate`.

    Returns
    -------
    Dataset, or (Dataset, Dataset) with ``return_state``
        Means over the members, and ``streamflow_spread``, the members' standard deviation of
        streamflow; or, with ``members``, all variables with a leading dimension ``member``. The state
        always has that dimension.

    Raises
    ------
    DimensionError
        If the precipitation has a dimension ``member``.
    DescriptionError
        If components of different members would be averaged.
    """
    if "member" in inputs.space:
        raise DimensionError(
            "the precipitation has a dimension 'member', which the members of the ensemble need; rename it: "
            "ds.rename(member='realization')."
        )
    if options.get("components") and not members:
        raise DescriptionError(
            "components of different members do not correspond, so they have no mean; use "
            "members=True, or components=False."
        )
    sims, states = [], []
    with each_warning_once():
        for place, model in enumerate(ensemble.members):
            given: Any = simulate_one(
                inputs,
                model,
                of_member(initial_state, place, ensemble, "the initial state"),
                wanted,
                return_state=return_state,
                together=1 if members else len(ensemble),
                static=of_member(static, place, ensemble, "static"),
                **options,
            )
            sims.append(given[0] if return_state else given)
            states += [given[1]] if return_state else []
    sims, flags = _common_flags(sims)
    out = join_members(sims, ensemble) if members else _mean(sims, ensemble)
    if flags:
        out = out.assign(flags)
        cf.name_flags(out)
    if not return_state:
        return out
    return out, join_members(states, ensemble)


def join_members(parts: list[xr.Dataset], ensemble: Ensemble) -> xr.Dataset:
    """Join Datasets of the members along a leading dimension ``member``."""
    joined = xr.concat(
        parts,
        dim="member",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )
    places = xr.Variable("member", np.arange(len(parts)), _MEMBER)
    joined = joined.assign_coords(member=places).transpose("member", ...)
    return _described(joined, ensemble)


def _mean(sims: list[xr.Dataset], ensemble: Ensemble) -> xr.Dataset:
    """The mean over the members, with the attributes of the first."""
    first = sims[0]
    out = first.copy()
    number = len(sims)
    for name, array in first.data_vars.items():
        if VARIABLES[str(name)].role == "flag":  # the same for all members: it flags forcing
            continue
        parts = [sim[name].variable for sim in sims]
        mean = sum(parts[1:], parts[0]) / number
        out[name] = array.dims, mean.data.astype(array.dtype), array.attrs
    if "streamflow" in first:
        flows = [sim["streamflow"].variable for sim in sims]
        # Not from the mean: computing a whole Dataset, dask loses a result that another is computed from.
        spread = xr.Variable.concat(flows, "member").std("member")
        kept = ("grid_mapping", "coverage_content_type")
        attrs = {key: value for key, value in first["streamflow"].attrs.items() if key in kept}
        attrs |= VARIABLES[SPREAD].attrs()
        out[SPREAD] = spread.dims, spread.data.astype(flows[0].dtype), attrs
        out["streamflow"].attrs["ancillary_variables"] = " ".join(
            [*out["streamflow"].attrs.get("ancillary_variables", "").split(), SPREAD]
        )
    return _described(out, ensemble)


def _common_flags(sims: list[xr.Dataset]) -> tuple[list[xr.Dataset], dict[str, xr.DataArray]]:
    """The simulations without flags of cells, and each of these flags, set if any member sets it."""
    out = {}
    for name in _OF_ANY_MEMBER:
        flags = [sim[name] for sim in sims if name in sim]
        if flags:
            out[name] = reduce(or_, flags).astype("int8").assign_attrs(flags[0].attrs)
    return [sim.drop_vars(list(out), errors="ignore") for sim in sims], out


def _described(ds: xr.Dataset, ensemble: Ensemble) -> xr.Dataset:
    training = [member.provenance for member in ensemble.members]
    more = {MODEL_SHA256: ensemble.hash, MEMBERS: len(ensemble), TRAINING: training}
    ds.attrs |= cf.model_attrs(ensemble.description.symbol, ensemble.description.model_kind, more)
    return ds


def of_member(given: xr.Dataset | None, place: int, ensemble: Ensemble, what: str) -> xr.Dataset | None:
    """One member's part of a state, or of static parameters.

    Raises
    ------
    StateError
        If it has another number of members, or comes from another ensemble.
    """
    if given is None:
        return None
    if given.sizes.get("member") != len(ensemble):
        raise StateError(
            f"{what} has {given.sizes.get('member', 'no')} members, the ensemble {len(ensemble)}; expected "
            "what the same ensemble returned."
        )
    made_by = given.attrs.get(MODEL_SHA256)
    if made_by is not None and made_by != ensemble.hash:
        raise StateError(
            f"{what} comes from another ensemble and carries its parameters; start from a state of this one."
        )
    part = given.isel(member=place, drop=True)
    part.attrs = {key: value for key, value in given.attrs.items() if key != MODEL_SHA256}
    return part
