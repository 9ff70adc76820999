"""Route a run through a network: check and prepare, compute in parts, label."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from ..conventions import cf
from ..conventions.attributes import (
    FIRST_DAY,
    NETWORK,
    PREFIX,
    ROUTING,
    START,
    TOKEN,
    has_water_balance,
    start_of,
)
from ..conventions.dimensions import component_mean
from ..conventions.stamps import days
from ..conventions.units import convert, factor_offset
from ..conventions.variables import STATES, VARIABLES
from ..errors import DescriptionError, MissingVariableError, StateError
from ..inputs.time_axis import check_time
from ..physics.rivers.scheme import METHODS, Scheme, make_scheme
from .catchments import Catchments, assign
from .checks import REACH
from .compute import Series, run
from .network import RiverNetwork
from .parts import TO_DISCHARGE, Part

SECTION, STATE = "section", "section_storage"
_INFLOWS = ("streamflow", "runoff")
_NEEDED = {
    "linear": ("travel_time",),
    "muskingum": ("travel_time", "x"),
    "muskingum-cunge": ("length", "slope", "width", "manning", "reference_discharge"),
}
_SUMMARY = (
    "Discharge and water of each reach of a river network, routed from a simulation of its catchments. Each "
    "value belongs to its time bounds, as cell_methods say."
)
Gauges = Iterable[Hashable] | Mapping[Hashable, Hashable]


def route(
    sim: xr.Dataset,
    network: RiverNetwork,
    method: str = "muskingum",
    weights: xr.Dataset | xr.DataArray | None = None,
    gauges: Gauges | None = None,
    initial_state: xr.Dataset | None = None,
    return_state: bool = False,
    unassigned: str = "raise",
    inflow: str = "streamflow",
    balance: bool | None = None,
) -> Any:
    """Route ``sim`` through ``network``; see :meth:`hydroxr.accessor.HBVAccessor.route`."""
    if not isinstance(network, RiverNetwork):
        raise DescriptionError(
            f"network is {type(network).__name__}; expected a hx.RiverNetwork: hx.RiverNetwork(table)."
        )
    travel_time, x = channel_of(network, method)
    chosen = _gauges(network, gauges)
    series = _series(sim, inflow, balance)
    catchments = assign(series.flow, sim, network, weights, unassigned)
    scheme = make_scheme(method, travel_time, x, network.below, network.order)
    width = int(scheme.sections.max())
    state = _initial(initial_state, network, scheme, sim, method, width)
    none = np.zeros(0, dtype=int)
    dtype = str(series.flow.dtype)
    whole = Part(0, 0, none, none, none, scheme, none, none, none, none, (), width, dtype, series.balance)
    channel = (travel_time, x, scheme)
    variables, final = run(series, catchments, network.below, channel, state, whole)
    attrs = _attributes(sim, network, method, inflow, catchments, channel)
    attrs |= {START: start_of(days(sim["time"])[0], empty=initial_state is None)}
    routed = xr.Dataset(variables)
    routed["initial_river_storage"] = (REACH, state.sum(1).astype(dtype))
    if unassigned == "drop":
        routed["unassigned_inflow"] = _dropped(series.flow, catchments)
    source = _coordinates(network, travel_time).assign_coords(time=sim["time"])
    routed = cf.label(routed, source, (REACH,), attrs)
    _describe(routed, sim, inflow)
    routed = routed if chosen is None else _at_gauges(routed, chosen, gauges)
    lazy = [array.data.name for array in routed.data_vars.values() if array.chunks is not None]
    if lazy:
        routed.encoding[TOKEN] = tokenize(lazy)
    if not return_state:
        return routed
    return routed, _state(final, network, sim, attrs)


def _coordinates(network: RiverNetwork, travel_time: np.ndarray) -> xr.Dataset:
    """Coordinates of the table, and what tells how reaches are connected."""
    table = network.table
    out = table.drop_vars(list(table.data_vars))
    below = table["downstream"].values
    if below.dtype.kind in "OUT":
        below = np.array([text if isinstance(text, str) else "" for text in below], dtype=object)
    days = {"long_name": "mean travel time of water through the reach", "units": "day"}
    return out.assign_coords(
        downstream=(REACH, below, {"long_name": "label of the reach below, empty or -1 at an outlet"}),
        travel_time=(REACH, travel_time, days),
    )


def channel_of(network: RiverNetwork, method: str) -> tuple[np.ndarray, np.ndarray]:
    """K (days) and X of each reach."""
    if method not in METHODS:
        raise DescriptionError(f"method={method!r} is not known; expected {', '.join(METHODS)}.")
    absent = [name for name in _NEEDED[method] if name not in network]
    if absent:
        raise MissingVariableError(
            f"method={method!r} needs {', '.join(absent)} of each reach, which the network lacks; add it to "
            "the table. A travel time is the length over the celerity, about 1 m s-1; a reference discharge "
            "is, for example, the mean of a linear run."
        )
    values = {name: network.values(name) for name in _NEEDED[method]}
    if method != "muskingum-cunge":
        k = values["travel_time"]
        return k, values.get("x", np.zeros(len(k)))
    import torch

    from ..physics.rivers.coefficients import channel

    tensors = (torch.from_numpy(values[name]) for name in _NEEDED[method])
    k, found = (each.numpy() for each in channel(*tensors))
    return k, found


def _gauges(network: RiverNetwork, gauges: Gauges | None) -> np.ndarray | None:
    if gauges is None:
        return None
    if isinstance(gauges, str):
        raise DescriptionError(f"gauges is {gauges!r}; expected a list of reaches, or a mapping to reaches.")
    return network.positions(gauges.values() if isinstance(gauges, Mapping) else gauges)


def _at_gauges(routed: xr.Dataset, places: np.ndarray, gauges: Gauges | None) -> xr.Dataset:
    routed = routed.isel({REACH: places})
    if isinstance(gauges, Mapping):
        names = np.array([str(name) for name in gauges])
        routed = routed.assign_coords(gauge=(REACH, names, {"long_name": "name of the gauge"}))
    return routed


def _series(sim: xr.Dataset, inflow: str, balance: bool | None) -> Series:
    """What is routed, and what the balance needs; lazy where the simulation is."""
    if inflow not in _INFLOWS:
        raise DescriptionError(f"inflow={inflow!r} is not known; expected 'streamflow' or 'runoff'.")
    if inflow not in sim:
        raise MissingVariableError(
            f"the simulation lacks {inflow!r}, the inflow of the reaches; it has "
            f"{', '.join(map(repr, sim.data_vars))}. Simulate it, or choose inflow='streamflow' or 'runoff'."
        )
    check_time(sim)
    flow = _of_cell(convert(sim[inflow], VARIABLES["streamflow"]))
    stores = [name for name in STATES if name != "channel_storage" or inflow == "streamflow"]
    fluxes = ("rainfall", "snowfall", "evapotranspiration")
    needed = (*fluxes, *stores, "initial_storage")
    absent = [name for name in needed if name not in sim]
    whole = not absent and has_water_balance(sim.attrs) and "reach" not in sim.dims
    if balance and not whole:
        raise MissingVariableError(
            f"the water balance needs {', '.join(absent) or 'a δ model'}, which the simulation lacks; "
            "simulate with variables=None, or route with balance=False."
        )
    if not whole or balance is False:
        return Series(flow, None, None, None, None)
    for name in fluxes:
        factor_offset(sim[name].attrs.get("units"), "water flux", name=name)
    parts = {name: _of_cell(sim[name].astype(float)) for name in needed}
    stored: Any = sum(parts[name] for name in stores)
    return Series(
        flow,
        parts["rainfall"] + parts["snowfall"],
        parts["evapotranspiration"],
        stored,
        _initial_water(sim, parts["initial_storage"], inflow),
    )


def _initial_water(sim: xr.Dataset, initial: xr.DataArray, inflow: str) -> xr.DataArray:
    """Water before the first day; for unrouted runoff without that in the unit hydrograph.

    That of the unit hydrograph is not stored: what it held is what has left it and what it holds, less
    what has entered it on the first day.
    """
    if inflow == "streamflow":
        return initial
    if not {"streamflow", "channel_storage", "runoff"} <= set(sim.data_vars):
        return initial
    first = sim[["streamflow", "channel_storage", "runoff"]].isel(time=0, drop=True).astype(float)
    held = first["channel_storage"] + first["streamflow"] - _of_cell(first["runoff"])
    return initial - held


def _of_cell(array: xr.DataArray) -> xr.DataArray:
    """The mean over components, where there are some."""
    mean: xr.DataArray = component_mean(array) if "component" in array.dims else array
    return mean


def _initial(
    state: xr.Dataset | None,
    network: RiverNetwork,
    scheme: Scheme,
    sim: xr.Dataset,
    method: str,
    width: int,
) -> np.ndarray:
    """Water in the sections before the first day, (reach, section), m3."""
    if state is None:
        return np.zeros((len(network), width))
    if STATE not in state or state.attrs.get(NETWORK) != network.digest:
        raise StateError(
            "the initial state is not one of this river network; expected the state that "
            "ds.hbv.route(network, ..., return_state=True) gave for the days before."
        )
    if json.loads(str(state.attrs.get(ROUTING, "{}"))).get("method") != method:
        raise StateError(f"the initial state is of another method; expected one of method={method!r}.")
    last, first = days(state["time"])[0], days(sim["time"])[0]
    if first - timedelta(days=1) != last:
        raise StateError(
            f"the initial state is of the end of {str(last)[:10]}, and the run begins on {str(first)[:10]}; "
            "expected the day before."
        )
    values = state[STATE].sel({REACH: network.reaches}).transpose(REACH, SECTION).values.astype(float)
    if values.shape[1] != width or not np.isfinite(values).all() or (values < 0).any():
        raise StateError(
            f"{STATE!r} of the initial state has {values.shape[1]} sections per reach, or values that are "
            f"missing or negative; expected {width} sections with water in m3."
        )
    return values


def _state(
    final: xr.DataArray, network: RiverNetwork, sim: xr.Dataset, attrs: Mapping[str, Any]
) -> xr.Dataset:
    state = xr.Dataset({STATE: final}).assign_coords(
        {REACH: network.table[REACH].variable, "time": sim["time"].isel(time=-1).variable}
    )
    state[STATE].attrs = {"long_name": "water in each section of the reach", "units": "m3"}
    title = {"title": "State of a river network at the end of the day 'time'"}
    state.attrs = title | {key: value for key, value in attrs.items() if str(key).startswith(PREFIX)}
    return state


def _dropped(flow: xr.DataArray, catchments: Catchments) -> xr.DataArray:
    """Inflow that reaches no river, (time), m3 s-1."""
    area = np.zeros([flow.sizes[dim] for dim in catchments.space])
    area.ravel()[catchments.dropped] = catchments.dropped_area
    weights = xr.DataArray(area * TO_DISCHARGE, dims=catchments.space)
    bare = flow.reset_coords(drop=True).drop_vars([*flow.indexes])
    return (bare.where(weights > 0) * weights).sum(catchments.space).astype(flow.dtype)


def _attributes(
    sim: xr.Dataset,
    network: RiverNetwork,
    method: str,
    inflow: str,
    catchments: Catchments,
    channel: tuple[np.ndarray, np.ndarray, Scheme],
) -> dict[str, Any]:
    """Global attributes: those of the model, and how the run was routed."""
    kept = {key: value for key, value in sim.attrs.items() if str(key).startswith(PREFIX)}
    travel_time, x, scheme = channel
    lowered = int((x > scheme.most_x).sum()) if not scheme.linear else 0
    how = {
        "method": method,
        "inflow": inflow,
        "reaches": len(network),
        "reaches_without_cells": len(network) - len(np.unique(catchments.reach)),
        "cells_dropped": len(catchments.dropped),
        "reaches_with_sub_steps": int((scheme.steps * scheme.within > 1).sum()),
        "reaches_in_sections": int((scheme.sections > 1).sum()),
        "reaches_without_travel_time": int((travel_time == 0).sum()),
        "reaches_with_lowered_x": lowered,
    }
    return kept | {
        "title": "Discharge of rivers, routed from a differentiable HBV model",
        "summary": _SUMMARY,
        NETWORK: network.digest,
        ROUTING: json.dumps(how),
    }


def _describe(routed: xr.Dataset, sim: xr.Dataset, inflow: str) -> None:
    """Attributes that depend on the run."""
    routed["discharge"].attrs["long_name"] = "discharge at the lower end of the reach"
    routed["lateral_inflow"].attrs["comment"] = f"Area times {inflow}; it enters at the upper end."
    if "initial_upstream_storage" in routed:
        first = sim["initial_storage"].attrs.get(FIRST_DAY)
        routed["initial_upstream_storage"].attrs[FIRST_DAY] = str(first)
