"""Restarts: a run in pieces equals the run in one, because the state is complete."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hydroxr.conventions.variables import OUTPUTS
from hydroxr.physics import simulate
from tests.support.oracle import STORES
from tests.support.strategies import ROUTING, Case, cases, examples

CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # the same operations, but for the order of the routing's sums


def in_pieces(
    case: Case, cuts: list[int], state: dict[str, Any] | None = None, dtype: str = "float64", **options: Any
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Run from cut to cut with the state handed over; outputs put together again."""
    p, t, pet, parameters = case.astype(dtype)
    pieces: list[dict[str, Any]] = []
    for begin, end in zip([0, *cuts], [*cuts, case.days], strict=True):
        now = slice(begin, end)
        of_piece = {name: x[now] if x.ndim == 3 else x for name, x in parameters.items()}
        outputs, state = simulate(p[now], t[now], pet[now], of_piece, state, outputs=OUTPUTS, **options)
        pieces.append(outputs)
    assert state is not None
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in OUTPUTS}, state


def same(case: Case, cuts: list[int], close: dict[str, float] | None = None, **options: Any) -> None:
    """Assert that a run in pieces is the run in one."""
    whole, final = in_pieces(case, [], **options)
    pieces, last = in_pieces(case, cuts, **options)
    for name in OUTPUTS:
        np.testing.assert_allclose(
            pieces[name], whole[name], **(close or CLOSE), err_msg=f"{name}, cuts {cuts}"
        )
    assert set(last) == set(final)
    for name, value in final.items():
        np.testing.assert_allclose(
            last[name], value, **(close or CLOSE), err_msg=f"final {name}, cuts {cuts}"
        )


@pytest.mark.parametrize("cut", [1, 2, 5, 13, 14, 15, 16, 20, 26, 27, 29])
def test_two_runs_are_one_run_wherever_the_cut(cut: int):
    """Also before the unit hydrograph of 15 days is filled, and close to the end."""
    same(Case(51, 30, 3, 4, "temperate", dynamic=("BETA", "BETAET")), [cut])


def test_day_by_day_is_one_run():
    """A forecast that is continued every morning for 40 days gives the run in one."""
    same(Case(52, 40, 2, 3, "freeze-thaw", dynamic=("BETA",)), list(range(1, 40)))


def test_pieces_shorter_than_the_unit_hydrograph_are_one_run():
    """Runs of 3, 4, 1, 9, 13 and 2 days: a wave passes through several of them."""
    same(Case(53, 32, 2, 3, "wet"), [3, 7, 8, 17, 30])


@examples(30)
@given(cases(max_components=5), st.lists(st.integers(1, 59), unique=True, max_size=5), st.booleans())
def test_any_cuts_of_any_run_give_the_run_in_one(case: Case, cuts: list[int], components: bool):
    """Any weather, parameters at bounds, static or dynamic, with or without routing."""
    same(case, sorted(cut for cut in cuts if cut < case.days), components=components)


def test_a_run_from_a_given_state_may_be_cut_too():
    """With water in all stores and in the channel at the start."""
    case = Case(54, 25, 2, 3, "temperate")
    same(case, [4, 11], state=case.state())


def test_a_restart_in_float32_is_one_run_within_rounding():
    """1e-5 of the value: the routing may add in another order, the stores are handed over as they are."""
    case = Case(55, 40, 3, 8, "temperate")
    same(case, [6, 21], close={"rtol": 1e-5, "atol": 1e-5}, dtype="float32")
    _, final = in_pieces(case, [], dtype="float32")
    _, last = in_pieces(case, [6, 21], dtype="float32")
    for name in STORES:
        np.testing.assert_array_equal(last[name], final[name], err_msg=name)


def test_the_state_carries_the_water_in_the_channel():
    """Without it streamflow would be wrong for 14 days: the test that other programs fail."""
    case = Case(56, 30, 1, 2, "wet")
    whole, _ = in_pieces(case, [])
    _, state = simulate(*(x[:15] for x in case.forcing), case.parameters)
    assert state["channel_outflow"].sum() > 1.0
    forgetful = {**state, "channel_outflow": np.zeros_like(state["channel_outflow"])}
    rest = tuple(x[15:] for x in case.forcing)
    right, _ = simulate(*rest, case.parameters, state, outputs=("streamflow",))
    wrong, _ = simulate(*rest, case.parameters, forgetful, outputs=("streamflow",))
    np.testing.assert_allclose(right["streamflow"], whole["streamflow"][15:], **CLOSE)
    assert np.abs(wrong["streamflow"] - whole["streamflow"][15:]).max() > 0.1


def test_a_state_can_be_used_twice():
    """Going on from a state does not change it: an ensemble may start from one."""
    case = Case(57, 10, 2, 3, "temperate")
    _, state = simulate(*case.args)
    before = {name: x.copy() for name, x in state.items()}
    first, _ = simulate(*case.args, state, outputs=OUTPUTS)
    second, _ = simulate(*case.args, state, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name, value in before.items():
        np.testing.assert_array_equal(state[name], value, err_msg=name)


def test_tensors_restart_as_arrays_do():
    """The state of a run on tensors starts another run on tensors."""
    case = Case(58, 20, 2, 3, "freeze-thaw")
    whole, final = simulate(*case.args, outputs=OUTPUTS)
    p, t, pet = (torch.tensor(x) for x in case.forcing)
    parameters = {name: torch.tensor(x) for name, x in case.parameters.items()}
    first, state = simulate(p[:6], t[:6], pet[:6], parameters, outputs=OUTPUTS)
    second, last = simulate(p[6:], t[6:], pet[6:], parameters, state, outputs=OUTPUTS)
    for name in OUTPUTS:
        np.testing.assert_allclose(
            torch.cat([first[name], second[name]]).numpy(), whole[name], **CLOSE, err_msg=name
        )
    for name, value in final.items():
        np.testing.assert_allclose(last[name].numpy(), value, **CLOSE, err_msg=name)


def test_a_run_without_routing_may_be_cut():
    """The state of an unrouted run starts an unrouted run."""
    same(Case(59, 20, 2, 3, "temperate", without=ROUTING), [3, 15])
