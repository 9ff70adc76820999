"""The report of a check, as text and in a notebook."""

from __future__ import annotations

from dataclasses import dataclass

from .html import report_html
from .magnitudes import Magnitude


@dataclass(frozen=True)
class CheckReport:
    """Inputs found in a Dataset that can be simulated; prints as a table, in a notebook with pictures.

    Parameters
    ----------
    roles : dict
        For each role its variable, or how it is derived.
    days, cells : int
        Number of days and of cells.
    period : (str, str)
        First and last day.
    remarks : tuple of str
        Observations that are no errors.
    improbable : tuple of str
        Those of them that judge the data to be improbable; ``check(strict=True)`` raises them.
    magnitudes : dict of Magnitude
        By role: mean yearly precipitation, potential evapotranspiration and streamflow, mean temperature.
    """

    roles: dict[str, str]
    days: int
    cells: int
    period: tuple[str, str]
    remarks: tuple[str, ...]
    improbable: tuple[str, ...] = ()
    magnitudes: dict[str, Magnitude] | None = None

    def __repr__(self) -> str:
        width = max(len(role) for role in self.roles)
        wide = max((len(self.roles[role]) for role in self.roles if self.magnitude(role)), default=0)
        lines = [f"<hydroxr check: {self.title}>"]
        for role, found in self.roles.items():
            size = self.magnitude(role)
            text = f"{found:<{wide}}  {size}" if size else found
            if size and size.period != self.period:
                text += f", {size.period[0]} to {size.period[1]}"
            lines.append(f"  {role:<{width}}  {text}")
        lines += [f"  note: {remark}" for remark in self.remarks]
        return "\n".join(lines)

    @property
    def title(self) -> str:
        """Cells, days and period in one line."""
        return f"{self.cells} cells, {self.days} days, {self.period[0]} to {self.period[1]}"

    def magnitude(self, role: str) -> Magnitude | None:
        """The magnitude of a role, if it has one."""
        return (self.magnitudes or {}).get(role)

    def _repr_html_(self) -> str:
        rows = [(role, found, self.magnitude(role)) for role, found in self.roles.items()]
        return report_html(self.title, rows, self.remarks, self.improbable)
