"""What happens to one block of cells and days: checks, networks, physics. Arrays in, arrays out.

:func:`run_block` is what ``apply_ufunc`` calls, once for data in memory, once per block for
lazy data. It leaves out the cells that a mask says are none (the sea on a grid) or that have no forcing,
and cuts the others into pieces that fit a budget of memory, whichever way it is called.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache

import numpy as np

from ...errors import BlockError, HydroxrError
from ...inputs.gaps import fill_gaps
from ...inputs.ranges import check_forcing
from ...models.specs import DeltaHBV
from .compute import run_cells
from .job import CARRY, ZERO_PET, Job, places, width

# Working memory of one piece; outputs and inputs of the block come on top. Larger pieces gain
# little speed: the cost of a torch operation is then in its numbers, no longer in its call.
BUDGET = 200e6  # bytes
_GPU_SHARE = 0.4  # of a GPU's free memory, which torch and the kernels' own arrays share

_LOG = logging.getLogger("hydroxr")


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
    HydroxrError
        Named for what is wrong; of one block of many it says which.
    BlockError
        Of one block of many, where something else failed.
    """
    names = (*job.series_of, *job.inputs)
    core = {name: ("time",) if name in job.series_of else job.input_dims[name] for name in names}
    space = np.broadcast_shapes(
        *(array.shape[: array.ndim - len(core[name])] for name, array in zip(names, arrays, strict=True))
    )
    given = {
        name: np.broadcast_to(array, (*space, *array.shape[array.ndim - len(core[name]) :])).reshape(
            -1, *array.shape[array.ndim - len(core[name]) :]
        )
        for name, array in zip(names, arrays, strict=True)
    }
    cells = Cells({name: given.pop(name) for name in job.inputs if name.startswith("label:")})
    if not job.one_of_many:
        out = _run(given, cells, job)
    else:
        try:
            out = _run(given, cells, job)
        except HydroxrError as error:
            raise type(error)(f"{error} (in {_block(cells, job)})") from error
        except Exception as error:
            raise BlockError(
                f"{_block(cells, job)} could not be simulated: {type(error).__name__}: {error}"
            ) from error
    results = tuple(out[name].reshape((*space, *out[name].shape[1:])) for name in job.outputs)
    return results if len(results) > 1 else results[0]  # as apply_ufunc wants it


class Cells:
    """Names of the cells of a block, made when a message needs them.

    Parameters
    ----------
    labels : dict of array, (cell,)
        Of each dimension of space, as ``label:basin``.
    """

    def __init__(self, labels: dict[str, np.ndarray]) -> None:
        self.labels = labels

    def __getitem__(self, place: int) -> str:
        named = (f"{name.partition(':')[2]} {values[place]}" for name, values in self.labels.items())
        return ", ".join(named) or "the only cell"

    def __len__(self) -> int:
        return max((len(values) for values in self.labels.values()), default=1)

    def where(self, mask: np.ndarray) -> Cells:
        """Those for which ``mask`` is true."""
        return Cells({name: values[mask] for name, values in self.labels.items()})


def _block(cells: Cells, job: Job) -> str:
    """How a message calls the block: by its first and last cell and day."""
    last = len(cells) - 1
    of_cells = cells[0] if last == 0 else f"{cells[0]} to {cells[last]}"
    return f"the block of {of_cells}, {str(job.days[0])[:10]} to {str(job.days[len(job.days) - 1])[:10]}"


def _run(given: dict[str, np.ndarray], cells: Cells, job: Job) -> dict[str, np.ndarray]:
    """All outputs of the block, (cell, core dimensions)."""
    import torch

    from ...physics.threads import one_thread_each, without_subnormals

    device = _device(job.device)
    forcing = {name: given[f"forcing:{name}"] for name in job.forcing}
    land = given["mask"].astype(bool) if "mask" in given else np.ones(len(forcing["prcp"]), dtype=bool)
    if not land.all():
        forcing = {name: values[land] for name, values in forcing.items()}
        cells = cells.where(land)
    zero_pet = given[CARRY][land, places(job.received)[ZERO_PET]][:, 0] if job.knows_zero_pet else None
    check_forcing(
        forcing,
        job.days,
        cells,
        called=job.called,
        derived=job.derived,
        stated=job.stated,
        missing=job.missing,
        zero_pet=zero_pet,
    )
    out = {name: _empty(name, len(land), job) for name in job.outputs}
    pieces = list(_pieces(len(land), job, device))[::-1]
    with torch.inference_mode(), one_thread_each(), without_subnormals():
        while pieces:
            piece = pieces.pop()
            try:
                part = _run_piece({name: array[piece] for name, array in given.items()}, device, job)
            except torch.OutOfMemoryError as error:
                device = _after_out_of_memory(error, device, piece, pieces)
                continue
            for name, values in part.items():
                out[name][piece] = values
    return out


def _device(name: str) -> str:
    """The device to compute on, in this process."""
    return _found_device() if name == "auto" else name


@cache
def _found_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    _LOG.info("there is no GPU in this process: its blocks run on the CPU")
    return "cpu"


def _after_out_of_memory(error: Exception, device: str, piece: slice, pieces: list[slice]) -> str:
    """What did not fit on a GPU is tried again in halves, a single cell on the CPU."""
    import torch

    torch.cuda.empty_cache()
    middle = (piece.start + piece.stop) // 2
    if middle == piece.start:
        _LOG.warning("the GPU has no memory left for a single cell; this block goes on on the CPU: %s", error)
        pieces.append(piece)
        return "cpu"
    pieces += [slice(middle, piece.stop), slice(piece.start, middle)]
    return device


def _empty(name: str, n_cells: int, job: Job) -> np.ndarray:
    """For an output; NaN where no cell is simulated."""
    shape = (n_cells, *(job.sizes[dim] for dim in job.output_dims[name]))
    if name == "forcing_flag":
        return np.empty(shape, dtype="int8")
    complete = job.missing == "raise" and "mask" not in job.inputs
    return np.empty(shape, dtype=job.dtype) if complete else np.full(shape, np.nan, dtype=job.dtype)


def _pieces(n_cells: int, job: Job, device: str) -> Iterator[slice]:
    """Slices of cells whose work fits the budget."""
    import torch

    budget = BUDGET if job.budget is None else job.budget
    if device.startswith("cuda"):
        budget = max(budget, _GPU_SHARE * torch.cuda.mem_get_info(device)[0])
    size = max(1, int(budget / bytes_of_work(job)))
    for first in range(0, n_cells, size):
        yield slice(first, min(first + size, n_cells))


def bytes_of_work(job: Job) -> int:
    """Working memory that a cell takes, beside the inputs and outputs of its block."""
    from ...models.parameter_network import numbers_of_pass

    days = len(job.days)
    components = job.sizes.get("component", 1)
    numbers = days * (len(job.forcing) + 2 * len(job.series) * (components if job.components else 1))
    numbers += days * components * len([name for name in job.inputs if "time" in job.input_dims[name]])
    if job.needs_network and job.model is not None:
        spec = job.model.description
        numbers += 2 * days * components * (len(spec.dynamic) if isinstance(spec, DeltaHBV) else 1)
        numbers += numbers_of_pass(days, spec.hidden)
    return (8 if job.dtype == "float64" else 4) * (numbers + width(job.received) + width(job.carried))


def _run_piece(given: dict[str, np.ndarray], device: str, job: Job) -> dict[str, np.ndarray]:
    """All outputs of some cells, (cell, core dimensions); nothing but the flag where none is simulated."""
    out: dict[str, np.ndarray] = {}
    here = given["mask"].astype(bool) if "mask" in given else np.ones(len(given["forcing:prcp"]), dtype=bool)
    if job.missing == "fill":
        flag, complete = _fill(given, job)
        here &= complete
        flag[~here] = 2
        out |= {"forcing_flag": flag} if "forcing_flag" in job.outputs else {}
    if not here.any():
        return out
    if not here.all():
        given = {name: values[here] for name, values in given.items()}
    for name, values in run_cells(given, device, job).items():
        out[name] = values
        if not here.all():
            out[name] = np.full((len(here), *values.shape[1:]), np.nan, dtype=values.dtype)
            out[name][here] = values
    return out


def _fill(given: dict[str, np.ndarray], job: Job) -> tuple[np.ndarray, np.ndarray]:
    """Fill gaps in ``given``; flags (cell, time) and which cells have some of each forcing."""
    filled_any = np.zeros(given["forcing:prcp"].shape, dtype=bool)
    known = np.ones(len(filled_any), dtype=bool)
    for name in job.series_of:
        rain = name == "forcing:prcp"
        given[name], was_missing = fill_gaps(given[name], job.days.days_of_year, precipitation=rain)
        filled_any |= was_missing
        known &= ~was_missing.all(axis=1)
    return filled_any.astype("int8"), known
