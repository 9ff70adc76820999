"""Networks and physics of some complete cells over some days. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ParameterError, StateError
from ...inputs.ranges import days_of_zero_pet
from ...models.specs import FILTER_STATE, LSTM_STATE, DeltaHBV
from ...physics.equations import CHANNEL, STORES
from ...physics.parameters import WEIGHT
from .job import CARRIED, CARRY, OFFSET_ROWS, ZERO_PET, Job, core_dims, places, width

if TYPE_CHECKING:
    import torch

    from ...models.filter_network import FilterNetwork
    from ...models.parameter_network import ParameterNetwork
    from ...models.streamflow_network import StreamflowNetwork

    Network = FilterNetwork | ParameterNetwork | StreamflowNetwork

_STATES = tuple(f"state:{name}" for name in LSTM_STATE)


def run_cells(given: dict[str, np.ndarray], device: str, job: Job) -> dict[str, np.ndarray]:
    """All outputs of the job but the flag of the forcing.

    Parameters
    ----------
    given : dict of array
        ``job.series_of``, (cell, time), and ``job.inputs``, (cell, core dimensions).
    device : str
    job : Job

    Returns
    -------
    dict of array, (cell, core dimensions)
    """
    given = given | _unpacked(given.get(CARRY), job)
    if job.only_window:
        return _run_window(given, device, job)
    hbv = job.model is None or isinstance(job.model.description, DeltaHBV)
    out = _run_hbv(given, device, job) if hbv else _run_lstm(given, device, job)
    if CARRY in out and ZERO_PET in dict(job.carried):
        zero = days_of_zero_pet(given["forcing:pet"], given.get(ZERO_PET))
        out[CARRY][:, places(job.carried)[ZERO_PET]] = zero[:, None]
    return out


def _unpacked(carry: np.ndarray | None, job: Job) -> dict[str, np.ndarray]:
    """The parts of a carry, (cell, numbers) or (cell,)."""
    if carry is None:
        return {}
    parts = {name: carry[:, place] for name, place in places(job.received).items()}
    return {
        name: part if core_dims(name, (), False, job.per_cell) else part[:, 0] for name, part in parts.items()
    }


def _packed(parts: Mapping[str, torch.Tensor], n_cells: int, job: Job) -> np.ndarray:
    """A carry, (cell, numbers)."""
    carry = np.empty((n_cells, width(job.carried)), dtype=job.dtype)
    for name, place in places(job.carried).items():
        if name != ZERO_PET:
            carry[:, place] = parts[name].cpu().numpy().reshape(n_cells, -1)
    return carry


def _tensor(array: np.ndarray, device: str, job: Job) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.array(array, dtype=job.dtype, order="C")).to(device)


def _network(
    given: dict[str, np.ndarray], device: str, job: Job
) -> tuple[Network, torch.Tensor, torch.Tensor]:
    """The network, its daily inputs (time, cell, forcing) and its attributes (cell, attribute)."""
    import torch

    assert job.model is not None
    forcing = torch.stack([_tensor(given[name], device, job).T for name in job.series_of], dim=-1)
    network = job.model.network(device, job.dtype)
    dtype = network.decode.weight.dtype
    attributes = torch.from_numpy(np.array(given["attributes"], dtype="float32")).to(device)
    return network, forcing.to(dtype), attributes.to(dtype)


def _start_of_network(
    given: dict[str, np.ndarray], device: str, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor] | None:
    import torch

    if _STATES[0] not in given:
        return None
    found = [np.array(given[name], dtype=f"f{given[name].dtype.itemsize}") for name in _STATES]
    if not all(np.isfinite(array).all() for array in found):
        raise StateError(
            f"the initial state's {' or '.join(_STATES)} is not finite in some cells: nothing was simulated "
            "there; start those without a state."
        )
    hidden, cell = (torch.from_numpy(array).to(device, dtype) for array in found)
    return hidden, cell


def _run_lstm(given: dict[str, np.ndarray], device: str, job: Job) -> dict[str, np.ndarray]:
    """Streamflow of some cells as an LSTM gives it, (cell, time), and its state."""
    from ...models.streamflow_network import StreamflowNetwork

    network, forcing, attributes = _network(given, device, job)
    assert isinstance(network, StreamflowNetwork)
    start = _start_of_network(given, device, forcing.dtype)
    streamflow, state = network.daily_streamflow(forcing, attributes, start)
    out = {"streamflow": _array(streamflow.T)} if "streamflow" in job.outputs else {}
    if CARRY in job.outputs:
        out[CARRY] = _packed(dict(zip(_STATES, state, strict=True)), len(attributes), job)
    return out


def _run_window(given: dict[str, np.ndarray], device: str, job: Job) -> dict[str, np.ndarray]:
    """Some days of the parameter window: the network's state after them, or the parameters at its end."""
    from ...models.parameter_network import ParameterNetwork

    network, forcing, attributes = _network(given, device, job)
    assert isinstance(network, ParameterNetwork)
    start = _start_of_network(given, device, forcing.dtype)
    for hidden, state in network.passes(forcing, attributes, start):
        last, states = hidden[-1], state
    names = tuple(name.partition(":")[2] for name, _ in job.carried if name not in _STATES)
    parts = dict(zip(_STATES, states, strict=True))
    if names:
        parts |= {f"parameter:{name}": value for name, value in network.parameters_from(last, names).items()}
    return {CARRY: _packed(parts, len(attributes), job)}


def _run_hbv(given: dict[str, np.ndarray], device: str, job: Job) -> dict[str, np.ndarray]:
    """Parameters and physics of some cells, (cell, core dimensions)."""
    from ...physics.arguments import arrange_parameters, total_storage
    from ...physics.simulation import simulate_tensors

    out: dict[str, np.ndarray] = {}
    # (cell, time) to (time, cell), as the physics has it
    prcp, tmean, pet = (_tensor(given[name], device, job).T.contiguous() for name in job.series_of)
    parameters = {
        name.removeprefix("parameter:"): _parameter(_tensor(array, device, job), name, job)
        for name, array in given.items()
        if name.startswith("parameter:")
    }
    state = {
        name.removeprefix("state:"): _tensor(array, device, job)
        for name, array in given.items()
        if name.startswith("state:")
    }
    rows: torch.Tensor | None = None  # of dynamic parameters that hold for some days
    if job.needs_network and _reads_filters(job):
        found, rows = _filter_parameters(given, parameters, state, device, job)
        parameters |= found
    elif job.needs_network:
        parameters |= _network_parameters(given, parameters, state, device, job)
    n_rows = len(prcp) if rows is None else int(rows[-1]) + 1
    arranged = arrange_parameters(parameters, (n_rows, prcp.shape[1]))
    for name in [name for name in job.outputs if name.startswith("parameter:")]:
        value = arranged[name.removeprefix("parameter:")]
        if "time" in job.output_dims[name]:
            value = (value if rows is None else value[rows.to(value.device)]).movedim(0, 1)
        out[name] = _array(value)
    final: dict[str, torch.Tensor] = {}
    if job.runs_physics:
        _check_parameters(arranged, job)
        start = _start(state, prcp, arranged)
        processes = {}
        if job.runoff_of is not None:
            processes["effective_rainfall"] = job.runoff_of.runoff_network(device)
        series, final = simulate_tensors(
            (prcp, tmean, pet), arranged, start, job.series, job.components, job.backend, processes, rows
        )
        out |= {name: _array(value.movedim(0, 1)) for name, value in series.items()}
        if "initial_storage" in job.outputs:
            out["initial_storage"] = _array(total_storage(start, arranged.get(WEIGHT)))
    if CARRY in job.outputs:
        parts = {f"state:{name}": value for name, value in (state | final).items()}
        parts |= {f"parameter:{name}": value for name, value in arranged.items()}
        out[CARRY] = _packed(_of_all_components(parts, job), prcp.shape[1], job)
    return out


def _check_parameters(arranged: Mapping[str, torch.Tensor], job: Job) -> None:
    """Where a network gives parameters, those that come in are a state's."""
    from ...physics.arguments import check_parameters

    if job.model is None:
        check_parameters(arranged)
        return
    given = {name: value for name, value in arranged.items() if f"parameter:{name}" in job.inputs}
    try:
        check_parameters(given)
    except ParameterError as error:
        raise StateError(f"{CARRIED}: {error}") from error
    check_parameters({name: value for name, value in arranged.items() if name not in given})


def _of_all_components(parts: dict[str, torch.Tensor], job: Job) -> dict[str, torch.Tensor]:
    """A parameter that all components share, once for each of them."""
    sizes = dict(job.carried)
    return {
        name: value.expand(-1, sizes[name]) if value.ndim == 2 and name in sizes else value
        for name, value in parts.items()
    }


def _parameter(value: torch.Tensor, name: str, job: Job) -> torch.Tensor:
    """A given parameter as the physics has it: time first, components last."""
    dims = job.input_dims[name] if name in job.inputs else core_dims(name, (), False, job.per_cell)
    if "component" not in dims and name.removeprefix("parameter:") not in job.per_cell:
        value = value[..., None]
    return value.movedim(1, 0) if "time" in dims else value


def _start(
    state: Mapping[str, torch.Tensor], like: torch.Tensor, parameters: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    from ...physics.arguments import checked_state

    hydrologic = {name: value for name, value in state.items() if name in (*STORES, CHANNEL)} or None
    return checked_state(hydrologic, like, parameters["BETA"].shape[-1], routed="UH_SHAPE" in parameters)


def _network_parameters(
    given: dict[str, np.ndarray],
    known: Mapping[str, torch.Tensor],
    state: dict[str, torch.Tensor],
    device: str,
    job: Job,
) -> dict[str, torch.Tensor]:
    """Parameters of the network that are not known yet; its last hidden state goes into ``state``.

    Static ones are its output at the end of the parameter window. Dynamic ones are its output of
    each day, on a way of their own from the first day of the run.
    """
    from ...models.parameter_network import ParameterNetwork

    network, forcing, attributes = _network(given, device, job)
    assert isinstance(network, ParameterNetwork)
    description = network.description
    out: dict[str, torch.Tensor] = {}
    static = tuple(
        name for name in description.parameters if name not in description.dynamic and name not in known
    )
    if static:
        out |= network.last_parameters(forcing[slice(*job.window)], attributes, static)
    if description.dynamic:
        start = _start_of_network(given, device, forcing.dtype)
        daily, last = network.daily_parameters(forcing, attributes, start)
        out |= daily
        state |= dict(zip(LSTM_STATE, last, strict=True))
    return {name: value.to(_dtype(job)) for name, value in out.items()}


def _reads_filters(job: Job) -> bool:
    spec = None if job.model is None else job.model.description
    return isinstance(spec, DeltaHBV) and not spec.reads_window


def _filter_parameters(
    given: dict[str, np.ndarray],
    known: Mapping[str, torch.Tensor],
    state: dict[str, torch.Tensor],
    device: str,
    job: Job,
) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
    """Parameters of a filter network that are not known yet, and the row that holds on each day.

    The running means after the last day, and the dynamic parameters in force then, go into ``state``.
    """
    import torch

    from ...models.filter_network import Blocks, FilterNetwork

    network, forcing, attributes = _network(given, device, job)
    assert isinstance(network, FilterNetwork)
    dynamic = network.description.dynamic
    names = tuple(name for name in network.description.parameters if name not in known)
    cells = None
    if OFFSET_ROWS in given:
        cells = torch.from_numpy(np.array(given[OFFSET_ROWS], dtype="int64")).to(device)
    if not dynamic:
        found = network.parameters_from(attributes, None, names, cells)
        return {name: value.to(_dtype(job)) for name, value in found.items()}, None
    continued = f"state:{FILTER_STATE}" in given
    start = state[FILTER_STATE].to(forcing) if continued else network.empty_means(len(attributes))
    blocks = Blocks.of(job.days.days_of_year, continued)
    features, last = network.features(forcing, start, blocks.starts.to(device))
    found = network.parameters_from(attributes, features, names, cells)
    found = {name: value.to(_dtype(job)) for name, value in found.items()}
    if not len(blocks.starts) or blocks.starts[0] > 0:  # the first days belong to an earlier block
        for name in dynamic:
            found[name] = torch.cat([state[name][None], found[name]])
    state |= {FILTER_STATE: last.to(_dtype(job))} | {name: found[name][-1] for name in dynamic}
    return found, blocks.rows


def _dtype(job: Job) -> torch.dtype:
    import torch

    dtype: torch.dtype = getattr(torch, job.dtype)
    return dtype


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.cpu().numpy())
