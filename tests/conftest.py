"""Tiny Datasets, made anew for each test, and tiny models, trained once per session: do not change them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

# Set before torch is imported: on small arrays its threads wait for each other, on busy cores up to a
# hundred times as long as the work takes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model
from tests.support import labelled

# Within the days of make_dataset, but not from the first.
TRAINING = slice("2000-01-06", "2000-02-14")  # 40 days
FIT: dict[str, Any] = {
    "time": TRAINING,
    "iterations": 3,
    "batch": 4,
    "window": 20,
    "warmup": 10,
    "learning_rate": 0.1,  # large, so that parameters differ between cells and days
    "progress": False,
}


@pytest.fixture(scope="session", autouse=True)
def quiet_machine() -> Iterator[None]:
    """A training looks how busy the machine is; what else runs has no say in the tests."""

    def idle(interval: float | None = None, percpu: bool = False) -> Any:
        return [0.0] * (os.cpu_count() or 1) if percpu else 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psutil, "cpu_percent", idle)
        yield


@pytest.fixture
def ds() -> xr.Dataset:
    """Three basins, 60 days."""
    return labelled.make_dataset()


@pytest.fixture
def grid() -> xr.Dataset:
    """2 x 3 cells, 60 days."""
    return labelled.make_grid()


@pytest.fixture(scope="session")
def constant_model() -> Model:
    """A model of the three basins of ``ds``, 2 components."""
    spec = hx.DeltaHBV(components=2, network="constant")
    return labelled.make_dataset().hbv.fit(spec, **FIT)


@pytest.fixture(scope="session")
def static_model() -> Model:
    """A regional model with static parameters, 2 components, 4 hidden units."""
    return labelled.make_dataset().hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT)


@pytest.fixture(scope="session")
def dynamic_model() -> Model:
    """A regional model with dynamic BETA and BETAET, 2 components, 4 hidden units."""
    spec = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA", "BETAET"), network="lstm")
    return labelled.make_dataset().hbv.fit(spec, **FIT)


@pytest.fixture(scope="session")
def filter_model() -> Model:
    """A regional model without recurrence, with dynamic BETA and BETAET, 2 components, 4 hidden units."""
    spec = hx.DeltaHBV(components=2, network="filters", hidden=4, dynamic=("BETA", "BETAET"))
    return labelled.make_dataset().hbv.fit(spec, **FIT)


@pytest.fixture(scope="session")
def models(
    constant_model: Model, static_model: Model, dynamic_model: Model, filter_model: Model
) -> dict[str, Model]:
    """A model of each kind, by name."""
    return {
        "constant": constant_model,
        "static": static_model,
        "dynamic": dynamic_model,
        "filters": filter_model,
    }


@pytest.fixture(scope="session")
def raise_if_dask_computes() -> Any:
    """``with raise_if_dask_computes():``, a guard of laziness."""

    def guard() -> AbstractContextManager[Any]:
        return labelled.raise_if_dask_computes()

    return guard
