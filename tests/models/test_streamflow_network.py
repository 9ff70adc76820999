"""The LSTM that gives streamflow: its target, its loss, its warm-up, against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hydroxr.errors import DescriptionError
from hydroxr.models.parameter_network import ParameterNetwork
from hydroxr.models.specs import DeltaHBV, LSTMStreamflow
from hydroxr.models.streamflow_network import StreamflowNetwork
from hydroxr.training.loop.arrays import TrainingData, ValidationData
from hydroxr.training.loop.batches import batch_output
from hydroxr.training.loop.losses import low_flow_loss, make_loss
from hydroxr.training.loop.modules import make_module
from hydroxr.training.loop.protocol import Protocol, make_protocol
from hydroxr.training.loop.validation import nse, simulate_piece

DAYS, CELLS, WARMUP = 90, 3, 50
FORCING = ("tmean", "prcp", "srad", "vp")  # precipitation is not the first


def data(seed: int = 0) -> TrainingData:
    """Random forcing (time, cell, 4), two attributes with a gap, streamflow with gaps and dry days."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.normal(8, 9, (DAYS, CELLS)),
        rng.gamma(0.5, 8, (DAYS, CELLS)),
        rng.uniform(50, 400, (DAYS, CELLS)),
        rng.uniform(200, 2000, (DAYS, CELLS)),
    ]
    attributes = rng.normal(50, 20, (CELLS, 2))
    attributes[1, 1] = np.nan
    observed = rng.gamma(0.7, 3, (DAYS, CELLS))
    observed[rng.random(observed.shape) < 0.2] = np.nan
    observed[:3] = 0.0
    forcing = np.stack(parts, axis=-1)
    return TrainingData(*(part.astype("float32") for part in (forcing, attributes, observed)))


def make(hidden: int = 6, seed: int = 1, **options: Any) -> StreamflowNetwork:
    """A network with random weights, normalised to :func:`data`."""
    torch.manual_seed(seed)
    module = make_module(LSTMStreamflow(hidden, FORCING, **options), data())
    assert isinstance(module, StreamflowNetwork)
    return module


def tensors() -> tuple[Tensor, Tensor]:
    """Forcing and attributes of :func:`data`."""
    given = data()
    return torch.from_numpy(given.forcing), torch.from_numpy(given.attributes)


def protocol(preset: str = "default", **options: Any) -> Protocol:
    """A protocol with a window of the days after the warm-up."""
    return make_protocol(preset, "streamflow", {"warmup": WARMUP, "window": DAYS - WARMUP} | options)


def test_normalisation_is_that_of_the_training_data() -> None:
    """Precipitation wherever it stands as log10(sqrt(P) + 0.1), streamflow by equation 2, all z-scored over
    cells and days."""
    network, given = make(), data()
    f = given.forcing.astype(float)
    f[..., 1] = np.log10(np.sqrt(f[..., 1]) + 0.1)
    np.testing.assert_allclose(network.forcing_mean, f.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(network.forcing_std, f.std((0, 1)), rtol=1e-5)
    flow = np.log10(np.sqrt(given.observed[np.isfinite(given.observed)].astype(float) + 1e-6) + 0.1)
    np.testing.assert_allclose(network.streamflow_mean, [flow.mean()], rtol=1e-5)
    np.testing.assert_allclose(network.streamflow_std, [flow.std()], rtol=1e-5)
    assert {"streamflow_mean", "streamflow_std"} <= network.state_dict().keys()


def test_streamflow_that_does_not_vary_is_not_blown_up() -> None:
    """A standard deviation of 0 counts as 1."""
    network = make()
    network.set_target(torch.full((5, 2), 2.0))
    assert float(network.streamflow_std) == 1.0
    assert torch.isfinite(network.normalised(torch.tensor([2.0, 3.0]))).all()


def test_streamflow_is_the_inverse_of_its_normalisation() -> None:
    """Both directions, also by hand; what would be negative is 0."""
    network = make().double()
    mean, std = float(network.streamflow_mean), float(network.streamflow_std)
    flow = np.array([0.0, 1e-4, 0.03, 1.0, 12.0, 300.0])
    y = (np.log10(np.sqrt(flow + 1e-6) + 0.1) - mean) / std
    np.testing.assert_allclose(network.normalised(torch.tensor(flow)), y, rtol=1e-12)
    np.testing.assert_allclose(network.streamflow(torch.tensor(y)), flow, rtol=1e-9, atol=1e-12)
    assert float(network.streamflow(torch.tensor(-9.0))) == 0.0


def test_the_loss_is_the_rmse_of_the_normalised_output() -> None:
    """By hand; it is the loss of low flows divided by the standard deviation."""
    network, given = make().double(), data()
    observed = torch.tensor(given.observed.astype(float))
    output = torch.tensor(np.random.default_rng(3).normal(0, 1, observed.shape))
    simulated, target = network.streamflow(output), network.normalised(observed)
    loss = make_loss("transformed")(simulated, observed, None, (output, target))
    valid = np.isfinite(given.observed)
    expected = np.sqrt(np.mean((output.numpy() - target.numpy())[valid] ** 2))
    assert float(loss) == pytest.approx(expected, rel=1e-12)
    inside = output.clamp(min=float(network.normalised(torch.tensor(0.0))))  # where streamflow is not cut
    one = make_loss("transformed")(simulated, observed, None, (inside, target))
    low = low_flow_loss(network.streamflow(inside), observed)
    assert float(one) == pytest.approx(float(low / network.streamflow_std), rel=1e-9)


def test_the_loss_has_a_gradient_where_streamflow_is_cut() -> None:
    """A loss of streamflow in mm/day has none there."""
    network = make()
    output = torch.tensor([[-20.0], [1.0]], requires_grad=True)
    observed = torch.tensor([[1.0], [torch.nan]])
    for name, moves in (("transformed", True), ("low_flow", False)):
        pair = (output, network.normalised(observed))
        loss = make_loss(name)(network.streamflow(output), observed, torch.ones(1), pair)
        (gradient,) = torch.autograd.grad(loss, output)
        assert bool(gradient[0] != 0) is moves
        assert gradient[1] == 0


def test_weights_of_loss_and_the_output_s_loss_add_up() -> None:
    """One loss combines them by name."""
    network = make()
    observed, output = torch.tensor([[1.0], [4.0]]), torch.tensor([[0.5], [0.3]])
    given = (network.streamflow(output), observed, torch.ones(1), (output, network.normalised(observed)))
    both = make_loss({"transformed": 2.0, "nse": 0.5})(*given)
    expected = 2.0 * make_loss("transformed")(*given) + 0.5 * make_loss("nse")(*given)
    torch.testing.assert_close(both, expected)


def test_days_without_gradient_change_no_value() -> None:
    """Also in training, where both parts share one dropout mask; state and outputs are the same."""
    forcing, attributes = tensors()
    for network in (make().eval(), make(dropout=0.5).train()):
        results = []
        for days in (0, WARMUP):
            torch.manual_seed(5)
            hidden, state = network(forcing, attributes, without_gradient=days)
            results.append((hidden, *state))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)


def test_gradients_pass_through_the_warmup_where_they_should() -> None:
    """By default, but not with the paper's preset. In both, the loss covers the days of the window."""
    network = make(dropout=0.0).train()
    forcing, attributes = tensors()
    for preset, through in (("default", True), ("paper", False)):
        leaf = forcing.clone().requires_grad_()
        output = batch_output(network, leaf, attributes, protocol(preset))
        assert output.shape == (DAYS - WARMUP, CELLS)
        (gradient,) = torch.autograd.grad(output.square().sum(), leaf)
        assert bool((gradient[WARMUP - 1] != 0).any()) is through
        assert (gradient[WARMUP:] != 0).any()
        hidden, _ = network(forcing, attributes)
        torch.testing.assert_close(output, network.output(hidden)[WARMUP:])
    whole = batch_output(network, forcing, attributes, protocol(warmup=0, window=DAYS, warmup_gradient=False))
    torch.testing.assert_close(whole, network.output(hidden))


def test_validation_is_its_streamflow_from_the_first_day_on() -> None:
    """In parts of the days as in one piece."""
    network, given = make().eval(), data()
    days = np.arange(1, len(given.forcing) + 1)
    judged = ValidationData(
        given.forcing, given.attributes, given.observed, given.forcing[-5:], np.arange(CELLS), days
    )
    with torch.no_grad():
        flow = simulate_piece(network, judged, slice(0, 2), "cpu")
        hidden, _ = network(torch.from_numpy(given.forcing), torch.from_numpy(given.attributes))
        expected = network.streamflow(network.output(hidden)).numpy()
    np.testing.assert_allclose(flow, expected[:, :2], rtol=1e-5, atol=1e-6)
    assert np.isfinite(nse(flow, given.observed[:, :2])).all()


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_the_presets_are_those_of_the_models_beside_it(preset: str) -> None:
    """Except for its own loss in the paper's preset."""
    own, other = make_protocol(preset, "streamflow", {}), make_protocol(preset, "lstm", {})
    differs = {name for name, value in own.to_dict().items() if value != other.to_dict()[name]}
    assert differs == ({"loss"} if preset == "paper" else set())
    assert own.loss == ("transformed" if preset == "paper" else {"nse": 1.0, "low_flow": 1.0})
    assert make_protocol(preset, "streamflow", {"loss": "kge"}).loss == "kge"
    assert make_protocol(preset, "streamflow", {"optimizer": "adadelta"}).learning_rate == 1.0


@pytest.mark.parametrize("loss", ["transformed", {"nse": 1.0, "transformed": 0.5}])
@pytest.mark.parametrize("network", ["lstm", "constant"])
def test_a_delta_model_has_no_such_loss(network: str, loss: Any) -> None:
    """The message names the loss that it has."""
    with pytest.raises(DescriptionError, match=r"'transformed'.*LSTMStreamflow.*'low_flow'"):
        make_protocol("default", network, {"loss": loss})


def test_parameter_networks_are_drawn_as_before() -> None:
    """The common weights are drawn first, in the same order: the same seed gives the same weights."""
    torch.manual_seed(2)
    drawn = [StreamflowNetwork(LSTMStreamflow(4, ("prcp", "tmean", "pet")), 2).state_dict()]
    torch.manual_seed(2)
    drawn.append(ParameterNetwork(DeltaHBV(hidden=4, network="lstm"), 2).state_dict())
    for name in ("encode.weight", "encode.bias", "weight_input", "weight_hidden", "bias_hidden"):
        assert torch.equal(drawn[0][name], drawn[1][name])
