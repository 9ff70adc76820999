"""Elementary functions of the compiled kernels: the power in float32."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")


def test_powers_in_float32():
    """The relative error is below 1e-6, except for values below the range of float32."""
    from numba import njit

    from hydroxr.physics.cpu import elementary

    rng = np.random.default_rng(6)
    small = 10.0 ** rng.uniform(-9, 0, 200_000)
    base = np.concatenate([rng.random(200_000), small, [1.0, 1.0, 0.5, 1 - 2.0**-24]])
    exponent = np.concatenate([rng.uniform(0.0, 8.0, 400_000), [0.3, 6.0, 0.0, 6.0]])
    base, exponent = base.astype("f4"), exponent.astype("f4")
    power = elementary.power_32

    @njit
    def all_powers(base, exponent, out):  # type: ignore[no-untyped-def]
        for i in range(len(base)):
            out[i] = power(base[i], exponent[i])

    found = np.empty_like(base)
    all_powers(base, exponent, found)
    expected = base.astype("f8") ** exponent.astype("f8")
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-38)
    assert (found[-4:-1] == 1.0).all()
    assert (found <= 1.0).all()
