"""Digests and JSON texts stay the same: files, models and checkpoints that exist depend on them."""

from __future__ import annotations

import numpy as np
import pytest

from hydroxr.support.checksums import (
    array_digest,
    blake2b_of,
    sha256,
    sha256_of,
    stable_json,
    text_without_secrets,
)


def test_parts() -> None:
    """Parts count as one; text counts as UTF-8."""
    expected = "ba35def2c9638eb33bd5fac2504ced1bd8ad501233a06c3e3c50f5e3a5922c3f"
    assert sha256("a", "é", b"\x00") == sha256_of(iter(["aé", memoryview(b"\x00")])) == expected
    assert blake2b_of(["aé", b"\x00"]) == "acc711ba6686e03bafe15b8cf0e06be1"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_of_numbers(dtype: str) -> None:
    """The digest does not depend on the precision that stores the same values."""
    assert array_digest(np.array([[1.0, 2.5]], dtype)) == "cf4dabedc6ad216abff91aa37070d901"


def test_arrays_of_text() -> None:
    """The digest of names, for example of gauges."""
    assert array_digest(np.array(["01013500", "é"])) == "2bda7d480b8517a68154b939d2241f67"


def test_json() -> None:
    """Keys are sorted, and NumPy values are written as plain ones."""
    value = {"b": np.float64(1.5), "a": np.arange(2), "é": None}
    assert stable_json(value) == '{"a": [0, 1], "b": 1.5, "é": null}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://me:pw@host/a?sig=1#x, and b", "see https://host/a, and b"),
        ("wget --password=hunter2 https://h/a", "wget --password=*** https://h/a"),
        ("jsessionid: ABC123; 3 stations", "jsessionid: ***; 3 stations"),
        ('{"token": "abc", "n": 1}', '{"token": ***, "n": 1}'),
        ("API_KEY=abc&x=1", "API_KEY=***&x=1"),
        ("Authorization token: Bearer abc.def", "Authorization token: Bearer ***"),
        ("sessions of 2001: tokens of rain", "sessions of 2001: tokens of rain"),
        (
            "ERA5-Land, https://doi.org/10.24381/cds.e2161bac",
            "ERA5-Land, https://doi.org/10.24381/cds.e2161bac",
        ),
    ],
)
def test_secrets_in_text_are_hidden(text: str, expected: str) -> None:
    """Of addresses and of settings; what is said with the same words stays."""
    assert text_without_secrets(text) == expected
