"""bfloat16 for the LSTM while it is trained: close to float32, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import hydroxr as hx
from hydroxr.training.loop import precision as module
from hydroxr.training.loop.precision import lstm_precision
from tests.conftest import FIT
from tests.models.test_parameter_network import inputs, make


def test_hidden_states_are_close_to_those_of_float32() -> None:
    """What comes out is float32."""
    forcing, attributes = inputs()
    network = make(hidden=16, dropout=0.0).train()
    expected, _ = network(forcing, attributes)
    network.lstm_dtype = torch.bfloat16
    hidden, _ = network(forcing, attributes)
    assert hidden.dtype == torch.float32
    assert (hidden != expected).any()
    torch.testing.assert_close(hidden, expected, rtol=0.05, atol=0.02)


def test_gradients_are_close_to_those_of_float32() -> None:
    """Of every weight, in float32, as the optimiser wants them."""
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
    """What simulates, validates and is saved is the same network, whatever it was trained with."""
    forcing, attributes = inputs()
    network = make().eval()
    expected, _ = network(forcing, attributes)
    network.lstm_dtype = torch.bfloat16
    torch.testing.assert_close(network(forcing, attributes)[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize("dynamic", [(), ("BETA", "BETAET")])
def test_a_training_in_bfloat16_is_close_to_one_in_float32(ds: xr.Dataset, dynamic: tuple[str, ...]) -> None:
    """First losses within a hundredth; weights are float32 and the precision is noted."""
    spec = hx.DeltaHBV(components=2, hidden=8, dropout=0.0, dynamic=dynamic)
    options: dict[str, Any] = FIT | {"learning_rate": 0.01, "iterations": 5}
    models = [ds.hbv.fit(spec, precision=name, **options) for name in ("float32", "bfloat16")]
    losses = [model.history["loss"].values for model in models]
    assert (losses[0] != losses[1]).any()
    np.testing.assert_allclose(*losses, rtol=0.01)
    assert [model.training["precision"] for model in models] == ["float32", "bfloat16"]
    assert all(array.dtype == np.float32 for array in models[1].weights.values())


@pytest.mark.parametrize(
    ("bf16", "amx", "vendor", "expected"),
    [
        (False, False, "AuthenticAMD", "float32"),
        (True, False, "AuthenticAMD", "bfloat16"),
        (True, False, "GenuineIntel", "float32"),  # native, and no faster
        (True, True, "GenuineIntel", "bfloat16"),
        (True, False, "", "float32"),
    ],
)
def test_auto_is_bfloat16_where_that_is_native_and_faster(
    bf16: bool, amx: bool, vendor: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told from what the machine is, so that it is the same each time; not for tiny networks."""
    has = {"_is_avx512_bf16_supported": bf16, "_is_amx_tile_supported": amx}
    monkeypatch.setattr(module, "_has", has.__getitem__)
    monkeypatch.setattr(module, "_vendor", lambda: vendor)
    module._is_fast.cache_clear()
    try:
        assert lstm_precision("auto", "cpu", 256) == expected
        assert lstm_precision("auto", "cpu", 8) == "float32"
    finally:
        module._is_fast.cache_clear()


def test_a_precision_that_is_asked_for_is_taken() -> None:
    """Whatever the machine; and here auto is one of the two."""
    for name in ("float32", "bfloat16"):
        assert lstm_precision(name, "cpu", 8) == name
    assert lstm_precision("auto", "cpu", 256) in ("float32", "bfloat16")


def test_a_constant_network_has_no_lstm(ds: xr.Dataset) -> None:
    """float32, always."""
    model = ds.hbv.fit(hx.DeltaHBV(components=1, network="constant"), precision="bfloat16", **FIT)
    assert model.training["precision"] == "float32"
