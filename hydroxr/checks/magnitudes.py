"""How large the inputs are: yearly sums and means over cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..conventions.variables import FORCING, VARIABLES
from .statistics import Statistics
from .summary import Summary

_YEAR = 365.25
_SHOWN = (*FORCING, "streamflow")
OBSERVED = "observed streamflow"


@dataclass(frozen=True)
class Magnitude:
    """How large one input is.

    Parameters
    ----------
    units : str
        ``mm/year`` or ``degC``.
    least, median, most : float
        Over cells, of the mean of each cell.
    missing : int
        Cell-days without a value.
    period : (str, str)
        First and last day with a value in any cell; empty if there is none.
    months : tuple of float
        Mean of each month, over cells.
    cells : tuple of float
        Mean of each cell, in ascending order.
    """

    units: str
    least: float
    median: float
    most: float
    missing: int
    period: tuple[str, str]
    months: tuple[float, ...]
    cells: tuple[float, ...]

    def __str__(self) -> str:
        text = f"{self.median:,.{self.digits}f}"
        if len(self.cells) > 1:
            text += f" ({self.least:,.{self.digits}f} to {self.most:,.{self.digits}f})"
        text += f" {self.units}"
        return f"{text}, {self.missing} cell-days missing" if self.missing else text

    @property
    def digits(self) -> int:
        """Decimals that are shown."""
        return 1 if self.units == "degC" or self.median < 10 else 0


def magnitudes(summary: Summary) -> dict[str, Magnitude]:
    """The magnitude of each input, by role."""
    named = {name: VARIABLES[name].long_name for name in FORCING} | {"streamflow": OBSERVED}
    return {
        named[name]: _magnitude(name, summary.statistics[name], summary)
        for name in _SHOWN
        if name in summary.statistics and (summary.statistics[name].known > 0).any()
    }


def _magnitude(name: str, series: Statistics, summary: Summary) -> Magnitude:
    known = series.known > 0
    factor, units = (1.0, "degC") if name == "tmean" else (_YEAR, "mm/year")
    means = np.sort(series.mean[known]) * factor
    there = np.isfinite(series.months)
    sums, counts = np.where(there, series.months, 0.0).sum(axis=0), there.sum(axis=0)
    months = np.divide(sums, counts, out=np.full(12, np.nan), where=counts > 0)
    period = (summary.days[int(series.first[known].min())], summary.days[int(series.last[known].max())])
    return Magnitude(
        units,
        float(means[0]),
        float(np.median(means)),
        float(means[-1]),
        int((len(summary.days) - series.known[known]).sum()),
        (str(period[0])[:10], str(period[1])[:10]),
        tuple(months.tolist()),
        tuple(means.tolist()),
    )
