"""Each call looks every role up once, where it begins, and passes on what it found."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.inputs import find, resolve
from hydroxr.models.ensemble import Ensemble
from tests.conftest import FIT
from tests.support.labelled import make_dataset, make_parameters, untrained, with_extremes

SPEC = hx.DeltaHBV(components=2, hidden=4, network="lstm")
DYNAMIC = hx.DeltaHBV(components=2, hidden=4, dynamic=("BETA",), network="lstm")
DERIVED = {"prcp", "tmean", "pet", "tmin", "tmax", "lat"}  # PET and temperature follow from extremes
FLOW = {"streamflow", "area"}


@pytest.fixture
def ds() -> xr.Dataset:
    """A Dataset in which every role matters: a mask, extremes of temperature, discharge and area."""
    ds = with_extremes(make_dataset(cells=4)).drop_vars("tmean")
    ds["streamflow"] = ds["streamflow"].assign_attrs(units="m3 s-1")
    ds["area"] = ("basin", [86.4] * 4, {"units": "km2"})
    ds["mask"] = ("basin", [1, 1, 1, 0])
    return ds.assign(pub_fold=("basin", [1, 2, 1, 2]))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each role is looked up, by whichever module of the package."""
    counts: Counter[str] = Counter()
    find_role, find_mask = find.find, find.find_mask

    def role(ds: xr.Dataset, name: str, **options: Any) -> str | None:
        counts[name] += 1
        return find_role(ds, name, **options)

    def mask(ds: xr.Dataset) -> str | None:
        counts["mask"] += 1
        return find_mask(ds)

    for original, replacement in ((find_role, role), (find_mask, mask)):
        for name, module in list(sys.modules.items()):
            if name.startswith("hydroxr"):
                for key in [key for key, value in vars(module).items() if value is original]:
                    monkeypatch.setattr(module, key, replacement)
    return counts


def ensemble() -> Ensemble:
    return Ensemble(tuple(untrained(DYNAMIC, seed=seed) for seed in (0, 1)))


CALLS: dict[str, tuple[Callable[[xr.Dataset], Any], set[str]]] = {
    "check": (lambda ds: ds.hbv.check(), {*DERIVED, *FLOW, "mask"}),
    "fit": (lambda ds: ds.hbv.fit(SPEC, **FIT), {*DERIVED, *FLOW}),
    "fit, validated on a period": (
        lambda ds: ds.hbv.fit(SPEC, validation=slice("2000-02-20", None), **FIT),
        {*DERIVED, *FLOW},
    ),
    "fit, two seeds": (lambda ds: ds.hbv.fit(SPEC, seeds=2, **FIT), {*DERIVED, *FLOW}),
    "simulate with parameters": (lambda ds: ds.hbv.simulate(make_parameters(ds)), {*DERIVED, "mask"}),
    "simulate with a model": (lambda ds: ds.hbv.simulate(untrained(DYNAMIC)), {*DERIVED, "mask"}),
    "simulate an ensemble": (lambda ds: ds.hbv.simulate(ensemble()), {*DERIVED, "mask"}),
    "simulate discharge": (
        lambda ds: ds.hbv.simulate(make_parameters(ds), variables=["discharge"]),
        {*DERIVED, "mask", "area"},
    ),
    "simulate lazily": (
        lambda ds: ds.chunk(basin=2).hbv.simulate(untrained(SPEC), return_state=True),
        {*DERIVED, "mask"},
    ),
    "plan": (lambda ds: ds.chunk(basin=2).hbv.plan(ensemble()), {*DERIVED, "mask"}),
    "parameters": (lambda ds: ds.hbv.parameters(untrained(SPEC)), {*DERIVED, "mask"}),
    "parameters of an ensemble": (lambda ds: ds.hbv.parameters(ensemble()), {*DERIVED, "mask"}),
    "cross_validate": (lambda ds: ds.hbv.cross_validate(SPEC, **FIT), {*DERIVED, *FLOW, "mask"}),
    "cross_validate discharge": (
        lambda ds: ds.hbv.cross_validate(SPEC, variables=["discharge"], **FIT),
        {*DERIVED, *FLOW, "mask"},
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_each_role_is_looked_up_once(ds: xr.Dataset, counted: Counter[str], call: str) -> None:
    """By whatever the call does: folds, members, blocks of days."""
    run, roles = CALLS[call]
    run(ds)
    assert counted == dict.fromkeys(roles, 1)


def test_saving_the_models_of_folds_looks_nothing_up(
    ds: xr.Dataset, counted: Counter[str], tmp_path: Any
) -> None:
    """What the models depend on is taken from the inputs that are there."""
    ds.hbv.cross_validate(SPEC, models=tmp_path / "models", **FIT)
    assert set(counted.values()) == {1}


def test_evaluate_looks_streamflow_up_once(ds: xr.Dataset, counted: Counter[str]) -> None:
    """And the area, which discharge needs."""
    sim = ds.hbv.simulate(make_parameters(ds))
    counted.clear()
    sim.hbv.evaluate(ds)
    assert counted == dict.fromkeys(FLOW, 1)


def test_a_second_look_up_is_counted(ds: xr.Dataset, counted: Counter[str]) -> None:
    """The test above sees a look-up wherever it is made."""
    resolve.Inputs(ds).name("prcp")
    resolve.Inputs(ds).name("prcp")
    assert counted == {"prcp": 2}
