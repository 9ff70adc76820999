"""Running means against the recursion written out, and cut anywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hydroxr.physics.running_means import _by_products, running_means

SCALES = torch.tensor([1.0, 3.0, 40.0])


def series(days: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Series (time, 4 cells, 2 variables) and means before them."""
    generator = torch.Generator().manual_seed(days)
    values = torch.randn((days, 4, 2), generator=generator, dtype=torch.float64)
    return values.to(dtype), torch.randn((4, 2, 3), generator=generator, dtype=torch.float64).to(dtype)


def by_hand(values: torch.Tensor, start: torch.Tensor) -> np.ndarray:
    """m(t) = m(t-1) + (x(t) - m(t-1)) / scale in float64, (time, space, variable, scale)."""
    mean, means = start.double().numpy(), []
    for value in values.double().numpy():
        mean = mean + (value[..., None] - mean) / SCALES.double().numpy()
        means.append(mean)
    return np.stack(means)


@pytest.mark.parametrize("compute", [running_means, _by_products])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("days", [1, 127, 300])
def test_they_are_the_recursion(compute, dtype: torch.dtype, days: int) -> None:  # type: ignore[no-untyped-def]
    """On the days that are asked for and after the last; also by products of matrices, as on a GPU."""
    values, start = series(days, dtype)
    rows = torch.arange(0, days, 5)
    means, last = compute(values, start, SCALES, rows)
    expected = by_hand(values, start)
    tolerance = 2e-6 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(means.numpy(), expected[rows.numpy()], rtol=0, atol=tolerance)
    np.testing.assert_allclose(last.numpy(), expected[-1], rtol=0, atol=tolerance)
    assert means.dtype == last.dtype == dtype


@pytest.mark.parametrize("cut", [1, 13, 99])
def test_a_record_may_be_cut_anywhere(cut: int) -> None:
    """To the last bit: a restart continues the very means."""
    values, start = series(100)
    rows = torch.arange(100)
    whole, end = running_means(values, start, SCALES, rows)
    first, between = running_means(values[:cut], start, SCALES, rows[:cut])
    second, last = running_means(values[cut:], between, SCALES, rows[: 100 - cut])
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(last, end)
