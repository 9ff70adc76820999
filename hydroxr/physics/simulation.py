"""Run HBV with its routing on arrays: checks, backend, loop, unit hydrograph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..conventions.variables import OUTPUTS
from ..errors import DescriptionError, MissingVariableError, warn
from . import loop_torch
from .arguments import arrange_parameters, check_parameters, checked_forcing, checked_state
from .cpu import loop as loop_cpu
from .cuda import loop as loop_cuda
from .equations import CHANNEL, REPLACEABLE
from .routing import in_transit, route
from .runoff_network import is_plain

_ROUTED = ("streamflow", "channel_storage")

_KERNELS: dict[str, Any] = {"cpu": loop_cpu, "cuda": loop_cuda}  # by the type of device
BACKENDS = ("auto", *_KERNELS, "torch")

State = dict[str, Any]
Processes = Mapping[str, Callable[..., Tensor]]


def simulate(
    precipitation: Any,
    temperature: Any,
    pet: Any,
    parameters: Mapping[str, Any],
    initial_state: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = ("runoff",),
    backend: str = "auto",
    components: bool = False,
    processes: Processes | None = None,
) -> tuple[dict[str, Any], State]:
    """Simulate HBV cells through time.

    Parameters
    ----------
    precipitation, temperature, pet : array or Tensor, (time, space)
        mm/day, degC, mm/day. Tensors give tensors, differentiable in every argument; anything
        else gives NumPy arrays. float64 wherever an argument has it, else float32.
    parameters : mapping of array or Tensor
        Each (space,), (space, component) or, where it varies in time, (time, space) or
        (time, space, component); see :data:`~hydroxr.physics.parameters.PARAMETERS`. Without
        ``BETAET`` evapotranspiration is linear in soil wetness, without ``UH_SHAPE`` and
        ``UH_SCALE``, both (space,), nothing is routed.
    initial_state : mapping, optional
        As returned; default is 0.001 mm in each store and an empty channel. Soil moisture counts
        as at least 1e-5 mm, the floor of that store.
    outputs : sequence of str
        Any of :data:`hydroxr.conventions.variables.OUTPUTS`; fluxes in mm/day, states in mm at day's end.
    backend : {"auto", "cpu", "cuda", "torch"}
        What runs the loop through time: a compiled kernel on the CPU or the GPU, or the reference
        in torch. "auto" is the kernel where there is one for the device and type.
    components : bool
        Return each component, (time, space, component), of what has components. ``streamflow``
        and ``channel_storage`` have none: components are averaged before routing.
    processes : mapping of torch.nn.Module, optional
        Modules in the place of equations, by the flux that they decide. They are called once a
        day with tensors (space, component) and return one:

        - ``effective_rainfall``: (inflow, soil_moisture, BETA, FC) to the share of the inflow
          that runs off, such as :class:`~hydroxr.physics.RunoffNetwork` (NN_r);
        - ``evapotranspiration``: (pet, soil_moisture, FC, LP, BETAET) to mm/day;
        - ``percolation``: (upper_zone_storage, PERC) to mm/day.

        What they return is held to 0 and to all the water there is. NN_r runs in the compiled
        kernels, any other module in the reference only.

    Returns
    -------
    outputs : dict
        Arrays (time, space), means over the components.
    state : dict
        The five stores (space, component), and ``channel_outflow`` (space, 14) where routed.

    Raises
    ------
    DimensionError, ParameterError, StateError, MissingVariableError, DescriptionError
        Where an argument does not fit; nothing has been computed then.

    Notes
    -----
    Precipitation = evapotranspiration + streamflow + change of all storages, each day, each cell.
    """
    if backend not in BACKENDS:
        raise DescriptionError(
            f"backend {backend!r} is not known; expected {', '.join(map(repr, BACKENDS))}."
        )
    _check_processes(processes)
    outputs = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    for name in outputs:
        if name not in OUTPUTS:
            raise MissingVariableError(
                f"{name!r} is not an output of the model; expected some of {', '.join(OUTPUTS)}."
            )
    given = [precipitation, temperature, pet, *parameters.values(), *(initial_state or {}).values()]
    as_tensors = any(isinstance(value, Tensor) for value in given)
    dtype = _common_dtype(given)
    device = next((value.device for value in given if isinstance(value, Tensor)), torch.device("cpu"))

    def tensor(value: Any) -> Tensor:
        return _tensor(value, dtype, device)

    forcing = checked_forcing(tensor(precipitation), tensor(temperature), tensor(pet))
    arranged = arrange_parameters(
        {name: tensor(value) for name, value in parameters.items()}, forcing[0].shape
    )
    check_parameters(arranged)
    n_components = arranged["BETA"].shape[-1]
    start = None if initial_state is None else {name: tensor(value) for name, value in initial_state.items()}
    state = checked_state(start, forcing[0], n_components, routed="UH_SHAPE" in arranged)
    with torch.set_grad_enabled(as_tensors and torch.is_grad_enabled()):
        series, final = simulate_tensors(forcing, arranged, state, outputs, components, backend, processes)
    if as_tensors:
        return series, final
    return _numpy(series), _numpy(final)


def simulate_tensors(
    forcing: tuple[Tensor, Tensor, Tensor],
    parameters: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    outputs: Sequence[str],
    components: bool = False,
    backend: str = "auto",
    processes: Processes | None = None,
    rows: Tensor | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The part of :func:`simulate` after the checks: complete tensors of one dtype in and out.

    Parameters are those of the day, (space, component) or (row, space, component), with ``UH_SHAPE`` and
    ``UH_SCALE`` (space,) where routed; ``state`` is complete. ``rows``, (time,), says which row of the
    dynamic parameters holds on each day; without it there is one for each day.
    """
    routed = [name for name in _ROUTED if name in outputs]
    needs_runoff = bool(routed) or "UH_SHAPE" in parameters
    wanted = [name for name in outputs if name not in _ROUTED]
    if needs_runoff and "runoff" not in wanted:
        wanted.append("runoff")
    run = _loop(backend, forcing[0], processes)
    with torch.autocast(forcing[0].device.type, enabled=False):  # which would round water to three digits
        series, final = run(forcing, parameters, state, wanted, components, processes, rows)
        series |= _routed(series, final, parameters, state, outputs, components, run is not loop_torch.run)
    return {name: series[name] for name in outputs}, final


def _routed(
    series: Mapping[str, Tensor],
    final: dict[str, Tensor],
    parameters: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    outputs: Sequence[str],
    components: bool,
    compiled: bool,
) -> dict[str, Tensor]:
    """Streamflow and, where wanted, the channel's storage; what stays in the channel goes into ``final``."""
    if "runoff" not in series:
        return {}
    runoff = series["runoff"].mean(-1) if components else series["runoff"]
    if "UH_SHAPE" not in parameters:
        return {"streamflow": runoff.clone(), "channel_storage": torch.zeros_like(runoff)}
    hydrograph = (parameters["UH_SHAPE"], parameters["UH_SCALE"], state[CHANNEL], compiled)
    streamflow, final[CHANNEL] = route(runoff, *hydrograph)
    if "channel_storage" not in outputs:
        return {"streamflow": streamflow}
    return {"streamflow": streamflow, "channel_storage": in_transit(runoff, *hydrograph)}


def _loop(
    backend: str, like: Tensor, processes: Processes | None
) -> Callable[..., tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """What runs through time on tensors such as ``like``.

    Raises
    ------
    DescriptionError
        Where the backend that was asked for cannot.
    """
    name = like.device.type if backend == "auto" else backend
    if name not in _KERNELS:
        return loop_torch.run
    kernel = _KERNELS[name]
    if not _is_compiled(processes):
        reason = "runs no module in the place of an equation but NN_r"
    elif not kernel.accepts(like):
        reason = f"runs no {like.dtype} on {like.device}".replace("torch.", "")
    elif obstacle := kernel.obstacle(like.dtype):
        reason = f"cannot be compiled here ({obstacle})"
        if backend == "auto":
            _warn_of_slowness(name, obstacle)
    else:
        return kernel.run
    if backend != "auto":
        raise DescriptionError(f"backend {backend!r} {reason}; use 'auto' or 'torch'.")
    return loop_torch.run


def _is_compiled(processes: Processes | None) -> bool:
    """Whether the kernels have all ``processes``: none, or NN_r."""
    return not processes or (
        tuple(processes) == ("effective_rainfall",) and is_plain(processes["effective_rainfall"])
    )


def _check_processes(processes: Processes | None) -> None:
    for name, process in (processes or {}).items():
        if name not in REPLACEABLE:
            raise DescriptionError(
                f"nothing can take the place of {name!r}; expected some of {', '.join(REPLACEABLE)}."
            )
        if not callable(process):
            raise DescriptionError(
                f"what takes the place of {name} is of type {type(process).__name__}; expected a "
                "torch.nn.Module."
            )


@cache
def _warn_of_slowness(kernel: str, obstacle: str) -> None:
    """Once a process."""
    package = {"cpu": "numba", "cuda": "numba-cuda"}[kernel]
    warn(
        f"the {kernel} kernel cannot be compiled here (is {package} installed?): {obstacle}; "
        "the reference in torch runs instead, with the same results, some 20 times slower"
    )


def _common_dtype(values: Sequence[Any]) -> torch.dtype:
    doubles = [
        value.dtype == torch.float64 if isinstance(value, Tensor) else _is_double(np.asarray(value).dtype)
        for value in values
    ]
    return torch.float64 if any(doubles) else torch.float32


def _is_double(dtype: np.dtype) -> bool:
    return dtype.kind == "f" and dtype.itemsize >= 8  # in any byte order


def _tensor(value: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(device=device, dtype=dtype)
    # torch takes neither foreign byte order nor negative strides, and warns of read-only memory.
    array = np.array(value, dtype="f8" if dtype == torch.float64 else "f4", order="C")
    return torch.from_numpy(array).to(device)


def _numpy(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
