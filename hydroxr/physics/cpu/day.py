"""One day of one slab, and its adjoint; importing this imports numba.

The loop over the lanes of a slab (:mod:`.slabs`) touches no other memory and has no branches, so that
the compiler turns it into vector instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import overload

from ...support.compiled import INLINED, OPTIONS, inlined
from ..adjoint import make_adjoint
from ..equations import make_day
from .elementary import logarithm_32, logarithm_64, maximum, minimum, power_32, power_64, where
from .network import advance_with_network, retreat_with_network
from .rows import LANES, add_to_lane, ahead, copy_rows, get_lane, set_lane
from .slabs import (
    COTANGENT,
    FLUX,
    GRADIENT,
    INPUTS_OF_DAY,
    N_FLUXES,
    N_STORES,
    RUNOFF,
    STORE,
    WEATHER,
    WEATHER_GRADIENT,
)

# ---- the day and its adjoint, for each precision ------------------------------------------------

_DAYS = {
    types.float32: make_day(minimum, maximum, power_32, where, np.float32, inlined),
    types.float64: make_day(minimum, maximum, power_64, where, np.float64, inlined),
}
_ADJOINTS = {
    types.float32: make_adjoint(minimum, maximum, power_32, where, logarithm_32, np.float32, inlined),
    types.float64: make_adjoint(minimum, maximum, power_64, where, logarithm_64, np.float64, inlined),
}


# Placeholders: the compiler replaces them by the function for the precision of the arguments. (numba
# would not find a kernel that closes over compiled functions in its cache on disk.)
def _day(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def _adjoint(*arguments):  # type: ignore[no-untyped-def]
    raise NotImplementedError


@overload(_day, jit_options=INLINED)
def _day_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _DAYS[arguments[0]]
    return lambda *arguments: function(*arguments)


@overload(_adjoint, jit_options=INLINED)
def _adjoint_of_precision(*arguments):  # type: ignore[no-untyped-def]
    function = _ADJOINTS[arguments[0]]
    return lambda *arguments: function(*arguments)


# ---- loops over lanes ---------------------------------------------------------------------------


@inlined
def _advance(slab, weather, everything):  # type: ignore[no-untyped-def]
    """Advance one slab by one day; write all fluxes with ``everything``, otherwise only the runoff."""
    copy_rows(weather, 0, slab, WEATHER * LANES, 3)
    for c in range(LANES):
        stores, fluxes = _day(*get_lane(slab, WEATHER * LANES + c, INPUTS_OF_DAY))
        set_lane(slab, STORE * LANES + c, stores)
        if everything:
            set_lane(slab, FLUX * LANES + c, fluxes)
        set_lane(slab, RUNOFF * LANES + c, (fluxes[-3] + fluxes[-2] + fluxes[-1],))


@inlined
def _retreat(slab, before, weather, everything):  # type: ignore[no-untyped-def]
    """The adjoint of one day of one slab.

    It replaces the cotangents of the stores and adds to the gradients. ``before`` are the stores before
    the day. With ``everything`` all fluxes have cotangents and the weather gets gradients; otherwise only
    the runoff has a cotangent.
    """
    copy_rows(weather, 0, slab, WEATHER * LANES, 3)
    copy_rows(before, 0, slab, STORE * LANES, N_STORES)
    for c in range(LANES):
        (runoff,) = get_lane(slab, RUNOFF * LANES + c, 1)
        none = type(runoff)(0.0)
        fluxes = (none, none, none, none, none, none, none, none, none, none, none, none, none)
        if everything:
            fluxes = get_lane(slab, FLUX * LANES + c, N_FLUXES)
        leaving = (fluxes[-3] + runoff, fluxes[-2] + runoff, fluxes[-1] + runoff)
        cotangents = get_lane(slab, COTANGENT * LANES + c, N_STORES) + fluxes[:-3] + leaving
        stores, parameters, forcing = _adjoint(
            *(get_lane(slab, WEATHER * LANES + c, INPUTS_OF_DAY) + cotangents)
        )
        set_lane(slab, COTANGENT * LANES + c, stores)
        add_to_lane(slab, GRADIENT * LANES + c, parameters)
        if everything:
            set_lane(slab, WEATHER_GRADIENT * LANES + c, forcing)


@njit(**OPTIONS)
def advance_all(memory, weather, part, everything, network, like):  # type: ignore[no-untyped-def]
    """Advance all slabs of the groups of a part by one day; ``weather`` has three rows per group."""
    step = part.rows * LANES
    for g in range(part.n_groups):
        weather_of_group = ahead(weather, g * 3 * LANES)
        for s in range(g * part.n_slabs, (g + 1) * part.n_slabs):
            slab = ahead(memory, s * step)
            if network is not None:
                advance_with_network(slab, weather_of_group, everything, network, like)
            elif everything:
                _advance(slab, weather_of_group, True)
            else:
                _advance(slab, weather_of_group, False)


@njit(**OPTIONS)
def retreat_all(memory, before, weather, part, everything, network, like):  # type: ignore[no-untyped-def]
    """The adjoint of ``advance_all``."""
    step = part.rows * LANES
    for g in range(part.n_groups):
        weather_of_group = ahead(weather, g * 3 * LANES)
        for s in range(g * part.n_slabs, (g + 1) * part.n_slabs):
            slab, stores = ahead(memory, s * step), ahead(before, s * N_STORES * LANES)
            if network is not None:
                lanes = min(LANES, part.lanes - g * LANES)
                retreat_with_network(slab, stores, weather_of_group, everything, network, like, lanes)
            elif everything:
                _retreat(slab, stores, weather_of_group, True)
            else:
                _retreat(slab, stores, weather_of_group, False)
