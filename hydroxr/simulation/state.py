"""The labelled state at the end of a run, from which a later run continues."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import xarray as xr

from ..conventions import cf
from ..conventions.variables import AMOUNT, VARIABLES
from ..physics.equations import CHANNEL
from ..physics.parameters import ALL_PARAMETERS
from .engine.job import CARRY, Layout, core_dims, places


def state_dataset(
    carry: xr.DataArray,
    carried: Layout,
    ds: xr.Dataset,
    space: tuple[Hashable, ...],
    attrs: Mapping[str, Any],
    per_cell: tuple[str, ...],
) -> xr.Dataset:
    """Split the carry of the last day into labelled variables.

    Parameters
    ----------
    carry : DataArray, (space..., carry)
    carried : layout
        Layout of the carry.
    ds : Dataset
        Input of the run; gives the coordinates.
    space : tuple
        The dimensions of space.
    attrs : mapping
        Further global attributes.
    per_cell : tuple of str
        Parameters with one value per cell.

    Returns
    -------
    Dataset
        Storages (space, component), ``channel_outflow`` (space, lead), the state of the network (space,
        hidden_unit), and static parameters. The coordinate ``time`` is the last day of the run.
    """
    state = xr.Dataset()
    for key, place in places(carried).items():
        name = key.partition(":")[2]
        dims = core_dims(key, (), False, per_cell)
        part = carry.isel({CARRY: place})
        part = part.rename({CARRY: dims[0]}) if dims else part.isel({CARRY: 0})
        state[name] = part.drop_vars(list(part.coords))
        state[name].attrs = _attrs(name)
    coords = cf.coordinates(ds, space)
    state = state.assign_coords({**coords, "time": ds["time"].isel(time=-1).variable.copy()})
    state.attrs = {
        "title": "State of hydroxr at the end of the day 'time'",
        "source": f"hydroxr {cf.__version__}",
        **attrs,
    }
    return state


def _attrs(name: str) -> dict[str, Any]:
    if name in ALL_PARAMETERS:
        return ALL_PARAMETERS[name].attrs()
    if name in VARIABLES:
        return {"long_name": f"{VARIABLES[name].long_name}, of each component", "units": AMOUNT}
    if name == CHANNEL:
        return {"long_name": "runoff in the unit hydrograph, by days until it leaves", "units": AMOUNT}
    return {"long_name": f"{name.removeprefix('network_')} state of the LSTM", "units": "1"}
