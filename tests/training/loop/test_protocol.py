"""How a model is trained: presets, changes to them, what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from hydroxr.errors import DescriptionError
from hydroxr.training.loop.protocol import Protocol, epoch_iterations, for_constant, make_protocol


def test_the_paper_s_protocol_is_the_paper_s() -> None:
    """Feng et al. (2022), sections 2.2.1 and 2.2.2, and the published code, written out."""
    protocol = make_protocol("paper", "lstm", {})
    assert protocol.to_dict() == {
        "preset": "paper",
        "loss": "paper",
        "optimizer": "adadelta",
        "learning_rate": 1.0,
        "schedule": "constant",
        "iterations": None,
        "epochs": 50,
        "batch": 100,
        "window": 365,
        "warmup": 365,
        "warmup_gradient": False,
        "warmup_parameters": "last day",
        "dropout": 0.5,
        "clip": None,
        "precision": "float32",
        "validate_every": 100,
        "patience": None,
        "seed": 0,
    }
    assert make_protocol("paper", "lstm", {}).least_deviation == 1e-3
    assert make_protocol("default", "lstm", {}).least_deviation == 0.0


def test_an_epoch_of_the_paper_has_431_iterations() -> None:
    """ceil(ln 0.01 / ln(1 - batch 365 / (basins (days - 365)))) for 671 basins and 15 years."""
    days = 15 * 365 + 3  # 1980-10-01 to 1995-09-30
    expected = math.ceil(math.log(0.01) / math.log(1 - 100 * 365 / (671 * (days - 365))))
    assert epoch_iterations(100, 365, 365, 671, days) == expected == 431
    assert make_protocol("paper", "lstm", {}).for_data(671, days).iterations == 50 * 431


def test_a_batch_that_holds_all_is_an_epoch() -> None:
    """One iteration, however small the data."""
    assert epoch_iterations(100, 365, 365, 2, 731) == 1
    assert epoch_iterations(4, 20, 10, 1, 30) == 1


@pytest.mark.parametrize("network", ["lstm", "streamflow", "constant"])
def test_the_default_has_gradients_through_the_warmup_and_a_term_for_low_flows(network: str) -> None:
    """Adam, with a rate that decays to 0 along half a cosine."""
    protocol = make_protocol("default", network, {})
    assert protocol.warmup_gradient
    assert protocol.warmup_parameters == "daily"
    assert protocol.loss == {"nse": 1.0, "low_flow": 1.0}
    assert protocol.optimizer == "adam"
    assert protocol.for_data(671, 5478) == protocol
    n, top = protocol.iterations, protocol.learning_rate
    assert n is not None
    assert protocol.rate(0) == top
    assert protocol.rate(n // 2) == pytest.approx(0.5 * top)
    assert 0 < protocol.rate(n - 1) < 1e-4 * top


def test_the_long_preset_is_the_default_with_more_iterations() -> None:
    """For a regional network; constant parameters have settled before."""
    for network in ("lstm", "streamflow"):
        default, long = make_protocol("default", network, {}), make_protocol("long", network, {})
        differs = {field.name for field in fields(Protocol)} - {
            field.name
            for field in fields(Protocol)
            if getattr(default, field.name) == getattr(long, field.name)
        }
        assert differs - {"loss"} == {"preset", "iterations"}
        assert long.iterations == 4500
        kge = {"kge": 0.3} if network == "lstm" else {}
        assert long.loss == {"nse": 1.0, "low_flow": 1.0, **kge}
    default, long = make_protocol("default", "constant", {}), make_protocol("long", "constant", {})
    assert long.to_dict() == default.to_dict() | {"preset": "long"}


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_every_value_of_a_preset_can_be_changed(preset: str) -> None:
    """By its name; the others stay the same."""
    other: dict[str, Any] = {
        "loss": "kge",
        "optimizer": "adadelta" if preset == "default" else "adam",
        "learning_rate": 0.123,
        "schedule": "constant" if preset == "default" else "cosine",
        "iterations": 7,
        "batch": 3,
        "window": 11,
        "warmup": 5,
        "warmup_gradient": preset == "paper",
        "warmup_parameters": "last day" if preset == "default" else "daily",
        "dropout": 0.25,
        "attribute_noise": 0.2,
        "clip": 2.0,
        "precision": "bfloat16",
        "validate_every": 9,
        "patience": 2,
        "seed": 4,
        "draws": 8,
    }
    assert {*other, "preset", "epochs"} == {field.name for field in fields(Protocol)}
    base = make_protocol(preset, "lstm", {})
    changed = make_protocol(preset, "lstm", other)
    for name, value in other.items():
        assert getattr(changed, name) == value
        assert getattr(base, name) != value, name
    one = make_protocol(preset, "lstm", {"batch": 3}).to_dict()
    assert one == base.to_dict() | {"batch": 3}


def test_none_is_the_preset_s_except_where_it_means_never() -> None:
    """None switches ``clip`` off."""
    base = make_protocol("default", "lstm", {})
    assert make_protocol("default", "lstm", {"batch": None, "loss": None}) == base
    assert make_protocol("default", "lstm", {"clip": None}).clip is None


def test_iterations_take_the_place_of_epochs_and_the_other_way_round() -> None:
    """Both at once are refused."""
    assert make_protocol("paper", "lstm", {"iterations": 5}).for_data(671, 5478).iterations == 5
    protocol = make_protocol("default", "lstm", {"epochs": 2})
    assert protocol.iterations is None
    assert protocol.for_data(671, 5478).iterations == 2 * 431
    with pytest.raises(DescriptionError, match="one of them"):
        make_protocol("default", "lstm", {"epochs": 2, "iterations": 5})


def test_another_optimiser_comes_with_a_rate_of_its_own() -> None:
    """Adadelta keeps a rate of 1 unless another is given."""
    protocol = make_protocol("default", "lstm", {"optimizer": "adadelta"})
    assert (protocol.learning_rate, protocol.schedule) == (1.0, "constant")
    protocol = make_protocol("default", "lstm", {"optimizer": "adadelta", "learning_rate": 0.5})
    assert protocol.learning_rate == 0.5


def test_a_protocol_is_fixed_and_plain() -> None:
    """It can be written as JSON, a function by its name."""
    protocol = make_protocol("default", "lstm", {"loss": epoch_iterations})
    with pytest.raises(FrozenInstanceError):
        protocol.batch = 3  # type: ignore[misc]
    written = json.loads(json.dumps(protocol.to_dict()))
    assert written["loss"] == "hydroxr.training.loop.protocol.epoch_iterations"


def test_a_constant_network_has_its_whole_record_in_each_iteration_and_draws_where_it_begins() -> None:
    """As far as a batch holds; settings that are given stay, and so do the paper's and those with rivers."""
    default = make_protocol("default", "constant", {})
    one, sixty = (for_constant(default, {}, cells, 3652) for cells in (1, 60))
    assert (one.window, one.warmup, one.batch, one.iterations) == (3287, 365, 1, 300)
    assert (sixty.window, sixty.batch, sixty.iterations) == (3287, 60, 300)
    assert one.draws == sixty.draws > 0
    assert for_constant(default, {}, 1, 365 * 50).window == 20 * 365 + 5 - 365
    many = for_constant(default, {}, 1000, 3652)
    assert many.iterations is not None
    assert many.batch * many.iterations >= 300 * 1000
    for given in ({"iterations": 300}, {"batch": 100}, {"window": 365}, {"warmup": 365}):
        assert for_constant(default, given, 60, 3652) == default
    paper = make_protocol("paper", "constant", {})
    assert for_constant(paper, {}, 60, 3652) == paper
    assert for_constant(default, {}, 60, 3652, rivers=True) == replace(default, batch=300)


def test_draws_are_named_only_where_there_are_any() -> None:
    """So that the checkpoints of earlier trainings still go on."""
    assert "draws" not in make_protocol("default", "lstm", {}).to_dict()
    assert make_protocol("default", "constant", {"draws": 7}).to_dict()["draws"] == 7
