"""The cost of a continent, checked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import arithmetic

PAGE = Path(__file__).parents[2] / "tutorials" / "site" / "guides" / "continent_arithmetic.md"


def test_rates_reproduce_the_run_they_were_measured_on() -> None:
    """The formula returns the measured seconds, and scales to other runs."""
    found = {"physics": 30.0, "network": 50.0, "codec": 8.0, "disk": 4.0, "wall": 100.0}
    found |= {"forcing_bytes": 1000 * 3652 * 9.0, "output_bytes": 1000 * 3652 * 13.0}
    rates = arithmetic.Rates.of(found, cells=1000, days=3652, window=365)
    assert rates.core_hours(1000, 3652, 365) == pytest.approx(100.0 / 3600)
    # Twice the days double everything but the network, which reads the window once.
    assert rates.core_hours(1000, 7304, 365) == pytest.approx((2 * 50.0 + 50.0) / 3600)
    assert rates.core_hours(4000, 3652, 730) == pytest.approx(4 * (50.0 + 100.0) / 3600)
    assert (rates.forcing, rates.outputs) == (9.0, 13.0)


def test_the_page_has_the_rows_that_the_benchmark_prints() -> None:
    """The printed table can replace the one on the page."""
    rates = arithmetic.Rates(1e-8, 1e-5, 1e-9, 1e-9, 1e-7, 365, 9.0, 13.0)
    printed = [line.split("|")[1].strip() for line in arithmetic.table(rates, 5479).splitlines()]
    page = PAGE.read_text(encoding="utf-8")
    table = page.split("## Measured inputs")[1].split("## Time")[0]
    assert [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")] == printed
    for cells, years in arithmetic.WHERE.values():
        assert f"{cells:,} | {arithmetic.days_of(years):,}" in page
