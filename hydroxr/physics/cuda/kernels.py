"""The kernels of :mod:`hydroxr.physics.cuda.loop`; importing this imports numba.cuda.

A *lane* is one component of one cell, and a thread takes one lane through all days, its stores and
parameters in registers. A block of threads holds whole cells, so that what is summed over components
(means of series, gradients of the weather) is summed within a block: values of some days are
gathered on a *page* of shared memory, then each thread adds up the components of one cell and day.
The order of sums is fixed; no result depends on how the blocks are scheduled.

Arrays come as pointers to contiguous memory, with their sizes: a launch costs little. Days are the
slow axis, lanes the fast one: neighbouring threads read neighbouring numbers. What there are many
of (parameters, series) comes packed, and bits of an integer say which of them there are.

With ``NUMBA_ENABLE_CUDASIM=1`` numba simulates a GPU, slowly: the same code on NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from numba import types
from torch import Tensor

from ..equations import DAY_FLUXES, DAY_PARAMETERS, STORES, Function
from .day import N_WEIGHTS, NUMBERS, SIMULATED, cuda, device, make_plain, make_with_network

MOST_COMPONENTS = 256  # a block has as many threads, with as many registers as a thread can have

_THREADS = 128  # of a block, if it can
_PAGE = 16  # rows of a page, at least
_N_STORES, _N_PARAMETERS = len(STORES), len(DAY_PARAMETERS)
_N_SERIES = _N_STORES + len(DAY_FLUXES) + 1

cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a batch may be small


# ---- between a thread and memory ------------------------------------------------------------------


@device
def _load(values, source, chosen, start, step):  # type: ignore[no-untyped-def]
    """The values that bits of ``chosen`` name, from packed memory."""
    for i in range(_N_PARAMETERS):
        if chosen >> i & 1:
            values[i] = source[start]
            start += step


@device
def _save(values, target, chosen, start, step):  # type: ignore[no-untyped-def]
    for i in range(_N_PARAMETERS):
        if chosen >> i & 1:
            target[start] = values[i]
            start += step


@device
def _add(values, target, chosen, start, step):  # type: ignore[no-untyped-def]
    for i in range(_N_PARAMETERS):
        if chosen >> i & 1:
            target[start] += values[i]
            start += step


@device
def _five(source, start, step):  # type: ignore[no-untyped-def]
    """Values of the five stores."""
    a, b, c = source[start], source[start + step], source[start + 2 * step]
    return a, b, c, source[start + 3 * step], source[start + 4 * step]


@device
def _put_five(values, target, start, step):  # type: ignore[no-untyped-def]
    target[start] = values[0]
    target[start + step] = values[1]
    target[start + 2 * step] = values[2]
    target[start + 3 * step] = values[3]
    target[start + 4 * step] = values[4]


@device
def _thirteen(v):  # type: ignore[no-untyped-def]
    return v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12]


@device
def _room(n_components):  # type: ignore[no-untyped-def]
    """Of a cell in a row of the page. An odd number: threads that add up cells use different banks."""
    return n_components | 1


@device
def _sum_page(page, target, n_rows, begin, days, n_days, n_cells, n_components, divisor):  # type: ignore[no-untyped-def]
    """Sums over components, over ``divisor``, of a page that has ``n_rows`` for each of some days."""
    cuda.syncthreads()
    cells = cuda.blockDim.x // n_components
    first = cuda.blockIdx.x * cells
    here = min(cells, n_cells - first)
    room = _room(n_components)
    for job in range(cuda.threadIdx.x, days * n_rows * here, cuda.blockDim.x):
        cell = job % here
        row = job // here
        start = (row * cells + cell) * room
        total = page[start]
        for component in range(1, n_components):
            total += page[start + component]
        place = (row % n_rows) * n_days + begin + row // n_rows
        target[place * n_cells + first + cell] = total / divisor
    cuda.syncthreads()


# ---- the two kernels ------------------------------------------------------------------------------


def _make_forward(number: Any, kind: Any, day_of: Function) -> Callable[..., None]:
    def forward(  # type: ignore[no-untyped-def]
        precipitation,
        temperature,
        pet,
        static,
        daily,
        held,
        network,
        initial,
        series,
        final,
        kept,
        n_days,
        n_cells,
        n_components,
        n_rows,
        dynamic,
        hidden,
        wanted,
        n_wanted,
        whole,
        keep,
    ):
        """Advance a lane through all days.

        Precipitation, temperature, pet: (time, cell). ``static``: (those parameters, lane), ``daily``:
        (those whose bits ``dynamic`` has, row, lane); ``held``: the row that holds on each day.
        ``initial``, ``final``: (store, lane). ``series``: (those whose bits ``wanted`` has, time, cell), or
        lane in the place of cell if ``whole``.
        ``kept``: stores before each day, (time, store, lane), if ``keep``.
        """
        page = cuda.shared.array(0, kind)
        values = cuda.local.array(_N_PARAMETERS, kind)
        cells = cuda.blockDim.x // n_components
        here = cuda.threadIdx.x // n_components
        component = cuda.threadIdx.x % n_components
        cell = min(cuda.blockIdx.x * cells + here, n_cells - 1)
        active = cuda.blockIdx.x * cells + here < n_cells  # others go along, for the barriers
        lane, lanes = cell * n_components + component, n_cells * n_components
        room = _room(n_components)
        days_a_page = max(1, _PAGE // max(1, n_wanted))
        _load(values, static, ~dynamic, lane, lanes)
        stores = _five(initial, lane, lanes)
        weather = (precipitation[cell], temperature[cell], pet[cell])
        passed = 0  # days on the page
        for day in range(n_days):
            today = weather
            place = min(day + 1, n_days - 1) * n_cells + cell  # asked for a day ahead
            weather = (precipitation[place], temperature[place], pet[place])
            _load(values, daily, dynamic, int(held[day]) * lanes + lane, n_rows * lanes)
            if keep and active:
                _put_five(stores, kept, day * _N_STORES * lanes + lane, lanes)
            stores, fluxes = day_of(network, hidden, today + stores + _thirteen(values))
            everything = stores + fluxes + (fluxes[9] + fluxes[10] + fluxes[11],)
            slot = 0
            for i in range(_N_SERIES):
                if wanted >> i & 1:
                    if not whole:
                        row = passed * n_wanted + slot
                        page[(row * cells + here) * room + component] = everything[i]
                    elif active:
                        series[(slot * n_days + day) * lanes + lane] = everything[i]
                    slot += 1
            passed += 1
            if n_wanted > 0 and not whole and (passed == days_a_page or day == n_days - 1):
                begin = day + 1 - passed
                divisor = number(n_components)
                _sum_page(page, series, n_wanted, begin, passed, n_days, n_cells, n_components, divisor)
                passed = 0
        if active:
            _put_five(stores, final, lane, lanes)

    return forward


def _make_backward(number: Any, kind: Any, adjoint_of: Function) -> Callable[..., None]:
    zero, one = number(0.0), number(1.0)

    def backward(  # type: ignore[no-untyped-def]
        precipitation,
        temperature,
        pet,
        static,
        daily,
        held,
        network,
        kept,
        d_series,
        d_final,
        d_weather,
        d_static,
        d_daily,
        d_initial,
        d_output,
        inflows,
        n_days,
        n_cells,
        n_components,
        n_rows,
        dynamic,
        hidden,
        wanted,
        whole,
        of_weather,
        n_weather,
        of_daily,
        of_network,
    ):
        """The adjoint of ``forward``, from the last day to the first.

        ``d_weather``: (those whose bits ``of_weather`` has, time, cell). Other gradients have the shape
        of what they are of; those of ``daily`` are added to zeros if ``of_daily``. If ``of_network``, what
        the network's own gradient follows from is written, (time, lane): the cotangent of its
        output before the sigmoid, and the inflow.
        """
        page = cuda.shared.array(0, kind)
        values = cuda.local.array(_N_PARAMETERS, kind)
        today = cuda.local.array(_N_PARAMETERS, kind)
        gradients = cuda.local.array(_N_PARAMETERS, kind)
        given = cuda.local.array(_N_SERIES, kind)
        cells = cuda.blockDim.x // n_components
        here = cuda.threadIdx.x // n_components
        component = cuda.threadIdx.x % n_components
        cell = min(cuda.blockIdx.x * cells + here, n_cells - 1)
        active = cuda.blockIdx.x * cells + here < n_cells
        lane, lanes = cell * n_components + component, n_cells * n_components
        room = _room(n_components)
        days_a_page = max(1, _PAGE // max(1, n_weather))
        share = one if whole else one / number(n_components)
        of_day, of_place = (lanes, lane) if whole else (n_cells, cell)
        _load(values, static, ~dynamic, lane, lanes)
        for i in range(_N_PARAMETERS):
            gradients[i] = zero
        for i in range(_N_SERIES):
            given[i] = zero
        d_stores = _five(d_final, lane, lanes)
        last = n_days - 1
        place = last * n_cells + cell
        weather = (precipitation[place], temperature[place], pet[place])
        stores = _five(kept, last * _N_STORES * lanes + lane, lanes)
        coming = last % days_a_page  # days that have yet to come onto the page
        for day in range(last, -1, -1):
            before = weather + stores
            ahead = max(day - 1, 0)
            place = ahead * n_cells + cell
            weather = (precipitation[place], temperature[place], pet[place])
            stores = _five(kept, ahead * _N_STORES * lanes + lane, lanes)
            _load(values, daily, dynamic, int(held[day]) * lanes + lane, n_rows * lanes)
            place = day * of_day + of_place
            for i in range(_N_SERIES):
                if wanted >> i & 1:
                    given[i] = d_series[place] * share
                    place += n_days * of_day
            a, b, c, d, e = d_stores
            d_stores = (a + given[0], b + given[1], c + given[2], d + given[3], e + given[4])
            runoff = given[17]
            d_fluxes = (given[5], given[6], given[7], given[8], given[9], given[10], given[11], given[12])
            d_flows = (given[13], given[14] + runoff, given[15] + runoff, given[16] + runoff)
            d_stores, d_parameters, d_today, d_total, inflow = adjoint_of(
                network, hidden, before + _thirteen(values) + d_stores + d_fluxes + d_flows
            )
            for i in range(_N_PARAMETERS):
                today[i] = d_parameters[i]
                gradients[i] += d_parameters[i]
            if of_daily and active:
                _add(today, d_daily, dynamic, int(held[day]) * lanes + lane, n_rows * lanes)
            if of_network and active:
                d_output[day * lanes + lane] = d_total
                inflows[day * lanes + lane] = inflow
            row = coming * n_weather
            for i in range(3):
                if of_weather >> i & 1:
                    page[(row * cells + here) * room + component] = d_today[i]
                    row += 1
            coming -= 1
            if n_weather > 0 and coming < 0:
                days = min(days_a_page, n_days - day)
                coming = days_a_page - 1
                _sum_page(page, d_weather, n_weather, day, days, n_days, n_cells, n_components, one)
        if active:
            _save(gradients, d_static, ~dynamic, lane, lanes)
            _put_five(d_stores, d_initial, lane, lanes)

    return backward


# ---- compiling and launching ------------------------------------------------------------------------

_ARGUMENTS = {"forward": (11, 10), "backward": (16, 12)}  # pointers and integers


def built(kind: str, dtype: torch.dtype, with_network: bool) -> tuple[Callable[..., None], Any]:
    """A kernel's Python function, and the signature to compile it for."""
    number = NUMBERS[dtype]
    real = types.float64 if dtype == torch.float64 else types.float32
    day, adjoint = (make_with_network if with_network else make_plain)(number)
    n_pointers, n_integers = _ARGUMENTS[kind]
    signature = types.void(*[types.CPointer(real)] * n_pointers, *[types.int64] * n_integers)
    if kind == "forward":
        return _make_forward(number, real, day), signature
    return _make_backward(number, real, adjoint), signature


@cache
def compiled(kind: str, dtype: torch.dtype, with_network: bool) -> Any:
    """The ``forward`` or ``backward`` kernel for float32 or float64."""
    function, signature = built(kind, dtype, with_network)
    if SIMULATED:
        return cuda.jit(function)
    kernel = cuda.jit(signature, lto=False)(function)
    for overload in kernel.overloads.values():
        _round_all(overload)
    return kernel


def _round_all(overload: Any) -> None:
    """Have products rounded before they are added to something, as in the reference.

    Then both stand on the same side of a kink where a quantity is 0 but for rounding. numba has no
    option for it, only a place for those of the compiler, so it is compiled again. Should that
    place go, ties alone differ.
    """
    library = overload.library
    stages: list[Any] = [
        getattr(library, name, None) for name in ("_ptx_cache", "_cubin_cache", "_cufunc_cache")
    ]
    if hasattr(library, "_nvvm_options") and None not in stages:
        library._nvvm_options["fma"] = 0
        for stage in stages:
            stage.clear()
        overload.bind()


def blocks(n_cells: int, n_components: int) -> tuple[int, int]:
    """How many blocks, and how many threads in each: whole cells."""
    cells = min(max(1, _THREADS // n_components), n_cells)
    return -(-n_cells // cells), cells * n_components


def launch(
    kind: str, n_rows: int, sizes: tuple[int, int, int], tensors: Sequence[Tensor], numbers: Sequence[int]
) -> None:
    """Run a kernel, on torch's current stream, without waiting for it.

    ``n_rows`` is how many numbers of each day and lane are to be summed, ``sizes`` are days, cells,
    components; ``tensors`` are contiguous, and the seventh has the network's weights, or nothing.
    """
    n_blocks, n_threads = blocks(*sizes[1:])
    like = tensors[0]
    room = sizes[2] | 1
    page = max(_PAGE, n_rows) * (n_threads // sizes[2]) * room * like.element_size()
    which = (kind, like.dtype, tensors[6].numel() >= N_WEIGHTS)
    if SIMULATED:
        arrays = [tensor.detach().reshape(-1).numpy() for tensor in tensors]
        compiled(*which)[n_blocks, n_threads, 0, page](*arrays, *sizes, *numbers)
        return
    with torch.cuda.device(like.device), cuda.gpus[like.device.index]:
        stream = cuda.external_stream(torch.cuda.current_stream().cuda_stream)
        addresses = [tensor.data_ptr() for tensor in tensors]
        compiled(*which)[n_blocks, n_threads, stream, page](*addresses, *sizes, *numbers)
