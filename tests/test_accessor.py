"""``ds.hbv`` explains itself: help and completion know every parameter, its default and its meaning."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

import hydroxr as hx
from hydroxr.analysis.derived import derive
from hydroxr.analysis.time_means import aggregate_time
from hydroxr.metrics.evaluate import evaluate_simulation
from hydroxr.simulation.simulate import plan, simulate
from hydroxr.storage.netcdf import to_netcdf
from hydroxr.storage.to_zarr import to_zarr
from hydroxr.training.cross_validation import cross_validate
from hydroxr.training.fit import fit
from hydroxr.training.loop.protocol import Protocol

METHODS = {
    name: method
    for name, method in inspect.getmembers(hx.HBVAccessor, inspect.isfunction)
    if not name.startswith("_")
}
DELEGATES = [
    fit,
    cross_validate,
    simulate,
    plan,
    derive,
    aggregate_time,
    to_zarr,
    to_netcdf,
    (hx.HBVAccessor.evaluate, evaluate_simulation),
]


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """All but the first, which is the accessor or the Dataset."""
    return dict([*inspect.signature(function).parameters.items()][1:])


def test_all_methods_are_there() -> None:
    """Those that the guides name."""
    assert {*METHODS} == {
        *("check", "pet", "fit", "cross_validate", "simulate", "plan", "parameters"),
        *(
            "forecast",
            "assimilate",
            "fit_errors",
            "add_quantiles",
            "route",
            "evaluate",
            "water_balance",
            "derive",
            "aggregate_time",
        ),
        *("to_zarr", "to_netcdf"),
    }


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_is_typed_and_documented(name: str) -> None:
    """In the docstring's list of parameters; what is returned and raised is told as well."""
    method = METHODS[name]
    doc = inspect.getdoc(method) or ""
    documented: set[str] = set()
    for names in re.findall(r"^([*\w]+(?:, \w+)*)(?: :.*)?\n    \S", doc, flags=re.MULTILINE):
        documented |= {each.strip("* ") for each in names.split(",")}
    for each in parameters(method).values():
        assert each.annotation is not inspect.Parameter.empty, each
        assert each.name in documented, each
    assert "Returns\n-------" in doc
    assert "Raises\n------" in doc


@pytest.mark.parametrize("pair", DELEGATES, ids=lambda pair: getattr(pair, "__name__", "evaluate"))
def test_defaults_are_those_of_the_function_behind(pair: Any) -> None:
    """The same in both places; what a preset decides is told by None or "preset"."""
    method, function = pair if isinstance(pair, tuple) else (METHODS[pair.__name__], pair)
    behind = parameters(function)
    for name, each in parameters(method).items():
        if name in behind:
            assert each.default == behind[name].default, name
        elif each.kind is not inspect.Parameter.VAR_KEYWORD:
            assert function in (fit, cross_validate), name


def test_fit_has_every_setting_of_a_protocol() -> None:
    """cross_validate has them too, but for rivers, shards, and a model to start from: it may know held-out
    cells."""
    settings = {field.name for field in fields(Protocol)}
    options = parameters(METHODS["fit"])
    assert settings <= {*options}
    changed = [
        name for name in settings - {"preset", "seed"} if options[name].default not in (None, "preset")
    ]
    assert changed == []
    both = {*options} & {*parameters(METHODS["cross_validate"])}
    of_rivers = {"rivers", "gauges", "weights", "reach_attributes"}
    assert {*options} - both == {"resume", "start", "frozen", "memory", *of_rivers}
    assert settings <= both
