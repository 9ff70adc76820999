"""What a continent costs: from rates that were measured to core hours and bytes.

The guide ``continent_arithmetic.md`` explains the formulas; :func:`table` prints the table at its top.
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
    """Rates of one core, measured by one run of the benchmark.

    Parameters
    ----------
    physics : float
        Seconds per cell, day and component.
    network : float
        Seconds per cell and day of the parameter window, which the LSTM reads once per run.
    codec, disk : float
        Seconds per byte read or written, before compression.
    other : float
        Seconds per cell and day that no timer saw.
    window : int
        Days of the parameter window.
    forcing, outputs : float
        Bytes on disk per cell and day.
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
        """Rates from the seconds of one single-threaded worker and the bytes of both stores."""
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
        """Core hours of a run with a parameter window of ``window`` days."""
        through = NUMBER * (FORCING + OUTPUTS)
        a_day = self.physics * COMPONENTS + (self.codec + self.disk) * through + self.other
        return cells * (days * a_day + window * self.network) / 3600


def days_of(years: int) -> int:
    """Days in so many years of average length."""
    return round(365.2425 * years)


def table(rates: Rates, window: int) -> str:
    """Measured rates and the costs that follow from them, in Markdown, for a window of ``window`` days."""
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
