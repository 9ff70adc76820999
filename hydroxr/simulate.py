"""From a labelled Dataset to a labelled result: the only place that calls ``apply_ufunc``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from . import blocks, cf, inputs
from .blocks import Job
from .description import LSTMStreamflow, Spec
from .ensemble import Ensemble
from .errors import (
    DescriptionError,
    MissingVariableError,
)
from .extrapolation import attribute_flag
from .ingredients import Ingredients
from .members import join_members, simulate_members
from .model import Model
from .physics.hbv import CHANNEL
from .physics.parameters import PARAMETERS
from .variables import AMOUNT, FORCING, OUTPUTS, VARIABLES


def simulate(
    ds: xr.Dataset,
    model_or_parameters: Model | Ensemble | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    return_state: bool = False,
    missing: str = "raise",
    dtype: str = "float32",
    device: str = "auto",
    backend: str = "auto",
    members: bool = False,
    static: xr.Dataset | None = None,
    flag_attributes: bool = True,
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    """Simulate every cell of ``ds``; see :meth:`hydroxr.accessor.HBVAccessor.simulate`.

    ``static`` has static parameters of a regional model that were read from a longer input. With
    ``flag_attributes`` cells unlike those of the training are marked and warned of.
    """
    spec = model_or_parameters.description if isinstance(model_or_parameters, Model | Ensemble) else None
    wanted = _checked_outputs(spec, variables, components, backend)
    _check_options(missing, dtype, backend)
    if isinstance(model_or_parameters, Ensemble):
        options = {"variables": wanted, "components": components, "missing": missing, "dtype": dtype}
        return simulate_members(
            ds,
            model_or_parameters,
            initial_state,
            members=members,
            return_state=return_state,
            static=static,
            device=device,
            backend=backend,
            flag_attributes=flag_attributes,
            **options,
        )
    if members:
        raise DescriptionError("members=True is for an ensemble; a single model has no members.")
    forcing = _forcing(ds, model_or_parameters)
    space = inputs.space_dims(ds)
    needed = Ingredients(ds, space, missing)
    window_note = needed.take(model_or_parameters, initial_state, static=static)
    # A run for its state alone is a warm-up.
    regional = needed.model if wanted and flag_attributes else None
    flag = None if regional is None else attribute_flag(needed.arrays["attributes"], regional)
    outputs = [*wanted] if isinstance(spec, LSTMStreamflow) else [*wanted, "initial_storage"]
    if missing == "fill":
        outputs.append("forcing_flag")
    if return_state:
        outputs += [f"state:{name}" for name in needed.state_names]
        outputs += [f"parameter:{name}" for name in needed.static_parameters]
    job = needed.job(
        outputs,
        components=components,
        missing=missing,
        dtype=dtype,
        device=torch_device(device),
        backend=backend,
        forcing=forcing,
    )
    results = _apply(forcing, needed.arrays, job) if outputs else {}
    attrs = needed.attrs | ({"hydroxr_parameter_window": window_note} if window_note else {})
    bare = xr.Dataset({name: results[name] for name in outputs if ":" not in name})
    if flag is not None:
        bare["attribute_flag"] = flag
    sim = cf.label(bare, ds, space, attrs)
    _describe(sim, ds, spec)
    if not return_state:
        return sim
    return sim, _state_dataset({name: results[name] for name in outputs if ":" in name}, ds, space, attrs)


def parameters(
    ds: xr.Dataset, model: Model | Ensemble, time: slice | None = None, *, static_only: bool = False
) -> xr.Dataset:
    """Parameters of ``model`` for the cells of ``ds``; see the accessor."""
    if isinstance(model, Ensemble):
        parts = [parameters(ds, member, time, static_only=static_only) for member in model.members]
        return join_members(parts, model)
    spec = model.description
    if isinstance(spec, LSTMStreamflow):
        raise DescriptionError(
            "an LSTM of streamflow has no parameters of HBV; expected a δ model: "
            "ds.hbv.fit(hx.DeltaHBV(...))."
        )
    forcing = inputs.forcing(ds)
    space = inputs.space_dims(ds)
    needed = Ingredients(ds, space)
    note = needed.take(model, None, window=time)
    if spec.network == "constant":
        return needed.constant.assign_attrs(needed.attrs)
    names = [name for name in spec.parameters if not (static_only and name in spec.dynamic)]
    outputs = [f"parameter:{name}" for name in names]
    job = needed.job(
        outputs,
        components=True,
        missing="raise",
        dtype="float32",
        device=torch_device("auto"),
        backend="auto",
        forcing=forcing,
    )
    results = _apply(forcing, needed.arrays, job)
    out = xr.Dataset({name.removeprefix("parameter:"): array for name, array in results.items()})
    out = out.assign_coords(
        {name: array.variable for name, array in ds.coords.items() if set(array.dims) <= {*space, "time"}}
    )
    for name, array in out.data_vars.items():
        array.attrs = PARAMETERS[str(name)].attrs()
    if not any("time" in array.dims for array in out.data_vars.values()):
        out = out.drop_vars("time", errors="ignore")
    out.attrs = {**needed.attrs, "hydroxr_parameter_window": note}
    return out.transpose(*cf.dimension_order(space), "component", missing_dims="ignore")


def _describe(sim: xr.Dataset, ds: xr.Dataset, spec: Spec | None) -> None:
    """What is to be said of a simulation beyond the table of variables."""
    if not isinstance(spec, LSTMStreamflow):
        sim["initial_storage"].attrs["hydroxr_first_day"] = str(ds.indexes["time"][0])[:10]
        return
    sim.attrs["title"] = f"Streamflow simulated with {spec.called}"
    if "streamflow" in sim:  # the table's words are of the unit hydrograph
        sim["streamflow"].attrs["long_name"] = "streamflow per unit area"


def _forcing(ds: xr.Dataset, given: Model | xr.Dataset) -> dict[str, xr.DataArray]:
    """The daily inputs that the model has, or HBV's."""
    if isinstance(given, Model):
        return inputs.forcing(ds, given.description.forcing, given.forcing_units)
    return inputs.forcing(ds, FORCING)


def _apply(
    forcing: Mapping[str, xr.DataArray], extra: Mapping[str, xr.DataArray], job: Job
) -> dict[str, xr.DataArray]:
    """Run the blocks: the one call of ``apply_ufunc``."""
    arrays = [_one_chunk(array, ("time",)) for array in forcing.values()]
    arrays += [_one_chunk(array, job.input_dims[name]) for name, array in extra.items()]
    results = xr.apply_ufunc(
        blocks.run_block,
        *arrays,
        kwargs={"job": job},
        input_core_dims=[["time"]] * len(forcing) + [list(job.input_dims[name]) for name in extra],
        output_core_dims=[list(job.output_dims[name]) for name in job.outputs],
        join="exact",
        dask="parallelized",
        output_dtypes=[np.dtype("int8" if name == "forcing_flag" else job.dtype) for name in job.outputs],
        dask_gufunc_kwargs={
            "output_sizes": {dim: job.sizes[dim] for name in job.outputs for dim in job.output_dims[name]}
        },
        keep_attrs=False,
    )
    results = results if isinstance(results, tuple) else (results,)
    return dict(zip(job.outputs, results, strict=True))


def _one_chunk(array: xr.DataArray, dims: Sequence[str]) -> xr.DataArray:
    """Physics walks through time: a block needs all of it, and all of the other core dimensions."""
    array = array.drop_vars([name for name in array.coords if name not in array.indexes])
    return array if array.chunks is None else array.chunk(dict.fromkeys(dims, -1))


def _state_dataset(
    results: Mapping[str, xr.DataArray], ds: xr.Dataset, space: tuple[Hashable, ...], attrs: Mapping[str, Any]
) -> xr.Dataset:
    state = xr.Dataset({name.partition(":")[2]: array for name, array in results.items()})
    coords = {
        name: array.variable
        for name, array in ds.coords.items()
        if set(array.dims) <= set(space) and name != "time"
    }
    state = state.assign_coords({**coords, "time": ds["time"].isel(time=-1).variable})
    for name, array in state.data_vars.items():
        if name in PARAMETERS:
            array.attrs = PARAMETERS[str(name)].attrs()
        elif name in VARIABLES:
            row = VARIABLES[str(name)]
            array.attrs = {"long_name": f"{row.long_name}, of each component", "units": AMOUNT}
        elif name == CHANNEL:
            array.attrs = {
                "long_name": "runoff in the unit hydrograph, by days until it leaves",
                "units": AMOUNT,
            }
        else:
            array.attrs = {
                "long_name": f"{str(name).removeprefix('network_')} state of the LSTM",
                "units": "1",
            }
    state.attrs = {
        "title": "State of hydroxr at the end of the day 'time'",
        "source": f"hydroxr {cf.__version__}",
        **attrs,
    }
    return state


def output_names(spec: Spec | None, variables: Sequence[str] | None) -> list[str]:
    """The variables to simulate with a model of that description, or with given parameters (None).

    Raises
    ------
    MissingVariableError
        Where there is no such output.
    """
    known = OUTPUTS if spec is None else spec.outputs
    wanted = [variables] if isinstance(variables, str) else known if variables is None else variables
    unknown = [name for name in wanted if name not in known]
    if not unknown:
        return list(dict.fromkeys(wanted))
    if spec is not None and unknown[0] in OUTPUTS:
        raise MissingVariableError(
            f"{unknown[0]!r} is an output of HBV, and this model is {spec.called}, which has none but "
            f"{', '.join(known)}; ask for that, or use a δ model: hx.DeltaHBV(...)."
        )
    raise MissingVariableError(
        f"{unknown[0]!r} is not an output of the model; expected some of {', '.join(known)}."
    )


def _checked_outputs(
    spec: Spec | None, variables: Sequence[str] | None, components: bool, backend: str
) -> list[str]:
    """The variables to simulate, where the model has them and what else is asked for."""
    wanted = output_names(spec, variables)
    if not isinstance(spec, LSTMStreamflow):
        return wanted
    if components:
        raise DescriptionError("an LSTM of streamflow has no components of HBV; expected components=False.")
    if backend not in ("auto", "torch"):
        raise DescriptionError(
            f"backend={backend!r} walks HBV through time, and an LSTM of streamflow has no HBV; expected "
            "'auto'. device says where it runs."
        )
    return wanted


def _check_options(missing: str, dtype: str, backend: str) -> None:
    for option, value, allowed in (
        ("missing", missing, ("raise", "fill")),
        ("dtype", dtype, ("float32", "float64")),
        ("backend", backend, ("auto", "cpu", "cuda", "torch")),
    ):
        if value not in allowed:
            raise DescriptionError(
                f"{option}={value!r} is not known; expected {' or '.join(map(repr, allowed))}."
            )


def torch_device(name: str) -> str:
    """The device to compute on.

    Raises
    ------
    DescriptionError
        Where there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise DescriptionError(f"device {name!r} is not there; expected 'auto', 'cpu', or 'cuda' with a GPU.")
    return name
