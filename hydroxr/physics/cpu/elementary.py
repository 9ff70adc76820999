"""Elementary functions of one number for compiled kernels; importing this imports numba.

No function may assume that there are no NaNs: a NaN in the forcing must show in the results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...support.compiled import fused, inlined


@inlined
def minimum(value, other):  # type: ignore[no-untyped-def]
    least = other if other < value else value  # NaN where value is
    return least if other == other else other  # and where other is


@inlined
def maximum(value, other):  # type: ignore[no-untyped-def]
    return other if other > value else value  # other is a constant


@inlined
def where(condition, value, other):  # type: ignore[no-untyped-def]
    return value if condition else other


def _coefficients(
    function: Callable[[np.ndarray], np.ndarray], lower: float, upper: float, degree: int
) -> Any:
    """Coefficients of the polynomial through ``function`` at Chebyshev points, lowest power first."""
    series = np.polynomial.Chebyshev.interpolate(function, degree, domain=[lower, upper])
    return tuple(series.convert(kind=np.polynomial.Polynomial).coef.astype(np.float32))


# log2(1 + f) = f L(f) for 1 + f from sqrt(1/2) to sqrt(2), and 2^f = 1 + f E(f) for f from -1/2 to 1/2.
# Both are exact at f = 0, so any power of 1 is 1. The polynomials are evaluated in pairs of terms
# that do not depend on each other, which the processor computes at the same time.
_L = _coefficients(lambda f: np.log2(1.0 + f) / f, math.sqrt(0.5) - 1.0, math.sqrt(2.0) - 1.0, 8)
_E = _coefficients(lambda f: np.expm1((f + 1e-30) * math.log(2.0)) / (f + 1e-30), -0.5, 0.5, 4)
_ROOT_HALF = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
_ONE_BITS = np.int32(np.float32(1.0).view(np.int32))
_SHIFT = np.int32(23)  # bits of the fraction
_UPPER_HALF = np.int32(-4096)  # the upper half of the fraction's bits
_LEAST = np.float32(2.0**-126)
_LEAST_POWER = np.float32(-126.0)
_ROUNDING = np.float32(1.5 * 2.0**23)  # adding it rounds to an integer, in the lowest bits
_ONE = np.float32(1.0)
_LN2 = np.float32(math.log(2.0))


@fused
def _log2_parts(x):  # type: ignore[no-untyped-def]
    """Integer part and fraction (-1/2 to 1/2) of log2 of a float32 above 2^-126."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - _ROOT_HALF) >> _SHIFT)
    f = np.int32(bits - np.int32(exponent << _SHIFT)).view(np.float32) - _ONE
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = _L
    f2 = f * f
    lower = (c0 + f * c1) + f2 * (c2 + f * c3)
    upper = (c4 + f * c5) + f2 * (c6 + f * c7)
    f4 = f2 * f2
    return np.float32(exponent), f * (lower + f4 * (upper + f4 * c8))


@fused
def power_32(x, y):  # type: ignore[no-untyped-def]
    """x^y for x from 0 to 1 and y >= 0, with a relative error below 1e-6; NaN if x or y is NaN.

    Powers below 2^-126 are 0. The upper half of the digits of y times the integer part of the
    logarithm is an exact product, so large exponents lose no accuracy.
    """
    integer, fraction = _log2_parts(maximum(x, _LEAST))
    upper = np.int32(np.float32(y).view(np.int32) & _UPPER_HALF).view(np.float32)
    large = upper * integer
    small = (y - upper) * integer + y * fraction
    shifted = (large + small) + _ROUNDING
    f = (large - (shifted - _ROUNDING)) + small
    c0, c1, c2, c3, c4 = _E
    f2 = f * f
    mantissa = (_ONE + f * c0) + f2 * ((c1 + f * c2) + f2 * (c3 + f * c4))
    scale = np.int32(np.int32(np.float32(shifted).view(np.int32) << _SHIFT) + _ONE_BITS).view(np.float32)
    result = where(large + small < _LEAST_POWER, np.float32(0.0), mantissa * scale)
    return where(x == x, result, x)


@fused
def logarithm_32(x):  # type: ignore[no-untyped-def]
    integer, fraction = _log2_parts(maximum(x, _LEAST))
    return _LN2 * (integer + fraction)


@inlined
def power_64(x, y):  # type: ignore[no-untyped-def]
    return x**y


@inlined
def logarithm_64(x):  # type: ignore[no-untyped-def]
    return math.log(x)
