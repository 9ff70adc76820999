"""Options, data and descriptions that ``ds.hbv.fit`` refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import psutil
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, MemoryLimitError
from hydroxr.models.model import Model
from tests.conftest import FIT
from tests.support.labelled import (
    raise_if_dask_computes,
)

SERIES = ("prcp", "tmean", "pet", "streamflow")
SPECS = {
    "constant": hx.DeltaHBV(components=2, network="constant"),
    "static": hx.DeltaHBV(components=2, hidden=4, network="lstm"),
    "dynamic": hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA", "BETAET"), network="lstm"),
}


def fit(ds: xr.Dataset, kind: str = "constant", **options: Any) -> Model:
    """Three iterations, unless told otherwise."""
    return ds.hbv.fit(SPECS[kind], **FIT | options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"iterations": 0}, "iterations is 0.*at least 1"),
        ({"batch": 0}, "batch is 0.*at least 1"),
        ({"window": 0}, "window is 0.*at least 1"),
        ({"warmup": -1}, "warmup is -1.*at least 0"),
        ({"batch": 2.5}, "batch is 2.5.*whole number"),
        ({"optimizer": "sgd"}, "'sgd'.*'adam' or 'adadelta'"),
        ({"optimizer": "sgd", "learning_rate": None}, "'sgd'.*'adam' or 'adadelta'"),
        ({"device": "abacus"}, "abacus"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"preset": "mine"}, "preset 'mine'.*'default' or 'long' or 'paper'"),
        ({"schedule": "step"}, "schedule 'step'.*'cosine' or 'constant'"),
        ({"precision": "float16"}, "precision 'float16'.*'bfloat16'"),
        ({"warmup_parameters": "none"}, "warmup_parameters 'none'.*'daily' or 'last day'"),
        ({"warmup_gradient": "yes"}, "warmup_gradient is 'yes'.*True or False"),
        ({"dropout": 1.0}, "dropout is 1.0.*below 1"),
        ({"clip": 0.0}, "clip is 0.0.*above 0"),
        ({"patience": 0}, "patience is 0.*at least 1"),
        ({"validate_every": 0}, "validate_every is 0.*at least 1"),
        ({"epochs": 3}, "iterations is 3 and epochs is 3.*one of them"),
        ({"epoch": 3}, "no option 'epoch'.*epochs"),
        ({"loss": "mse"}, "loss 'mse'.*'paper', 'nse', 'kge', 'low_flow'"),
        ({"loss": {"nse": -1.0}}, "weight of loss 'nse' is -1.0.*above 0"),
        ({"loss": {}}, "loss is {}"),
        ({"loss": 3}, "loss is 3.*a function"),
        ({"seeds": 0}, "seeds is 0.*at least 1"),
        ({"seeds": [1, 1]}, r"seeds is \[1, 1\].*differ"),
        ({"seeds": "12"}, "seeds is '12'"),
        ({"checkpoint_every": 5}, "checkpoint='folder'"),
        ({"checkpoint": "somewhere", "checkpoint_every": 0}, "checkpoint_every is 0.*timedelta"),
        ({"validation": 5}, "validation is 5"),
        ({"validation": "g1"}, "validation is 'g1'"),
    ],
)
def test_options_that_do_not_exist_are_refused(ds: xr.Dataset, options: dict[str, Any], words: str) -> None:
    """Named, with what would be understood."""
    with pytest.raises(DescriptionError, match=words):
        fit(ds, **options)


def test_what_to_fit_must_be_a_description(ds: xr.Dataset) -> None:
    """Not its name."""
    with pytest.raises(DescriptionError, match=r"hx\.DeltaHBV.*str"):
        ds.hbv.fit("dn")


def test_options_may_be_numpy_numbers(ds: xr.Dataset, tmp_path: Any) -> None:
    """As they come out of arrays; the model can be saved and simulated all the same."""
    options = {"iterations": np.int64(2), "seed": np.int32(1), "learning_rate": np.float32(0.1)}
    model = fit(ds, **options)
    model.save(tmp_path / "model")
    ds.hbv.simulate(model)


def test_no_warmup_is_possible(ds: xr.Dataset) -> None:
    """Windows then start with empty stores."""
    assert np.isfinite(fit(ds, "dynamic", warmup=0).history["loss"]).all()


def test_data_that_do_not_fit_into_memory_are_refused(
    ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is loaded; the message says how much is needed and free, and what to select."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1e9))
    series = da.zeros((3_000_000, 60), dtype="float32", chunks=(300_000, 60))
    huge = xr.Dataset(
        {name: (("basin", "time"), series, ds[name].attrs) for name in SERIES}, {"time": ds["time"]}
    )
    with raise_if_dask_computes(), pytest.raises(MemoryLimitError) as caught:
        huge.hbv.fit(SPECS["constant"], **FIT)
    # four series, 40 days, 3 million cells, float32: 1.92 GB once, more while they are gathered
    for words in ("GB", "1.0 GB", "40 days", "3000000 cells", "time=slice", "isel"):
        assert words in str(caught.value)
    needed = float(str(caught.value).split("about ")[1].split(" GB")[0])
    assert 1.9 <= needed <= 10
