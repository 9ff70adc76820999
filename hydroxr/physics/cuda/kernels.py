"""The kernels of :mod:`hydroxr.physics.cuda.loop`; importing this imports numba.cuda.

A *lane* is one component of one cell. Each thread takes one lane through all days and keeps its stores
and parameters in registers. A block of threads holds whole cells, so sums over components (means of
series, gradients of the weather) are taken within a block: threads write the values of some days to a
*page* of shared memory, then each thread sums the components of one cell and day. The order of sums is
fixed, so no result depends on how blocks are scheduled.

Arrays are pointers to contiguous memory, which makes a launch cheap. Days are the slow axis and lanes
the fast one, so neighbouring threads read neighbouring numbers. Parameters and series are packed; the
bits of an integer tell which of them are present.

With ``NUMBA_ENABLE_CUDASIM=1`` numba simulates a GPU, slowly, with the same code on NumPy arrays.
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
from .memory import add, five, fourteen, load, put_five, room_of, save

MOST_COMPONENTS = 256  # threads per block, at the largest number of registers per thread

_THREADS = 128  # per block, if components allow
_PAGE = 16  # rows per page, at least
_N_STORES, _N_PARAMETERS = len(STORES), len(DAY_PARAMETERS)
_N_SERIES = _N_STORES + len(DAY_FLUXES) + 1

cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a batch may be small


# numba's simulator knows the threads only of functions in the file of a kernel.
@device
def sum_page(page, target, n_rows, begin, days, n_days, n_cells, n_components, divisor):  # type: ignore[no-untyped-def]
    """Sum a page over components and divide by ``divisor``; the page has ``n_rows`` rows per day."""
    cuda.syncthreads()
    cells = cuda.blockDim.x // n_components
    first = cuda.blockIdx.x * cells
    here = min(cells, n_cells - first)
    room = room_of(n_components)
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
    one = number(1.0)

    def forward(  # type: ignore[no-untyped-def]
        precipitation,
        temperature,
        pet,
        static,
        daily,
        held,
        network,
        weights,
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
        weighted,
    ):
        """Advance a lane through all days.

        precipitation, temperature, pet: (time, cell)
        static: static parameters (parameter, lane)
        daily: dynamic parameters (parameter, row, lane), selected by the bits of ``dynamic``
        held: row of the dynamic parameters on each day (time,)
        initial, final: (store, lane)
        weights: of the components in means (lane,), read if ``weighted``
        series: (series, time, cell), or lane instead of cell if ``whole``; selected by ``wanted``
        kept: stores before each day (time, store, lane), written if ``keep``
        """
        page = cuda.shared.array(0, kind)
        values = cuda.local.array(_N_PARAMETERS, kind)
        cells = cuda.blockDim.x // n_components
        here = cuda.threadIdx.x // n_components
        component = cuda.threadIdx.x % n_components
        cell = min(cuda.blockIdx.x * cells + here, n_cells - 1)
        active = cuda.blockIdx.x * cells + here < n_cells  # idle lanes go along, for the barriers
        lane, lanes = cell * n_components + component, n_cells * n_components
        room = room_of(n_components)
        days_a_page = max(1, _PAGE // max(1, n_wanted))
        weight = weights[lane] if weighted else one
        divisor = one if weighted else number(n_components)
        load(values, static, ~dynamic, lane, lanes)
        stores = five(initial, lane, lanes)
        weather = (precipitation[cell], temperature[cell], pet[cell])
        passed = 0  # days on the page
        for day in range(n_days):
            today = weather
            place = min(day + 1, n_days - 1) * n_cells + cell  # read one day early
            weather = (precipitation[place], temperature[place], pet[place])
            load(values, daily, dynamic, int(held[day]) * lanes + lane, n_rows * lanes)
            if keep and active:
                put_five(stores, kept, day * _N_STORES * lanes + lane, lanes)
            stores, fluxes = day_of(network, hidden, today + stores + fourteen(values))
            everything = stores + fluxes + (fluxes[10] + fluxes[11] + fluxes[12],)
            slot = 0
            for i in range(_N_SERIES):
                if wanted >> i & 1:
                    if not whole:
                        row = passed * n_wanted + slot
                        page[(row * cells + here) * room + component] = weight * everything[i]
                    elif active:
                        series[(slot * n_days + day) * lanes + lane] = everything[i]
                    slot += 1
            passed += 1
            if n_wanted > 0 and not whole and (passed == days_a_page or day == n_days - 1):
                begin = day + 1 - passed
                sum_page(page, series, n_wanted, begin, passed, n_days, n_cells, n_components, divisor)
                passed = 0
        if active:
            put_five(stores, final, lane, lanes)

    return forward


def _make_product(zero: Any, day_of: Function) -> Function:
    @device
    def product(network, hidden, inputs, given, wanted):  # type: ignore[no-untyped-def]
        """Cotangents of means times what was averaged on a day: the gradient of the weight of a lane."""
        stores, fluxes = day_of(network, hidden, inputs)
        averaged = stores + fluxes + (fluxes[10] + fluxes[11] + fluxes[12],)
        total = zero
        for i in range(_N_SERIES):
            if wanted >> i & 1:
                total += given[i] * averaged[i]
        return total

    return product


def _make_backward(
    number: Any, kind: Any, day_of: Function, adjoint_of: Function, weighted: bool
) -> Callable[..., None]:
    zero, one = number(0.0), number(1.0)
    product = _make_product(zero, day_of)

    def backward(  # type: ignore[no-untyped-def]
        precipitation,
        temperature,
        pet,
        static,
        daily,
        held,
        network,
        weights,
        kept,
        d_series,
        d_final,
        d_weather,
        d_static,
        d_daily,
        d_weights,
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

        d_weather: (forcing, time, cell), selected by the bits of ``of_weather``
        d_static, d_daily, d_weights, d_initial: like ``static``, ``daily``, ``weights`` and ``initial``;
        ``d_daily`` starts at 0 and is only written if ``of_daily``
        d_output, inflows: (time, lane), written if ``of_network``: the cotangent of the output of NN_r
        before the sigmoid, and the inflow
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
        room = room_of(n_components)
        days_a_page = max(1, _PAGE // max(1, n_weather))
        share = weights[lane] if weighted else one if whole else one / number(n_components)
        d_weight = zero
        of_day, of_place = (lanes, lane) if whole else (n_cells, cell)
        load(values, static, ~dynamic, lane, lanes)
        for i in range(_N_PARAMETERS):
            gradients[i] = zero
        for i in range(_N_SERIES):
            given[i] = zero
        d_stores = five(d_final, lane, lanes)
        last = n_days - 1
        place = last * n_cells + cell
        weather = (precipitation[place], temperature[place], pet[place])
        stores = five(kept, last * _N_STORES * lanes + lane, lanes)
        coming = last % days_a_page  # days still to be written to the page
        for day in range(last, -1, -1):
            before = weather + stores
            ahead = max(day - 1, 0)
            place = ahead * n_cells + cell
            weather = (precipitation[place], temperature[place], pet[place])
            stores = five(kept, ahead * _N_STORES * lanes + lane, lanes)
            load(values, daily, dynamic, int(held[day]) * lanes + lane, n_rows * lanes)
            place = day * of_day + of_place
            for i in range(_N_SERIES):
                if wanted >> i & 1:
                    given[i] = d_series[place]
                    place += n_days * of_day
            if weighted:
                d_weight += product(network, hidden, before + fourteen(values), given, wanted)
            for i in range(_N_SERIES):
                if wanted >> i & 1:
                    given[i] *= share
            a, b, c, d, e = d_stores
            d_stores = (a + given[0], b + given[1], c + given[2], d + given[3], e + given[4])
            runoff = given[18]
            d_fluxes = (given[5], given[6], given[7], given[8], given[9], given[10], given[11], given[12])
            d_flows = (given[13], given[14], given[15] + runoff, given[16] + runoff, given[17] + runoff)
            d_stores, d_parameters, d_today, d_total, inflow = adjoint_of(
                network, hidden, before + fourteen(values) + d_stores + d_fluxes + d_flows
            )
            for i in range(_N_PARAMETERS):
                today[i] = d_parameters[i]
                gradients[i] += d_parameters[i]
            if of_daily and active:
                add(today, d_daily, dynamic, int(held[day]) * lanes + lane, n_rows * lanes)
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
                sum_page(page, d_weather, n_weather, day, days, n_days, n_cells, n_components, one)
        if active:
            save(gradients, d_static, ~dynamic, lane, lanes)
            put_five(d_stores, d_initial, lane, lanes)
            if weighted:
                d_weights[lane] = d_weight

    return backward


# ---- compiling and launching ------------------------------------------------------------------------

_ARGUMENTS = {"forward": (12, 11), "backward": (18, 12)}  # pointers and integers


def built(
    kind: str, dtype: torch.dtype, with_network: bool, weighted: bool = False
) -> tuple[Callable[..., None], Any]:
    """A kernel's Python function, and the signature to compile it for."""
    number = NUMBERS[dtype]
    real = types.float64 if dtype == torch.float64 else types.float32
    day, adjoint = (make_with_network if with_network else make_plain)(number)
    n_pointers, n_integers = _ARGUMENTS[kind]
    signature = types.void(*[types.CPointer(real)] * n_pointers, *[types.int64] * n_integers)
    if kind == "forward":
        return _make_forward(number, real, day), signature
    return _make_backward(number, real, day, adjoint, weighted), signature


@cache
def compiled(kind: str, dtype: torch.dtype, with_network: bool, weighted: bool = False) -> Any:
    """The ``forward`` or ``backward`` kernel for float32 or float64; the latter also for weighted means."""
    function, signature = built(kind, dtype, with_network, weighted)
    if SIMULATED:
        return cuda.jit(function)
    kernel = cuda.jit(signature, lto=False)(function)
    for overload in kernel.overloads.values():
        _round_all(overload)
    return kernel


def _round_all(overload: Any) -> None:
    """Compile without fused products and sums, so that kernels round exactly as the reference does.

    Otherwise the two could take different sides of a kink, see :mod:`hydroxr.support.compiled`. numba
    has no option for it, so this sets the option of the underlying compiler and compiles again. If a
    later version of numba moves that option, only such ties will differ.
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
    """Number of blocks, and of threads per block; a block holds whole cells."""
    cells = min(max(1, _THREADS // n_components), n_cells)
    return -(-n_cells // cells), cells * n_components


def launch(
    kind: str,
    n_rows: int,
    sizes: tuple[int, int, int],
    tensors: Sequence[Tensor],
    numbers: Sequence[int],
    weighted: bool,
) -> None:
    """Start a kernel on torch's current stream, without waiting for it.

    ``n_rows`` is the number of values per day and lane to sum over components. ``sizes`` are days, cells
    and components. ``tensors`` are contiguous; the seventh holds the weights of NN_r, or one number.
    """
    n_blocks, n_threads = blocks(*sizes[1:])
    like = tensors[0]
    room = sizes[2] | 1
    page = max(_PAGE, n_rows) * (n_threads // sizes[2]) * room * like.element_size()
    which = (kind, like.dtype, tensors[6].numel() >= N_WEIGHTS, weighted and kind == "backward")
    if SIMULATED:
        arrays = [tensor.detach().reshape(-1).numpy() for tensor in tensors]
        compiled(*which)[n_blocks, n_threads, 0, page](*arrays, *sizes, *numbers)
        return
    with torch.cuda.device(like.device), cuda.gpus[like.device.index]:
        stream = cuda.external_stream(torch.cuda.current_stream().cuda_stream)
        addresses = [tensor.data_ptr() for tensor in tensors]
        compiled(*which)[n_blocks, n_threads, stream, page](*addresses, *sizes, *numbers)
