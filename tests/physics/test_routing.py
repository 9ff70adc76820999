"""What the program promises about the unit hydrograph."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hydroxr.physics import routing, simulate
from hydroxr.physics.parameters import PARAMETERS
from tests.support.oracle import STORES, unit_hydrograph
from tests.support.strategies import ROUTING, Case, cases, examples

CORNERS = [(0.1, 0.5), (0.1, 7.0), (3.0, 0.5), (3.0, 7.0), (1.0, 2.0), (2.3, 3.1)]


def gamma_density(t: float, shape: float, scale: float) -> float:
    """Density of the gamma distribution, as in any table."""
    return t ** (shape - 1) * math.exp(-t / scale) / (math.gamma(shape) * scale**shape)


def gamma_ordinates(shape: float, scale: float) -> np.ndarray:
    """The density at 0.5, 1.5, ..., 14.5 days, divided by its sum."""
    density = np.array([gamma_density(lag + 0.5, shape, scale) for lag in range(15)])
    return density / density.sum()


def all_rain_runs_off(rain: np.ndarray, shape, scale, dtype: str = "float64"):
    """A cell whose runoff is its rain: soil at field capacity, no ET, all of the upper zone leaves at once.

    Streamflow, channel storage, runoff, final state for rain (time,) and one or more shapes and scales.
    """
    shape, scale = (np.atleast_1d(np.asarray(x, dtype=dtype)) for x in (shape, scale))
    cells = shape.size
    values = {"FC": 100.0, "BETA": 1.0, "K0": 1.0, "K1": 1.0, "K2": 0.0, "LP": 1.0, "PERC": 0.0, "UZL": 0.0}
    values |= {"TT": 0.0, "CFMAX": 1.0, "CFR": 0.0, "CWH": 0.0}
    parameters = {name: np.full((cells, 1), value, dtype=dtype) for name, value in values.items()}
    state = {name: np.zeros((cells, 1), dtype=dtype) for name in STORES}
    state["soil_moisture"][:] = 100.0
    state["channel_outflow"] = np.zeros((cells, 14), dtype=dtype)
    p = np.repeat(rain.astype(dtype)[:, None], cells, axis=1)
    outputs, final = simulate(
        p,
        np.full_like(p, 10.0),
        np.zeros_like(p),
        {**parameters, "UH_SHAPE": shape, "UH_SCALE": scale},
        state,
        outputs=("streamflow", "channel_storage", "runoff"),
    )
    np.testing.assert_allclose(outputs["runoff"], p, rtol=1e-6 if dtype == "float32" else 1e-14)
    return outputs["streamflow"], outputs["channel_storage"], outputs["runoff"], final


def pulse(days: int = 30, on: int = 0, size: float = 1.0) -> np.ndarray:
    """One day of water."""
    rain = np.zeros(days)
    rain[on] = size
    return rain


@pytest.mark.parametrize(("shape", "scale"), CORNERS)
def test_unit_hydrograph_is_the_gamma_density_sampled_at_mid_days(shape: float, scale: float):
    """A pulse leaves by the normalised density at 0.5 ... 14.5 days; nothing is left after that."""
    streamflow, _, _, _ = all_rain_runs_off(pulse(), shape, scale)
    expected = np.concatenate([gamma_ordinates(shape, scale), np.zeros(15)])
    np.testing.assert_allclose(streamflow[:, 0], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(unit_hydrograph(shape, scale), expected[:15], rtol=1e-12)


@examples(30)
@given(st.floats(0.1, 3.0), st.floats(0.5, 7.0))
def test_unit_hydrograph_sums_to_one(shape: float, scale: float):
    """For any shape and scale in their ranges, all water leaves and none is created."""
    streamflow, _, _, _ = all_rain_runs_off(pulse(15), shape, scale)
    assert streamflow.sum() == pytest.approx(1.0, abs=1e-12)
    assert (streamflow >= 0).all()


@pytest.mark.parametrize("on", [0, 1, 7, 20])
def test_a_delayed_pulse_gives_the_same_wave_later(on: int):
    """Routing is causal and the same on every day: no water before the rain."""
    streamflow, _, _, _ = all_rain_runs_off(pulse(40, on, 8.0), 2.3, 3.1)
    expected = np.zeros(40)
    expected[on : on + 15] = 8.0 * gamma_ordinates(2.3, 3.1)
    np.testing.assert_allclose(streamflow[:, 0], expected, rtol=1e-12, atol=1e-14)
    assert (streamflow[:on] == 0).all()


@examples(30)
@given(cases(optional=False, max_components=6))
def test_streamflow_is_the_convolution_of_the_mean_runoff(case: Case):
    """Components are averaged first; then each cell has one unit hydrograph."""
    outputs, _ = simulate(*case.args, outputs=("runoff", "streamflow"))
    for cell in range(case.cells):
        weights = gamma_ordinates(case.parameters["UH_SHAPE"][cell], case.parameters["UH_SCALE"][cell])
        expected = np.convolve(outputs["runoff"][:, cell], weights)[: case.days]
        np.testing.assert_allclose(outputs["streamflow"][:, cell], expected, rtol=1e-11, atol=1e-12)


@examples(30)
@given(cases(optional=False, max_components=6))
def test_water_in_the_channel_is_what_ran_off_and_has_not_left(case: Case):
    """Channel storage changes by runoff minus streamflow; at the end it equals the state."""
    start = case.state()
    outputs, final = simulate(*case.args, start, outputs=("runoff", "streamflow", "channel_storage"))
    before = start["channel_outflow"].sum(axis=1)
    expected = before + np.cumsum(outputs["runoff"] - outputs["streamflow"], axis=0)
    np.testing.assert_allclose(outputs["channel_storage"], expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(final["channel_outflow"].sum(axis=1), expected[-1], rtol=0, atol=1e-9)
    assert (outputs["channel_storage"] >= 0).all()
    assert (final["channel_outflow"] >= 0).all()


def test_the_state_says_on_which_day_channel_water_will_leave():
    """After a pulse of one day, channel_outflow is the rest of the unit hydrograph."""
    _, storage, _, final = all_rain_runs_off(pulse(1, 0, 10.0), 2.3, 3.1)
    rest = 10.0 * gamma_ordinates(2.3, 3.1)[1:]
    np.testing.assert_allclose(final["channel_outflow"][0], rest, rtol=1e-12)
    assert storage[0, 0] == pytest.approx(rest.sum(), rel=1e-12)


def test_water_in_the_channel_at_the_start_leaves_on_its_days():
    """channel_outflow of the initial state is added to the streamflow of the first 14 days."""
    case = Case(31, 20, 2, 3, "dry")
    filled = case.state()
    empty = {**filled, "channel_outflow": np.zeros((2, 14))}
    with_water, _ = simulate(*case.args, filled, outputs=("streamflow",))
    without, _ = simulate(*case.args, empty, outputs=("streamflow",))
    added = with_water["streamflow"] - without["streamflow"]
    np.testing.assert_allclose(added[:14], filled["channel_outflow"].T, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(added[14:], 0.0, atol=1e-12)


def test_each_cell_has_its_own_unit_hydrograph():
    """Shape and scale of one cell do not affect another."""
    shapes, scales = np.array(CORNERS).T
    streamflow, _, _, _ = all_rain_runs_off(pulse(), shapes, scales)
    for cell, (shape, scale) in enumerate(CORNERS):
        np.testing.assert_allclose(streamflow[:15, cell], gamma_ordinates(shape, scale), rtol=1e-12)


@pytest.mark.parametrize("shape", [0.1, 3.0])
@pytest.mark.parametrize("scale", [0.5, 7.0])
def test_extreme_unit_hydrographs_are_finite_in_float32(shape: float, scale: float):
    """At the corners of the ranges: finite, not negative, sum one, the same as in float64 to 1e-6."""
    streamflow, storage, _, _ = all_rain_runs_off(pulse(), shape, scale, "float32")
    assert streamflow.dtype == np.float32
    assert np.isfinite(streamflow).all()
    assert np.isfinite(storage).all()
    assert (streamflow >= 0).all()
    assert (storage >= 0).all()
    np.testing.assert_allclose(streamflow[:15, 0], gamma_ordinates(shape, scale), rtol=1e-4, atol=1e-6)
    assert float(streamflow.astype("float64").sum()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "scale"), [(1e-3, 1e-3), (1.0, 0.004), (2.0, 1e5), (500.0, 3.0), (1e4, 1e4)]
)
def test_unit_hydrographs_far_outside_the_learned_ranges_still_sum_to_one(shape, scale, dtype):
    """Any positive values are allowed: a scale of minutes means no delay, not a division of 0 by 0."""
    assert PARAMETERS["UH_SHAPE"].least < shape
    assert PARAMETERS["UH_SCALE"].least < scale
    streamflow, storage, _, _ = all_rain_runs_off(pulse(20), shape, scale, dtype)
    assert np.isfinite(streamflow).all()
    assert np.isfinite(storage).all()
    # float32: the exponent (shape - 1) log t - t / scale is as large as some 1e4, rounded to 1e-3
    close = {"rtol": 1e-10, "atol": 1e-12} if dtype == "float64" else {"rtol": 2e-2, "atol": 1e-3}
    np.testing.assert_allclose(streamflow[:15, 0], unit_hydrograph(shape, scale), **close)
    assert float(streamflow.astype("float64").sum()) == pytest.approx(1.0, abs=1e-5)


def test_without_unit_hydrograph_streamflow_is_runoff():
    """Without UH_SHAPE and UH_SCALE nothing is delayed, and the channel is empty."""
    case = Case(32, 20, 2, 3, "temperate", without=ROUTING)
    outputs, _ = simulate(*case.args, outputs=("runoff", "streamflow", "channel_storage"))
    np.testing.assert_array_equal(outputs["streamflow"], outputs["runoff"])
    assert (outputs["channel_storage"] == 0).all()


def test_routing_changes_nothing_but_streamflow_and_channel():
    """Runoff and the stores of HBV are the same with and without a unit hydrograph."""
    case = Case(33, 20, 2, 3, "freeze-thaw")
    unrouted = {name: x for name, x in case.parameters.items() if name not in ROUTING}
    names = ("runoff", *STORES)
    routed, _ = simulate(*case.args, outputs=names)
    bare, _ = simulate(*case.forcing, unrouted, outputs=names)
    for name in names:
        np.testing.assert_array_equal(routed[name], bare[name], err_msg=name)


# ---------------------------------------------------------------------------------------------------
# The compiled convolution

SIZES = [(1, 1), (5, 2), (13, 9), (14, 8), (15, 17), (127, 3), (129, 70), (300, 100)]
Tensors = tuple[torch.Tensor, ...]


@pytest.fixture
def compiled() -> None:
    """Skip a test without numba."""
    pytest.importorskip("numba")


def channel(days: int, cells: int, dtype: torch.dtype = torch.float64) -> Tensors:
    """Runoff, shape, scale and arriving water."""
    generator = torch.Generator().manual_seed(days + cells)

    def some(*size: int) -> torch.Tensor:
        return torch.rand(size, generator=generator, dtype=torch.float64).to(dtype)

    return some(days, cells), 0.1 + 2.9 * some(cells), 0.5 + 6.5 * some(cells), some(cells, 14)


def routed(inputs: Tensors, **options: bool) -> Tensors:
    """All results of routing."""
    return (*routing.route(*inputs, **options), routing.in_transit(*inputs, **options))


def with_gradients(inputs: Tensors, **options: bool) -> list[torch.Tensor]:
    """Results, and gradients of all inputs for random cotangents of the results."""
    leaves = [value.detach().requires_grad_() for value in inputs]
    results = routed(tuple(leaves), **options)
    generator = torch.Generator().manual_seed(7)
    cotangents = [torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.dtype) for x in results]
    return [*results, *torch.autograd.grad(results, leaves, cotangents)]


@pytest.mark.parametrize(("days", "cells"), SIZES)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_kernel_equals_torchs_convolution(days, cells, dtype, close, compiled):
    """Results and gradients, for lengths around those of the hydrograph and of a chunk."""
    inputs = channel(days, cells, dtype)
    found = with_gradients(inputs)
    expected = with_gradients(inputs, compiled=False)
    for value, other in zip(found, expected, strict=True):
        size = max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(value, other, rtol=close, atol=close * size)


def test_gradcheck_of_routing():
    """Finite differences, with respect to runoff, shape, scale and arriving water."""
    inputs = tuple(value.requires_grad_() for value in channel(20, 3))
    assert torch.autograd.gradcheck(lambda *values: routed(values), inputs, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("days", [5, 30])
def test_a_single_input_of_routing_that_needs_a_gradient(which: int, days: int):
    """Its gradient equals the one among all inputs, also if only one result has a cotangent."""
    inputs = channel(days, 4)
    for result in range(3):
        everything = [value.clone().requires_grad_() for value in inputs]
        expected = torch.autograd.grad(routed(tuple(everything))[result].sum(), everything)[which]
        alone = [value.clone().requires_grad_(place == which) for place, value in enumerate(inputs)]
        (found,) = torch.autograd.grad(routed(tuple(alone))[result].sum(), alone[which])
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_threads_change_no_digit_of_routing(compiled):
    """Results are equal for any number of threads and for calls from another thread."""
    inputs = channel(2000, 200, torch.float32)
    number = torch.get_num_threads()
    outcomes: list[list[torch.Tensor]] = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            outcomes.append(with_gradients(inputs))
        thread = threading.Thread(target=lambda: outcomes.append(with_gradients(inputs)))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(number)
    assert len(outcomes) == 4
    # The hydrograph's own gradient is torch's, a sum over 15 days in its order.
    for outcome in outcomes[1:]:
        assert all(torch.equal(value, first) for value, first in zip(outcome, outcomes[0], strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_nan_reaches_the_days_that_its_water_does(dtype: torch.dtype, compiled):
    """A NaN affects 15 days of streamflow and the channel of its cell, and nothing else."""
    runoff, *others = channel(60, 11, dtype)
    clean = routed((runoff, *others))
    runoff = runoff.clone()
    runoff[30, 4] = torch.nan
    streamflow, arriving, stored = routed((runoff, *others))
    assert torch.isnan(streamflow[30:45, 4]).all()
    assert torch.isnan(stored[30:44, 4]).all()
    for value, before in ((streamflow, clean[0]), (stored, clean[2])):
        value[30:45, 4] = before[30:45, 4]
        assert torch.equal(value, before)
    assert torch.equal(arriving, clean[1])


def test_routing_reads_and_differentiates_any_layout():
    """Strides of zero, transposed axes and slices with steps, also in cotangents."""
    runoff, shape, scale, arriving = channel(40, 18)
    inputs = (
        runoff.T.contiguous().T,
        torch.stack([shape] * 2, -1)[:, 0],
        scale[:1].expand(18),
        arriving.T.contiguous().T,
    )
    plain = tuple(value.contiguous() for value in inputs)
    for value, other in zip(with_gradients(inputs), with_gradients(plain), strict=True):
        assert torch.equal(value, other)
    leaf = runoff.clone().requires_grad_()
    sum(value.sum() for value in routed((leaf, shape, scale, arriving))).backward()  # strides of zero
    cotangents = torch.ones_like(runoff)
    other = runoff.clone().requires_grad_()
    results = routed((other, shape, scale, arriving))
    (expected,) = torch.autograd.grad(
        results, other, [cotangents, torch.ones_like(results[1]), cotangents.T.contiguous().T]
    )
    torch.testing.assert_close(leaf.grad, expected, rtol=1e-12, atol=1e-14)


def test_routing_without_gradients_keeps_nothing():
    """Without inputs that require gradients, under no_grad and inference_mode, results require none."""
    inputs = channel(20, 3)
    assert not any(value.requires_grad for value in routed(inputs))
    inputs[0].requires_grad_()
    with torch.no_grad():
        assert not any(value.requires_grad for value in routed(inputs))
    with torch.inference_mode():
        assert not any(value.requires_grad for value in routed(inputs))
    assert all(value.requires_grad for value in routed(inputs))
