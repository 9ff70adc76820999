"""Spin-up: the days that are repeated before a run, so that its storages begin near their balance."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..conventions.attributes import SPINUP, START
from ..conventions.stamps import days
from ..conventions.variables import VARIABLES
from ..errors import DescriptionError, EmptySelectionError
from ..inputs.resolve import Inputs
from ..inputs.time_axis import select_days

SPINUP_CHANGE = "spinup_storage_change"


@dataclass(frozen=True)
class SpinUp:
    """Days of the input, and how often they run before the run itself.

    Parameters
    ----------
    inputs : Inputs
        Of these days.
    times : int
    """

    inputs: Inputs
    times: int

    @property
    def period(self) -> str:
        """First and last day, for attributes."""
        found = days(self.inputs.ds["time"])
        return f"{str(found[0])[:10]} to {str(found[-1])[:10]}"

    def parameters(self, given: xr.Dataset) -> xr.Dataset:
        """Given parameters of these days; constant ones as they are."""
        time = self.inputs.ds.indexes["time"]
        here = "time" in given.indexes and time.isin(given.indexes["time"]).all()
        return given.sel(time=time) if here else given

    def described(self, sim: xr.Dataset, last: xr.Dataset) -> xr.Dataset:
        """A simulation that says what was repeated, and how much the storages changed the last time.

        The change is a variable, since a lazy run does not know it yet; of values in memory an attribute
        has the largest one.
        """
        note = f"{self.times} x {self.period}"
        sim = sim.assign_attrs({START: f"spin-up of {note} before {str(days(sim['time'])[0])[:10]}"})
        if "initial_storage" in sim:
            change = sim["initial_storage"] - last["initial_storage"]
            kept = {
                key: sim["initial_storage"].attrs.get(key)
                for key in ("grid_mapping", "coverage_content_type")
            }
            attrs = VARIABLES[SPINUP_CHANGE].attrs() | {key: value for key, value in kept.items() if value}
            sim[SPINUP_CHANGE] = change.assign_attrs(attrs)
            if change.chunks is None and bool(change.notnull().any()):
                note += (
                    f"; storages changed by at most {float(np.abs(change).max()):.3g} kg m-2 the last time"
                )
        return sim.assign_attrs({SPINUP: note})


def spin_up(inputs: Inputs, wanted: str | int | slice) -> SpinUp:
    """The spin-up that ``simulate(..., spinup=wanted)`` asks for.

    Raises
    ------
    DescriptionError
        If it is no number of years and no period.
    EmptySelectionError
        If the input has no whole year, or no day of the period.
    """
    inputs.check_time()
    if isinstance(wanted, slice):
        return SpinUp(inputs.of(select_days(inputs.ds, wanted)), 1)
    years = re.fullmatch(r"(\d+) ?(?:y|yr|years?)", wanted) if isinstance(wanted, str) else None
    whole = isinstance(wanted, int | np.integer) and not isinstance(wanted, bool)
    times = int(years[1]) if years else int(wanted) if whole else 0
    if times < 1:
        raise DescriptionError(
            f"spinup={wanted!r}; expected how many times the first year is repeated, such as 3 or '3y', or a "
            "period: slice('1990-01-01', '1999-12-31')."
        )
    index = days(inputs.ds["time"])
    first = index[0]
    try:
        end = first.replace(year=first.year + 1)
    except ValueError:  # 29 February
        end = first.replace(year=first.year + 1, day=first.day - 1)
    length = int(index.searchsorted(end))
    if length == len(index) and index[-1] < end and (end - index[-1]).days > 1:
        raise EmptySelectionError(
            f"spinup={wanted!r} repeats the first year, and the input has {len(index)} days; expected a "
            "year. Give a period, slice(...), or pass an initial_state."
        )
    return SpinUp(inputs.of(inputs.ds.isel(time=slice(0, length))), times)
