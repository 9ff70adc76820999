"""What happens to one block of cells: checks, networks, physics. Arrays in, arrays out.

:func:`run_block` is what ``apply_ufunc`` calls, once for data in memory, once a block for lazy
data. It cuts its cells into pieces that fit a budget of memory, whichever way it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import check_forcing, fill_gaps
from .description import DeltaHBV
from .physics.hbv import CHANNEL, STORES
from .physics.parameters import PARAMETERS, ROUTING
from .variables import FORCING

if TYPE_CHECKING:
    import torch

    from .learning.network import ParameterNetwork
    from .learning.streamflow import StreamflowNetwork
    from .model import Model

    Network = ParameterNetwork | StreamflowNetwork

# Working memory of one piece; outputs and inputs of the block come on top. Larger pieces gain
# little speed: the cost of a torch operation is then in its numbers, no longer in its call.
BUDGET = 200e6  # bytes

NETWORK_STATE = ("network_hidden", "network_cell")


@dataclass(frozen=True)
class Job:
    """What to compute for every block; the same for all of them.

    Parameters
    ----------
    inputs : tuple of str
        Names of the arrays that follow the forcing: ``attributes``, ``parameter:BETA``,
        ``state:snowpack`` and so on.
    outputs : tuple of str
        What to return: names of outputs, ``parameter:...``, ``state:...``, ``initial_storage``,
        ``forcing_flag``.
    input_dims, output_dims : dict
        Dimensions of each beside those of space.
    sizes : dict
        Their lengths.
    forcing : tuple of str
        Names of the daily inputs, in the order of their arrays.
    model : Model, optional
        Whose network gives the parameters that ``inputs`` lack, or streamflow itself.
    runoff_of : Model, optional
        Whose NN_r takes the place of the effective-rainfall equation.
    window : (int, int)
        First and last day (exclusive) of the parameter window.
    components : bool
        Outputs a component.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_dims: dict[str, tuple[str, ...]]
    output_dims: dict[str, tuple[str, ...]]
    sizes: dict[str, int]
    times: Any = field(repr=False)
    forcing: tuple[str, ...] = FORCING
    model: Model | None = None
    runoff_of: Model | None = None
    window: tuple[int, int] = (0, 0)
    components: bool = False
    missing: str = "raise"
    dtype: str = "float32"
    device: str = "cpu"
    backend: str = "auto"
    called: dict[str, str] = field(default_factory=dict, repr=False)
    cells: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def days(self) -> tuple[str, ...]:
        """What the arrays of forcing are called beside ``inputs``."""
        return tuple(f"forcing:{name}" for name in self.forcing)

    @property
    def series(self) -> tuple[str, ...]:
        """Those outputs that the physics gives."""
        return tuple(
            name
            for name in self.outputs
            if ":" not in name and name not in ("initial_storage", "forcing_flag")
        )

    @property
    def runs_physics(self) -> bool:
        """Whether any output needs a run through time; parameters alone do not."""
        return any(not name.startswith("parameter:") and name != "forcing_flag" for name in self.outputs)


def run_block(*arrays: np.ndarray, job: Job) -> tuple[np.ndarray, ...] | np.ndarray:
    """Simulate a block of cells.

    Parameters
    ----------
    *arrays
        ``job.forcing``, (space..., time), in the model's units, then ``job.inputs``, (space..., core
        dimensions). Space broadcasts.
    job : Job

    Returns
    -------
    tuple of array, or array
        ``job.outputs``, (space..., core dimensions); not in a tuple where there is one only.

    Raises
    ------
    MissingForcingError, ValueRangeError, UnitsError, ParameterError, StateError
    """
    import torch

    names = (*job.days, *job.inputs)
    core = {name: ("time",) if name in job.days else job.input_dims[name] for name in names}
    space = np.broadcast_shapes(
        *(array.shape[: array.ndim - len(core[name])] for name, array in zip(names, arrays, strict=True))
    )
    given = {
        name: np.broadcast_to(array, (*space, *array.shape[array.ndim - len(core[name]) :])).reshape(
            -1, *array.shape[array.ndim - len(core[name]) :]
        )
        for name, array in zip(names, arrays, strict=True)
    }
    n_cells = given["forcing:prcp"].shape[0]
    forcing = {name: given[f"forcing:{name}"] for name in job.forcing}
    check_forcing(forcing, job.times, job.cells, called=job.called, missing=job.missing)
    network = (
        job.model.network().to(job.device) if job.model is not None and "attributes" in job.inputs else None
    )
    out = {name: _empty(name, n_cells, job) for name in job.outputs}
    with torch.inference_mode():
        for piece in _pieces(n_cells, job):
            part = _run_piece({name: array[piece] for name, array in given.items()}, network, job)
            for name, values in part.items():
                out[name][piece] = values
    results = tuple(out[name].reshape((*space, *out[name].shape[1:])) for name in job.outputs)
    return results if len(results) > 1 else results[0]  # as apply_ufunc wants it


def _empty(name: str, n_cells: int, job: Job) -> np.ndarray:
    dtype = "int8" if name == "forcing_flag" else job.dtype
    return np.empty((n_cells, *(job.sizes[dim] for dim in job.output_dims[name])), dtype=dtype)


def _pieces(n_cells: int, job: Job) -> Iterator[slice]:
    """Slices of cells whose work fits :data:`BUDGET`."""
    from .learning.network import numbers_of_pass

    days = job.sizes["time"]
    width = job.sizes.get("component", 1)
    numbers = days * (len(job.forcing) + 2 * len(job.series) * (width if job.components else 1))
    numbers += days * width * len([name for name in job.inputs if "time" in job.input_dims[name]])
    if job.model is not None:
        spec = job.model.description
        numbers += 2 * days * width * (len(spec.dynamic) if isinstance(spec, DeltaHBV) else 1)
        numbers += numbers_of_pass(days, spec.hidden)
    itemsize = 8 if job.dtype == "float64" else 4
    size = max(1, int(BUDGET / (numbers * itemsize)))
    for first in range(0, n_cells, size):
        yield slice(first, min(first + size, n_cells))


def _run_piece(given: dict[str, np.ndarray], network: Network | None, job: Job) -> dict[str, np.ndarray]:
    """All outputs of some cells, (cell, core dimensions)."""
    from .learning.streamflow import StreamflowNetwork

    out: dict[str, np.ndarray] = {}
    nowhere = np.zeros(given["forcing:prcp"].shape[0], dtype=bool)
    if job.missing == "fill":
        flags, nowhere = _fill(given, job)
        out["forcing_flag"] = flags
    if isinstance(network, StreamflowNetwork):
        out |= _run_lstm(given, network, job)
    else:
        out |= _run_hbv(given, network, job)
    for name, values in out.items():
        if name != "forcing_flag":
            values[nowhere] = np.nan
    return out


def _tensor(array: np.ndarray, job: Job) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(array, dtype=job.dtype, order="C")).to(job.device)


def _run_lstm(given: dict[str, np.ndarray], network: StreamflowNetwork, job: Job) -> dict[str, np.ndarray]:
    """Streamflow of some cells as an LSTM gives it, (cell, time), and its state."""
    import torch

    network = network.to(getattr(torch, job.dtype))
    forcing = torch.stack([_tensor(given[name], job).T for name in job.days], dim=-1)
    attributes = _tensor(given["attributes"], job)
    names = [f"state:{name}" for name in NETWORK_STATE]
    state = None
    if names[0] in given:
        state = (_tensor(given[names[0]], job), _tensor(given[names[1]], job))
    streamflow, state = network.daily_streamflow(forcing, attributes, state)
    out = {"streamflow": streamflow.T, **dict(zip(names, state, strict=True))}
    return {name: _array(value) for name, value in out.items() if name in job.outputs}


def _run_hbv(
    given: dict[str, np.ndarray], network: ParameterNetwork | None, job: Job
) -> dict[str, np.ndarray]:
    """Parameters and physics of some cells, (cell, core dimensions)."""
    import torch

    from .physics.simulation import arrange_parameters, check_parameters, simulate_tensors, total_storage

    out: dict[str, np.ndarray] = {}
    # (cell, time) to (time, cell), as the physics has it
    prcp, tmean, pet = (_tensor(given[name], job).T.contiguous() for name in job.days)
    forcing = (prcp, tmean, pet)
    parameters = {
        name.removeprefix("parameter:"): _parameter(_tensor(given[name], job), name, job)
        for name in job.inputs
        if name.startswith("parameter:")
    }
    state = {
        name.removeprefix("state:"): _tensor(given[name], job)
        for name in job.inputs
        if name.startswith("state:")
    }
    if network is not None:
        attributes = torch.from_numpy(np.array(given["attributes"], dtype="float32")).to(job.device)
        parameters |= _network_parameters(network, forcing, attributes, parameters, state, job)
    arranged = arrange_parameters(parameters, tuple(prcp.shape))
    for name in [name for name in job.outputs if name.startswith("parameter:")]:
        value = arranged[name.removeprefix("parameter:")]
        out[name] = _array(value.movedim(0, 1) if "time" in job.output_dims[name] else value)
    if job.runs_physics:
        check_parameters(arranged)
        start = _start(state, forcing[0], arranged)
        runoff = None if job.runoff_of is None else job.runoff_of.runoff_network()
        processes = {} if runoff is None else {"effective_rainfall": runoff.to(job.device)}
        series, final = simulate_tensors(
            forcing, arranged, start, job.series, job.components, job.backend, processes
        )
        final |= {name: state[name] for name in NETWORK_STATE if name in state}
        out |= {name: _array(value.movedim(0, 1)) for name, value in series.items()}
        out |= {
            f"state:{name}": _array(value) for name, value in final.items() if f"state:{name}" in job.outputs
        }
        if "initial_storage" in job.outputs:
            out["initial_storage"] = _array(total_storage(start))
    return out


def _parameter(value: torch.Tensor, name: str, job: Job) -> torch.Tensor:
    """A given parameter as the physics has it: time first, components last."""
    dims = job.input_dims[name]
    if "component" not in dims and name.removeprefix("parameter:") not in ROUTING:
        value = value[..., None]
    return value.movedim(1, 0) if "time" in dims else value


def _fill(given: dict[str, np.ndarray], job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Fill gaps in ``given``; flags (cell, time) and which cells have no forcing at all.

    Those are computed on, with numbers that do no harm, and masked afterwards.
    """
    filled_any = np.zeros(given["forcing:prcp"].shape, dtype=bool)
    nowhere = np.zeros(len(filled_any), dtype=bool)
    for name in job.days:
        given[name], was_missing = fill_gaps(given[name])
        filled_any |= was_missing
        nowhere |= was_missing.all(axis=1)
    for name in (*job.days, *job.inputs):
        kind, _, bare = name.rpartition(":")
        harmless = PARAMETERS[bare].upper if kind == "parameter" else 0.0
        if name != "attributes":
            mask = nowhere.reshape(-1, *[1] * (given[name].ndim - 1))
            given[name] = np.where(mask, given[name].dtype.type(harmless), given[name])
    flags = filled_any.astype("int8")
    flags[nowhere] = 2
    return flags, nowhere


def _start(
    state: Mapping[str, torch.Tensor], like: torch.Tensor, parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    from .physics.simulation import checked_state

    hydrologic = {name: value for name, value in state.items() if name in (*STORES, CHANNEL)} or None
    return checked_state(hydrologic, like, parameters["BETA"].shape[-1], routed="UH_SHAPE" in parameters)


def _network_parameters(
    network: ParameterNetwork,
    forcing: tuple[torch.Tensor, ...],
    attributes: torch.Tensor,
    known: Mapping[str, torch.Tensor],
    state: dict[str, torch.Tensor],
    job: Job,
) -> dict[str, torch.Tensor]:
    """Parameters of the network that are not known yet; its last hidden state goes into ``state``.

    Static ones are its output at the end of the parameter window. Dynamic ones are its output of
    each day, on a way of their own from the first day of the run.
    """
    import torch

    description = network.description
    out: dict[str, torch.Tensor] = {}
    static = tuple(
        name for name in description.parameters if name not in description.dynamic and name not in known
    )
    inputs = torch.stack(list(forcing), dim=-1).float()
    if static:
        out |= network.last_parameters(inputs[slice(*job.window)], attributes, static)
    if description.dynamic:
        start = None
        if NETWORK_STATE[0] in state:
            start = (state[NETWORK_STATE[0]].float(), state[NETWORK_STATE[1]].float())
        daily, last = network.daily_parameters(inputs, attributes, start)
        out |= daily
        state |= dict(zip(NETWORK_STATE, last, strict=True))
    return {name: value.to(forcing[0].dtype) for name, value in out.items()}


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.cpu().numpy())


def core_dims(name: str, dynamic: tuple[str, ...], components: bool) -> tuple[str, ...]:
    """Core dimensions of an output of :class:`Job`."""
    kind, _, bare = name.rpartition(":")
    if kind == "parameter":
        if bare in ROUTING:
            return ()
        return ("time", "component") if bare in dynamic else ("component",)
    if kind == "state":
        return {CHANNEL: ("lead",), "network_hidden": ("hidden_unit",), "network_cell": ("hidden_unit",)}.get(
            bare, ("component",)
        )
    if bare == "initial_storage":
        return ()
    per_component = components and bare not in ("streamflow", "channel_storage", "forcing_flag")
    return ("time", "component") if per_component else ("time",)
