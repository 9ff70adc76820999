"""Names of attributes: files that exist depend on them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hydroxr as hx
from hydroxr.conventions import attributes

PACKAGE = Path(hx.__file__).parent
NAMES = {value for name, value in vars(attributes).items() if name.isupper() and isinstance(value, str)}


def test_each_name_is_written_once() -> None:
    """No other module spells the name of an attribute."""
    found = {
        (path.name, node.value)
        for path in PACKAGE.rglob("*.py")
        if path != Path(attributes.__file__)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in {name for name in NAMES if "hydroxr_" in name}
    }
    assert found == set()


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({}, True),
        ({attributes.MODEL_KIND: attributes.HBV}, True),
        ({attributes.MODEL_KIND: attributes.STREAMFLOW_ALONE}, False),
        ({attributes.DESCRIPTION: '{"kind": "LSTMStreamflow"}'}, False),
        ({attributes.DESCRIPTION: '{"kind": "DeltaHBV"}'}, True),
    ],
)
def test_water_balance(attrs: dict[str, str], expected: bool) -> None:
    """Older results do not name the kind of their model; their description does."""
    assert attributes.has_water_balance(attrs) is expected


def test_packing_errors_are_restated() -> None:
    """The errors of computed values replace those of the packed ones; the number of bits goes."""
    packed = {attributes.ABSOLUTE: 0.1, attributes.RELATIVE: 0.01, attributes.BITS: 7, "units": "1"}
    assert attributes.restated(packed, 0.5, 0.0) == {"units": "1", attributes.ABSOLUTE: 0.5}
