"""From a labelled Dataset to a labelled result: the only place that calls ``apply_ufunc``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from . import blocks, cf, inputs
from .blocks import CHANNEL, NETWORK_STATE, Job, core_dims
from .cells import attribute_array, check_same_cells, select_cells, space_names
from .errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    MissingVariableError,
    ParameterError,
    StateError,
)
from .model import Model
from .physics.hbv import STORES
from .physics.parameters import PARAMETERS, REQUIRED, ROUTING
from .variables import AMOUNT, OUTPUTS, VARIABLES

LEADS = 14


def simulate(
    ds: xr.Dataset,
    model_or_parameters: Model | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    return_state: bool = False,
    missing: str = "raise",
    dtype: str = "float32",
    device: str = "auto",
    backend: str = "auto",
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    """Simulate every cell of ``ds``; see :meth:`hydroxr.accessor.HBVAccessor.simulate`."""
    wanted = _checked_options(variables, missing, dtype, backend)
    forcing = inputs.forcing(ds)
    space = inputs.space_dims(ds)
    extra = _Extra(ds, space)
    window_note = extra.take(model_or_parameters, initial_state)
    state_names = [*STORES, *([CHANNEL] if extra.is_routed else []), *(NETWORK_STATE if extra.dynamic_network else ())]
    outputs = [*wanted, "initial_storage"]
    if missing == "fill":
        outputs.append("forcing_flag")
    if return_state:
        outputs += [f"state:{name}" for name in state_names]
        outputs += [f"parameter:{name}" for name in extra.static_parameters]
    job = extra.job(outputs, components=components, missing=missing, dtype=dtype, device=_device(device), forcing=forcing)
    results = _apply(forcing, extra.arrays, job)
    attrs = extra.attrs | ({"hydroxr_parameter_window": window_note} if window_note else {})
    sim = cf.label(xr.Dataset({name: results[name] for name in outputs if ":" not in name}), ds, space, attrs)
    sim["initial_storage"].attrs["hydroxr_first_day"] = str(ds.indexes["time"][0])[:10]
    if not return_state:
        return sim
    return sim, _state_dataset({name: results[name] for name in outputs if ":" in name}, ds, space, attrs)


def parameters(ds: xr.Dataset, model: Model, time: slice | None = None) -> xr.Dataset:
    """Parameters of ``model`` for the cells of ``ds``; see the accessor."""
    forcing = inputs.forcing(ds)
    space = inputs.space_dims(ds)
    extra = _Extra(ds, space)
    note = extra.take(model, None, window=time)
    if model.description.network == "constant":
        return extra.constant.assign_attrs(extra.attrs)
    outputs = [f"parameter:{name}" for name in model.description.parameters]
    job = extra.job(outputs, components=True, missing="raise", dtype="float32", device=_device("auto"), forcing=forcing)
    results = _apply(forcing, extra.arrays, job)
    out = xr.Dataset({name.removeprefix("parameter:"): array for name, array in results.items()})
    out = out.assign_coords({name: array.variable for name, array in ds.coords.items() if set(array.dims) <= {*space, "time"}})
    for name, array in out.data_vars.items():
        array.attrs = PARAMETERS[str(name)].attrs()
    if not model.description.dynamic:
        out = out.drop_vars("time", errors="ignore")
    out.attrs = {**extra.attrs, "hydroxr_parameter_window": note}
    return out.transpose(*cf.dimension_order(space), "component", missing_dims="ignore")


class _Extra:
    """What a run needs beside the forcing: arrays for the blocks, and what to say of them."""

    def __init__(self, ds: xr.Dataset, space: tuple[Hashable, ...]) -> None:
        self.ds = ds
        self.space = space
        self.arrays: dict[str, xr.DataArray] = {}
        self.attrs: dict[str, Any] = {}
        self.model: Model | None = None
        self.constant = xr.Dataset()
        self.window = (0, 0)
        self.dynamic: tuple[str, ...] = ()

    def take(self, given: Model | xr.Dataset, state: xr.Dataset | None, window: slice | None = None) -> str:
        """Take a model or parameters, and a state; what to note about the parameter window."""
        note = ""
        if isinstance(given, Model):
            self.attrs = cf.model_attrs(
                given.description.symbol, description=given.description.to_dict(), model_sha256=given.hash, training=given.training
            )
        if isinstance(given, Model) and given.description.network == "lstm":
            self.model = given
            self.dynamic = given.description.dynamic
            self.arrays["attributes"] = attribute_array(self.ds, self.space, given)
            known = [name for name in given.description.parameters if state is not None and name in state]
            for name in known:
                self._parameter(name, state[name])  # type: ignore[index]
            if len(known) < len(given.description.parameters) - len(self.dynamic):
                self.window, note = _window(self.ds, given, window)
        elif isinstance(given, Model):
            self.constant = select_cells(given.constant_parameters(), self.ds, self.space, "the model")
            self._parameters(self.constant)
        elif isinstance(given, xr.Dataset):
            self.attrs = cf.model_attrs("HBV with given parameters")
            self._parameters(given)
        else:
            raise DescriptionError(
                f"expected a model (of ds.hbv.fit or hx.load_model) or a Dataset of parameters, found {type(given).__name__}."
            )
        if state is not None:
            self._state(state)
        return note

    @property
    def is_routed(self) -> bool:
        return self.model is not None or f"parameter:{ROUTING[0]}" in self.arrays

    @property
    def dynamic_network(self) -> bool:
        return self.model is not None and bool(self.dynamic)

    @property
    def static_parameters(self) -> list[str]:
        if self.model is not None:
            return [name for name in self.model.description.parameters if name not in self.dynamic]
        return [name.removeprefix("parameter:") for name, array in self.arrays.items() if name.startswith("parameter:") and "time" not in array.dims]

    @property
    def n_components(self) -> int:
        if self.model is not None:
            return self.model.description.components
        return max((array.sizes.get("component", 1) for name, array in self.arrays.items() if name.startswith("parameter:")), default=1)

    def job(
        self, outputs: Sequence[str], *, components: bool, missing: str, dtype: str, device: str, forcing: Mapping[str, xr.DataArray]
    ) -> Job:
        """Everything that a block needs to know."""
        prcp = forcing["prcp"]
        sizes = {"time": prcp.sizes["time"], "component": self.n_components, "lead": LEADS}
        if self.model is not None:
            sizes |= {"attribute": len(self.model.attributes), "hidden_unit": self.model.description.hidden}
        dims = {name: core_dims(name, self.dynamic, components) for name in outputs}
        dims |= {name: tuple(str(dim) for dim in array.dims if dim not in self.space) for name, array in self.arrays.items()}
        lazy = any(array.chunks is not None for array in forcing.values())
        return Job(
            inputs=tuple(self.arrays),
            outputs=tuple(outputs),
            core_dims=dims,
            sizes=sizes,
            times=prcp["time"].values,
            model=self.model,
            window=self.window,
            components=components,
            missing=missing,
            dtype=dtype,
            device=device,
            cells=None if lazy else space_names(self.ds, self.space),
        )

    def _parameters(self, given: xr.Dataset) -> None:
        absent = [name for name in REQUIRED if name not in given]
        if absent:
            raise ParameterError(f"the parameters lack {', '.join(absent)}; every one of {', '.join(REQUIRED)} is needed.")
        unknown = [str(name) for name in given.data_vars if name not in PARAMETERS]
        if unknown:
            raise ParameterError(f"{unknown[0]!r} is not a parameter; expected {', '.join(PARAMETERS)}. Drop it: parameters.drop_vars(...).")
        given = select_cells(given, self.ds, self.space, "the parameters")
        for name, array in given.data_vars.items():
            self._parameter(str(name), array)

    def _parameter(self, name: str, array: xr.DataArray) -> None:
        allowed = {*self.space, *(() if name in ROUTING else ("component", "time"))}
        strange = [str(dim) for dim in array.dims if dim not in allowed]
        if strange:
            raise DimensionError(f"parameter {name} has dimension {strange[0]!r}; expected some of {', '.join(sorted(map(str, allowed)))}.")
        if "time" in array.dims:
            if "time" not in array.indexes or not array.indexes["time"].equals(self.ds.indexes["time"]):
                raise CoordinateError(f"parameter {name} varies in time, but its days are not those of the forcing; select or reindex it.")
            self.dynamic = (*self.dynamic, name)
        order = [dim for dim in self.space if dim in array.dims] + [dim for dim in ("time", "component") if dim in array.dims]
        if name not in ROUTING and "component" not in array.dims:
            array = array.expand_dims("component", -1)
            order.append("component")
        self.arrays[f"parameter:{name}"] = array.transpose(*order)

    def _state(self, state: xr.Dataset) -> None:
        expected = [*STORES, *([CHANNEL] if self.is_routed else []), *(NETWORK_STATE if self.dynamic_network else ())]
        absent = [name for name in expected if name not in state]
        if absent:
            raise StateError(f"the initial state lacks {', '.join(absent)}; expected what simulate(..., return_state=True) returned for this model.")
        check_same_cells(state, self.ds, self.space, "the initial state")
        _check_continues(state, self.ds)
        for name in expected:
            last = "lead" if name == CHANNEL else "hidden_unit" if name in NETWORK_STATE else "component"
            if set(state[name].dims) != {*self.space, last}:
                raise StateError(f"state {name!r} has dimensions {state[name].dims}; expected {(*self.space, last)}.")
            if last == "component" and state.sizes[last] != self.n_components:
                raise StateError(f"state {name!r} has {state.sizes[last]} components, the model {self.n_components}.")
            self.arrays[f"state:{name}"] = state[name].transpose(*self.space, last)


def _check_continues(state: xr.Dataset, ds: xr.Dataset) -> None:
    """A state that knows its day must be that of the day before the run."""
    if "time" not in state.coords:
        return
    after = (state["time"].to_index() if state["time"].ndim else state["time"].expand_dims("time").to_index()).floor("D")[-1]
    first = ds.indexes["time"].floor("D")[0]
    if (first - after) / np.timedelta64(1, "D") != 1:
        raise StateError(
            f"the initial state is of the end of {str(after)[:10]}, but the run starts on {str(first)[:10]}; expected the day after. "
            "If that is meant (a spin-up, say), drop its date: state.drop_vars('time')."
        )


def _window(ds: xr.Dataset, model: Model, chosen: slice | None) -> tuple[tuple[int, int], str]:
    """Positions of the parameter window in the input, and what to note of it."""
    index = ds.indexes["time"]
    if chosen is not None:
        inside = index.slice_indexer(chosen.start, chosen.stop)
        if len(index[inside]) == 0:
            raise EmptySelectionError(f"the parameter window {chosen} holds no day of the input, {str(index[0])[:10]} to {str(index[-1])[:10]}.")
        return (inside.start, inside.stop), f"{str(index[inside][0])[:10]} to {str(index[inside][-1])[:10]} (chosen)"
    first, last = model.training["period"]
    days = int(model.training["days"])
    inside = index.slice_indexer(first, last)
    if len(index[inside]) == days:
        return (inside.start, inside.stop), f"{first} to {last} (the training period)"
    days = min(days, len(index))
    note = f"{str(index[0])[:10]} to {str(index[days - 1])[:10]} (first days of the input, which does not hold the training period {first} to {last})"
    return (0, days), note


def _apply(forcing: Mapping[str, xr.DataArray], extra: Mapping[str, xr.DataArray], job: Job) -> dict[str, xr.DataArray]:
    """Run the blocks: the one call of ``apply_ufunc``."""
    arrays = [_one_chunk(array, ("time",)) for array in forcing.values()]
    arrays += [_one_chunk(array, job.core_dims[name]) for name, array in extra.items()]
    results = xr.apply_ufunc(
        blocks.run_block,
        *arrays,
        kwargs={"job": job},
        input_core_dims=[["time"]] * len(forcing) + [list(job.core_dims[name]) for name in extra],
        output_core_dims=[list(job.core_dims[name]) for name in job.outputs],
        join="exact",
        dask="parallelized",
        output_dtypes=[np.dtype("int8" if name == "forcing_flag" else job.dtype) for name in job.outputs],
        dask_gufunc_kwargs={"output_sizes": {dim: job.sizes[dim] for name in job.outputs for dim in job.core_dims[name]}},
        keep_attrs=False,
    )
    results = results if isinstance(results, tuple) else (results,)
    return dict(zip(job.outputs, results, strict=True))


def _one_chunk(array: xr.DataArray, dims: Sequence[str]) -> xr.DataArray:
    """Physics walks through time: a block needs all of it, and all of the other core dimensions."""
    array = array.drop_vars([name for name in array.coords if name not in array.indexes])
    return array if array.chunks is None else array.chunk(dict.fromkeys(dims, -1))


def _state_dataset(results: Mapping[str, xr.DataArray], ds: xr.Dataset, space: tuple[Hashable, ...], attrs: Mapping[str, Any]) -> xr.Dataset:
    state = xr.Dataset({name.partition(":")[2]: array for name, array in results.items()})
    coords = {name: array.variable for name, array in ds.coords.items() if set(array.dims) <= set(space) and name != "time"}
    state = state.assign_coords({**coords, "time": ds["time"].isel(time=-1).variable})
    for name, array in state.data_vars.items():
        if name in PARAMETERS:
            array.attrs = PARAMETERS[str(name)].attrs()
        elif name in VARIABLES:
            row = VARIABLES[str(name)]
            array.attrs = {"long_name": f"{row.long_name}, of each component", "units": AMOUNT}
        elif name == CHANNEL:
            array.attrs = {"long_name": "runoff in the unit hydrograph, by days until it leaves", "units": AMOUNT}
        else:
            array.attrs = {"long_name": f"{str(name).replace('_', ' ')} state of the parameter network", "units": "1"}
    state.attrs = {"title": "State of hydroxr at the end of the day 'time'", "source": f"hydroxr {cf.__version__}", **attrs}
    return state


def _checked_options(variables: Sequence[str] | None, missing: str, dtype: str, backend: str) -> list[str]:
    if isinstance(variables, str):
        variables = [variables]
    wanted = list(OUTPUTS if variables is None else dict.fromkeys(variables))
    unknown = [name for name in wanted if name not in OUTPUTS]
    if unknown:
        raise MissingVariableError(f"{unknown[0]!r} is not an output of the model; expected some of {', '.join(OUTPUTS)}.")
    for option, value, allowed in (
        ("missing", missing, ("raise", "fill")),
        ("dtype", dtype, ("float32", "float64")),
        ("backend", backend, ("auto", "torch")),
    ):
        if value not in allowed:
            raise DescriptionError(f"{option}={value!r} is not known; expected {' or '.join(map(repr, allowed))}.")
    return wanted


def _device(name: str) -> str:
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
