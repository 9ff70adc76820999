"""Simulate HBV with routing on arrays: checks, choice of backend, loop, unit hydrograph."""

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
from .arguments import (
    arrange_parameters,
    check_parameters,
    checked_forcing,
    checked_state,
    mean_of_components,
)
from .cpu import loop as loop_cpu
from .cuda import loop as loop_cuda
from .equations import CHANNEL, REPLACEABLE
from .parameters import ROUTING, WEIGHT
from .routing import in_transit, in_transit_of_components, route, route_components
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
        In mm/day, degC and mm/day. If any argument is a tensor, results are tensors, differentiable
        with respect to every argument; otherwise they are NumPy arrays. The computation is in float64
        if any argument is, otherwise in float32.
    parameters : mapping of array or Tensor
        Static parameters (space,) or (space, component); dynamic ones (time, space) or
        (time, space, component). See :data:`~hydroxr.physics.parameters.PARAMETERS`. Without
        ``BETAET``, evapotranspiration is linear in soil wetness. Without ``UH_SHAPE`` and
        ``UH_SCALE``, runoff is not routed; as (space,) they route the mean, as (space, component) each
        component. Without ``C`` no water rises from the lower zone. ``PCORR`` and ``ECORR``, (space,), are
        factors of precipitation and PET. ``WEIGHT``, (space, component), are the weights in all means;
        without it they are equal.
    initial_state : mapping, optional
        The state returned by an earlier run. Default: 0.001 mm in each store and an empty channel.
        Soil moisture is raised to at least 1e-5 mm, the floor of that store.
    outputs : sequence of str
        Any of :data:`hydroxr.conventions.variables.OUTPUTS`. Fluxes are in mm/day, states in mm at
        the end of the day.
    backend : {"auto", "cpu", "cuda", "torch"}
        Loop over the days: a compiled kernel on the CPU or the GPU, or the reference in torch. "auto"
        takes the kernel if there is one for the device and dtype.
    components : bool
        Return every component, (time, space, component), instead of the mean. ``streamflow`` and
        ``channel_storage`` have no components, because components are averaged before routing.
    processes : mapping of torch.nn.Module, optional
        Modules that replace equations, by the flux that they compute. Each is called once per day
        with tensors (space, component) and returns one such tensor:

        - ``effective_rainfall(inflow, soil_moisture, BETA, FC)``: share of the inflow that runs off,
          for example :class:`~hydroxr.physics.RunoffNetwork` (NN_r);
        - ``evapotranspiration(pet, soil_moisture, FC, LP, BETAET)``: mm/day;
        - ``percolation(upper_zone_storage, PERC)``: mm/day.

        Results are limited to the range from 0 to all available water. NN_r runs in the compiled
        kernels, other modules only in the reference loop.

    Returns
    -------
    outputs : dict
        Arrays (time, space): means over components unless ``components`` is true.
    state : dict
        The five stores (space, component) in mm, and ``channel_outflow`` (space, 14) if routed.

    Raises
    ------
    DimensionError
        If the forcing has other dimensions, or its three series differ in shape.
    ParameterError
        If a parameter is unknown, missing, of the wrong shape, not finite or out of range.
    StateError
        If the initial state is incomplete, of the wrong shape, negative or not finite.
    MissingVariableError
        If an output is not a variable of the model.
    DescriptionError
        If the backend or a replaced process is unknown, or the backend cannot run this simulation.

    Notes
    -----
    On each day and in each cell, precipitation (times ``PCORR``, if given) equals evapotranspiration plus
    streamflow plus the change of all storages. The equations are those of Feng et al. (2022,
    doi:10.1029/2022WR032404), Table 1.

    Examples
    --------
    >>> import numpy as np
    >>> from hydroxr.physics import PARAMETERS, simulate
    >>> parameters = {name: np.full(2, (row.lower + row.upper) / 2) for name, row in PARAMETERS.items()}
    >>> rain, temperature, pet = (np.full((365, 2), value) for value in (5.0, 10.0, 1.0))
    >>> outputs, state = simulate(rain, temperature, pet, parameters, outputs=["streamflow"])
    >>> outputs["streamflow"].shape
    (365, 2)
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
                f"{name!r} is not an output of the model; choose from {', '.join(OUTPUTS)}."
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
    """Simulate without checks, on complete tensors of one dtype; otherwise like :func:`simulate`.

    ``parameters`` are (space, component) or, if dynamic, (row, space, component); ``UH_SHAPE`` and
    ``UH_SCALE`` are (space,). ``rows``, (time,), is the row of the dynamic parameters that applies on each
    day; by default each day has its own row.
    """
    routed = [name for name in _ROUTED if name in outputs]
    needs_runoff = bool(routed) or "UH_SHAPE" in parameters
    wanted = [name for name in outputs if name not in _ROUTED]
    if needs_runoff and "runoff" not in wanted:
        wanted.append("runoff")
    whole = tuple(wanted) if components else ("runoff",) if _routes_components(parameters) else ()
    run = _loop(backend, forcing[0], processes)
    with torch.autocast(forcing[0].device.type, enabled=False):  # half precision has three digits
        forcing = _corrected(forcing, parameters)
        series, final = run(forcing, parameters, state, wanted, whole, processes, rows)
        series |= _routed(series, final, parameters, state, outputs, run is not loop_torch.run)
        if "runoff" in whole and not components:
            series["runoff"] = mean_of_components(series["runoff"], parameters.get(WEIGHT))
    return {name: series[name] for name in outputs}, final


def _routes_components(parameters: Mapping[str, Tensor]) -> bool:
    return ROUTING[0] in parameters and parameters[ROUTING[0]].ndim > 1


def _corrected(
    forcing: tuple[Tensor, Tensor, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The forcing with precipitation and PET times their factors; these are all that the model receives."""
    precipitation, temperature, pet = forcing
    if "PCORR" in parameters:
        precipitation = precipitation * parameters["PCORR"]
    if "ECORR" in parameters:
        pet = pet * parameters["ECORR"]
    return precipitation, temperature, pet


def _routed(
    series: Mapping[str, Tensor],
    final: dict[str, Tensor],
    parameters: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    outputs: Sequence[str],
    compiled: bool,
) -> dict[str, Tensor]:
    """Streamflow and, if wanted, channel storage; adds the water left in the channel to ``final``."""
    if "runoff" not in series:
        return {}
    runoff = series["runoff"]
    if _routes_components(parameters):
        given = (runoff, parameters, state[CHANNEL], compiled)
        streamflow, final[CHANNEL] = route_components(*given)
        still = {"channel_storage": in_transit_of_components(*given)} if "channel_storage" in outputs else {}
        return {"streamflow": streamflow, **still}
    runoff = mean_of_components(runoff, parameters.get(WEIGHT)) if runoff.ndim > 2 else runoff
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
    """The loop over days for tensors of the dtype and device of ``like``.

    Raises
    ------
    DescriptionError
        If the requested backend cannot run this simulation.
    """
    name = like.device.type if backend == "auto" else backend
    if name not in _KERNELS:
        return loop_torch.run
    kernel = _KERNELS[name]
    if not _is_compiled(processes):
        reason = "runs no module in place of an equation except NN_r"
    elif not kernel.accepts(like):
        reason = f"cannot run {like.dtype} on {like.device}".replace("torch.", "")
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
    """Whether the compiled kernels can run with these processes: none, or NN_r."""
    return not processes or (
        tuple(processes) == ("effective_rainfall",) and is_plain(processes["effective_rainfall"])
    )


def _check_processes(processes: Processes | None) -> None:
    for name, process in (processes or {}).items():
        if name not in REPLACEABLE:
            raise DescriptionError(
                f"processes has {name!r}, which cannot be replaced; expected one of {', '.join(REPLACEABLE)}."
            )
        if not callable(process):
            raise DescriptionError(
                f"processes[{name!r}] has type {type(process).__name__}; expected a torch.nn.Module."
            )


@cache
def _warn_of_slowness(kernel: str, obstacle: str) -> None:
    """Warn once per Python process."""
    package = {"cpu": "numba", "cuda": "numba-cuda"}[kernel]
    warn(
        f"the {kernel} kernel cannot be compiled here (is {package} installed?): {obstacle}; the "
        "reference in torch runs instead, with the same results, about 20 times slower"
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
    # torch rejects foreign byte order and negative strides, and warns about read-only memory.
    array = np.array(value, dtype="f8" if dtype == torch.float64 else "f4", order="C")
    return torch.from_numpy(array).to(device)


def _numpy(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
