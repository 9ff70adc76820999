"""What a continent costs: from rates that were measured to core hours and bytes.

The formulas are those of the guide ``continent_arithmetic.md``; :func:`table` prints the table at its top.
"""

from __future__ import annotations

from dataclasses import dataclass

FORCING, OUTPUTS, COMPONENTS = 3, 5, 16  # daily series in and out, components
NUMBER = 4  # bytes
WHERE = {
    "CONUS at 1/8 degree": (53_000, 30),
    "the world's unit catchments": (2_900_000, 40),
}


@dataclass(frozen=True)
class Rates:
    """Of one core, as a run of the benchmark has them.

    Parameters
    ----------
    physics : float
        Seconds a cell, day and component.
    network : float
        Seconds a cell and day of the parameter window, through which the LSTM walks once a run.
    codec, disk : float
        Seconds a byte that is read or written, before compression.
    other : float
        Seconds a cell and day that no timer saw.
    window : int
        Days of the parameter window.
    forcing, outputs : float
        Bytes on disk a cell and day.
    """

    physics: float
    network: float
    codec: float
    disk: float
    other: float
    window: int
    forcing: float
    outputs: float

    @classmethod
    def of(cls, found: dict[str, float], cells: int, days: int, window: int) -> Rates:
        """From seconds of one worker process of one thread, and bytes of the two stores."""
        cell_days = cells * days
        through = cell_days * NUMBER * (FORCING + OUTPUTS)
        timed = sum(found[name] for name in ("physics", "network", "codec", "disk"))
        return cls(
            physics=found["physics"] / (cell_days * COMPONENTS),
            network=found["network"] / (cells * window),
            codec=found["codec"] / through,
            disk=found["disk"] / through,
            other=max(0.0, found["wall"] - timed) / cell_days,
            window=window,
            forcing=found["forcing_bytes"] / cell_days,
            outputs=found["output_bytes"] / cell_days,
        )

    def core_hours(self, cells: int, days: int, window: int) -> float:
        """Of a run whose parameter window is ``window`` days."""
        through = NUMBER * (FORCING + OUTPUTS)
        a_day = self.physics * COMPONENTS + (self.codec + self.disk) * through + self.other
        return cells * (days * a_day + window * self.network) / 3600


def days_of(years: int) -> int:
    """In the mean of the calendar."""
    return round(365.2425 * years)


def table(rates: Rates, window: int) -> str:
    """The measured inputs and what follows of them, in Markdown; ``window`` days in the parameter window."""
    rows = [
        ("physics", f"{rates.physics * 1e9:.1f} ns per cell, day and component"),
        ("network", f"{rates.network * 1e6:.1f} µs per cell and day of the parameter window"),
        ("codec", f"{rates.codec * 1e9:.2f} ns per byte read or written, before compression"),
        ("disk", f"{rates.disk * 1e9:.2f} ns per byte"),
        ("all else", f"{rates.other * 1e9:.0f} ns per cell and day"),
        ("forcing on disk", f"{rates.forcing:.1f} bytes per cell and day, of {NUMBER * FORCING}"),
        ("outputs on disk", f"{rates.outputs:.1f} bytes per cell and day, of {NUMBER * OUTPUTS}"),
    ]
    for name, (cells, years) in WHERE.items():
        days = days_of(years)
        hours = rates.core_hours(cells, days, window)
        size = [cells * days * each / 1e9 for each in (rates.forcing, rates.outputs)]
        rows.append((name, f"{hours:,.1f} core hours; {size[0]:,.0f} GB in, {size[1]:,.0f} GB out"))
    lines = ["| measured on one core | |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows)])
