"""The parameter network g_A against torch's own layers and plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hydroxr.models.parameter_network import ParameterNetwork, to_parameters, transform_precipitation
from hydroxr.models.specs import DeltaHBV
from hydroxr.physics import PARAMETERS
from tests.support.strategies import TABLE

DAYS, CELLS, ATTRIBUTES = 75, 3, 4


def inputs(days: int = DAYS, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Forcing (time, cell, 3) and attributes (cell, attribute)."""
    rng = np.random.default_rng(seed)
    forcing = np.stack(
        [rng.gamma(0.5, 8, (days, CELLS)), rng.normal(8, 9, (days, CELLS)), rng.uniform(0, 6, (days, CELLS))],
        axis=-1,
    )
    return torch.tensor(forcing, dtype=torch.float32), torch.tensor(
        rng.normal(50, 20, (CELLS, ATTRIBUTES)), dtype=torch.float32
    )


def make(hidden: int = 8, seed: int = 1, **options: Any) -> ParameterNetwork:
    """A network with random weights, normalised to :func:`inputs`."""
    torch.manual_seed(seed)
    network = ParameterNetwork(DeltaHBV(components=2, hidden=hidden, network="lstm", **options), ATTRIBUTES)
    network.set_normalisation(*inputs())
    return network


def by_torch(network: ParameterNetwork, forcing: Tensor, attributes: Tensor, **weights: Tensor) -> Tensor:
    """Hidden states of the same network, from ``nn.Linear`` and ``nn.LSTM`` on inputs normalised in NumPy."""
    f, a = forcing.detach().numpy().astype(float), attributes.numpy().astype(float)
    f = f.copy()
    f[..., 0] = np.log10(np.sqrt(f[..., 0]) + 0.1)
    f = (f - network.forcing_mean.numpy()) / network.forcing_std.numpy()
    a = (a - network.attribute_mean.numpy()) / network.attribute_std.numpy()
    both = np.concatenate([f, np.broadcast_to(np.nan_to_num(a), (len(f), *a.shape))], axis=-1)
    hidden = network.description.hidden
    linear, lstm = nn.Linear(both.shape[-1], hidden), nn.LSTM(hidden, hidden)
    named = {
        "weight_ih_l0": network.weight_input,
        "weight_hh_l0": network.weight_hidden,
        "bias_ih_l0": network.bias_input,
        "bias_hh_l0": network.bias_hidden,
    } | weights
    linear.load_state_dict(network.encode.state_dict())
    lstm.load_state_dict({name: value.detach() for name, value in named.items()})
    with torch.no_grad():
        return lstm(torch.relu(linear(torch.tensor(both, dtype=torch.float32))))[0]


def test_it_is_a_linear_layer_an_lstm_and_a_linear_layer() -> None:
    """Hidden states are those of torch's own layers with the same weights."""
    network = make().eval()
    forcing, attributes = inputs()
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            hidden, (h, _) = network(forcing, attributes)
        torch.testing.assert_close(
            hidden.detach(), by_torch(network, forcing, attributes), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(hidden[-1], h)


def test_parameters_are_a_sigmoid_of_the_last_layer_in_their_ranges() -> None:
    """By hand for one cell and day, in the order of the table: one number per component, one for routing."""
    network = make(dynamic=("BETA",)).eval()
    forcing, attributes = inputs()
    hidden = network(forcing, attributes)[0].detach()
    weight, bias = (value.detach().numpy().astype(float) for value in network.decode.parameters())
    unit = 1 / (1 + np.exp(-(hidden[7, 1].numpy() @ weight.T + bias)))
    names = [name for name in TABLE if name != "BETAET"]
    place = 0
    for name in names:
        width = 1 if name.startswith("UH_") else 2
        row = PARAMETERS[name]
        expected = row.lower + (row.upper - row.lower) * unit[place : place + width]
        actual = network.parameters_from(hidden, (name,))[name][7, 1].detach().numpy()
        np.testing.assert_allclose(np.atleast_1d(actual), expected, rtol=1e-5)
        place += width
    assert place == len(bias)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (DeltaHBV(components=1, network="lstm"), 14),
        (DeltaHBV(components=16, network="lstm"), 194),
        (DeltaHBV(components=16, dynamic=("BETAET",), network="lstm"), 210),
        (DeltaHBV(components=16, dynamic=("BETA", "BETAET"), network="lstm"), 210),
    ],
)
def test_size_of_the_output(spec: DeltaHBV, size: int) -> None:
    """14 for δ1, 194 for δn, 210 with BETAET, as published."""
    assert spec.size == size
    assert ParameterNetwork(spec, 35).decode.out_features == size
    assert ParameterNetwork(spec, 35).encode.in_features == 38


@pytest.mark.parametrize(("output", "bound"), [(-1e4, "lower"), (1e4, "upper")])
def test_the_ends_of_the_output_are_the_ends_of_the_ranges(output: float, bound: str) -> None:
    """Through a sigmoid."""
    spec = DeltaHBV(components=3, dynamic=("BETAET",), network="lstm")
    parameters = to_parameters(torch.full((2, spec.size), output), spec)
    assert list(parameters) == list(TABLE)
    for name, value in parameters.items():
        assert value.shape == ((2,) if name.startswith("UH_") else (2, 3))
        np.testing.assert_allclose(value, getattr(PARAMETERS[name], bound), rtol=1e-6)


def test_normalisation_is_that_of_the_training_data() -> None:
    """Means and deviations over all cells and days; precipitation as log10(sqrt(P) + 0.1); NaN attributes do
    not count."""
    forcing, attributes = inputs()
    attributes[1, 2] = torch.nan
    attributes[:, 3] = 5.0
    network = make()
    network.set_normalisation(forcing, attributes)
    f, a = forcing.numpy().astype(float), attributes.numpy().astype(float)
    f[..., 0] = np.log10(np.sqrt(f[..., 0]) + 0.1)
    np.testing.assert_allclose(network.forcing_mean, f.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(network.forcing_std, f.std((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(network.attribute_mean, np.nanmean(a, 0), rtol=1e-5)
    np.testing.assert_allclose(network.attribute_std[:3], np.nanstd(a[:, :3], 0), rtol=1e-5)


@pytest.mark.parametrize(("spread", "least"), [(0.0, 0.0), (5e-4, 1e-3)])
def test_what_does_not_vary_is_not_amplified(spread: float, least: float) -> None:
    """Attributes and forcing that are constant, in any unit, or vary by less than the paper's 0.001."""
    forcing, attributes = inputs()
    attributes[:, 0] = 7 + spread * torch.tensor([-1.0, 0.0, 1.0])
    attributes[:, 1] = 7e-9
    forcing[..., 2] = 3.0
    network = make()
    network.set_normalisation(forcing, attributes, least)
    assert network.attribute_std[:2].tolist() == [1.0, 1.0]
    assert network.forcing_std[2] == 1.0


def test_normalised_inputs_do_not_depend_on_units() -> None:
    """A millionth of the values has a millionth of the deviation."""
    forcing, attributes = inputs()
    small = forcing.clone()
    small[..., 1:] *= 1e-6
    networks = [make(), make()]
    networks[0].set_normalisation(forcing, attributes)
    networks[1].set_normalisation(small, attributes * 1e-6)
    deviations = [torch.cat([each.forcing_std[1:], each.attribute_std]) for each in networks]
    torch.testing.assert_close(deviations[1] * 1e6, deviations[0])


def test_normalisation_is_kept_with_the_weights() -> None:
    """The normalisation is part of the network's state, so it is saved with it."""
    assert {"forcing_mean", "forcing_std", "attribute_mean", "attribute_std"} <= make().state_dict().keys()


def test_a_missing_attribute_is_an_average_one() -> None:
    """NaN becomes 0 after normalisation."""
    network = make().eval()
    forcing, attributes = inputs()
    missing, average = attributes.clone(), attributes.clone()
    missing[2, 1] = torch.nan
    average[2, 1] = network.attribute_mean[1]
    hidden = network(forcing, missing)[0]
    assert not hidden.isnan().any()
    torch.testing.assert_close(hidden, network(forcing, average)[0])


def test_transform_of_precipitation() -> None:
    """log10(sqrt(P) + 0.1); a dry day is -1."""
    np.testing.assert_allclose(
        transform_precipitation(torch.tensor([0.0, 0.81, 98.01])), [-1.0, 0.0, 1.0], atol=1e-6
    )


@pytest.mark.parametrize("cut", [1, 20, 32, 74])
def test_a_run_in_two_parts_is_one_run(cut: int) -> None:
    """The network continues from its state."""
    network = make().eval()
    forcing, attributes = inputs()
    with torch.no_grad():
        whole, end = network(forcing, attributes)
        first, state = network(forcing[:cut], attributes)
        second, last = network(forcing[cut:], attributes, state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for part, expected in zip(last, end, strict=True):
        torch.testing.assert_close(part, expected)


def test_days_to_come_do_not_count() -> None:
    """The network is causal: a change on one day changes nothing before it."""
    network = make().eval()
    forcing, attributes = inputs()
    changed = forcing.clone()
    changed[40:] += 5.0
    with torch.no_grad():
        before, after = network(forcing, attributes)[0], network(changed, attributes)[0]
    torch.testing.assert_close(before[:40], after[:40])
    assert (before[40:] != after[40:]).any()


# --- Dropout on weights ---------------------------------------------------------------------------


def test_without_training_nothing_is_dropped() -> None:
    """Two passes are the same, with gradients or without."""
    network = make(dropout=0.5).eval()
    forcing, attributes = inputs()
    torch.testing.assert_close(
        network(forcing, attributes)[0], network(forcing, attributes)[0], rtol=0, atol=0
    )


def test_in_training_each_pass_has_a_mask_of_its_own() -> None:
    """Two passes differ; with a dropout of 0 they do not."""
    forcing, attributes = inputs()
    network = make(dropout=0.5).train()
    assert (network(forcing, attributes)[0] != network(forcing, attributes)[0]).any()
    network = make(dropout=0.0).train()
    torch.testing.assert_close(
        network(forcing, attributes)[0], network(forcing, attributes)[0], rtol=0, atol=0
    )


def test_in_training_one_mask_on_the_weights_serves_all_days() -> None:
    """The mask is read from the gradients (what was dropped has none); torch's LSTM with the weights that are
    left, scaled up, gives the same hidden states on every day. Half of the weights are left out, as in the
    paper."""
    network = make(hidden=16, dropout=0.5).train()
    forcing, attributes = inputs()
    hidden, _ = network(forcing, attributes)
    hidden.square().sum().backward()
    left = {}
    for own, name in (("weight_input", "weight_ih_l0"), ("weight_hidden", "weight_hh_l0")):
        weight = getattr(network, own)
        left[name] = torch.where(weight.grad != 0, weight.detach() / 0.5, 0.0)
    dropped = float((network.weight_hidden.grad == 0).float().mean())
    assert dropped == pytest.approx(0.5, abs=0.07)  # 1,024 weights: four standard deviations
    torch.testing.assert_close(
        hidden.detach(), by_torch(network, forcing, attributes, **left), rtol=1e-4, atol=1e-5
    )
    assert (network.bias_input.grad != 0).all()


def test_hidden_states_in_bfloat16_are_close_to_float32() -> None:
    """The output is float32."""
    forcing, attributes = inputs()
    network = make(hidden=16, dropout=0.0).train()
    expected, _ = network(forcing, attributes)
    network.lstm_dtype = torch.bfloat16
    hidden, _ = network(forcing, attributes)
    assert hidden.dtype == torch.float32
    assert (hidden != expected).any()
    torch.testing.assert_close(hidden, expected, rtol=0.05, atol=0.02)


def test_gradients_in_bfloat16_are_close_to_float32() -> None:
    """Gradients of all weights are float32, as the optimiser needs them."""
    forcing, attributes = inputs()
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        network = make(hidden=16, dropout=0.0).train()
        network.lstm_dtype = dtype
        values = network.parameters_from(network(forcing, attributes)[0], ("BETA", "FC"))
        (values["BETA"].mean() + values["FC"].mean() / 100).backward()
        found.append([weight.grad for weight in network.parameters() if weight.grad is not None])
    assert len(found[0]) == len(found[1]) > 6
    for expected, other in zip(*found, strict=True):
        assert other.dtype == torch.float32
        assert torch.linalg.norm(expected) > 0
        assert torch.linalg.norm(other - expected) < 0.1 * torch.linalg.norm(expected)


def test_without_training_all_is_float32() -> None:
    """The precision of the training does not change the network that validates, simulates and is saved."""
    forcing, attributes = inputs()
    network = make().eval()
    expected, _ = network(forcing, attributes)
    network.lstm_dtype = torch.bfloat16
    torch.testing.assert_close(network(forcing, attributes)[0], expected, rtol=0, atol=0)
