"""Rules: each looks at a summary and says what is improbable about it, or None.

Nothing here is impossible: real catchments lose or gain water underground, rivers freeze or are dammed,
deserts exist. The thresholds are such that of 569 catchments of CAMELS only those are named that a
hydrologist would look at twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .statistics import Statistics
from .summary import Summary

_YEAR = 365.25
_LONG = 300  # days; shorter records have no yearly sum
_DRIZZLE = 0.01  # mm/day; if a whole record stays below this, its unit is probably wrong
_WETTEST, _DRIEST = 6000.0, 20.0  # mm a year
_DESERT = 100.0  # mm a year; where it rains on a fifth of the days, that is no desert
_DESERT_WET = 0.2
_PET_RANGE = (100.0, 3500.0)  # mm a year
_PET_FACTOR = 2.0  # between two formulas of PET
_HOTTEST, _COLDEST = 35.0, -57.0  # degC, yearly mean
_LEAST_SHARE = 0.001  # of precipitation that a river carries
_SHARES = 50.0  # rivers carry from a fiftieth of the precipitation on
_REPEATED = 21  # days
_FEW = 100  # days of streamflow
_OUTLIER = 8.0  # times the second largest value, or the median of all cells
_WET_OUTLIER = 4.0  # of precipitation, whose largest value is in 671 catchments at most 2.3 times the second
_TROPIC, _POLAR = 23.5, 80.0  # degrees
_SEASON = 3.0  # degC; smaller yearly waves have no clear season
_TROPICAL_WAVE = 10.0  # degC; larger yearly waves lie outside of 15 degrees of latitude
_HALF_YEAR = 91  # days between the warmest day and the highest sun, at most

# Factors between units and what they stand for, with how far a ratio may be from them.
_FACTORS = (
    (1e6, "km2 and m2"),
    (1000.0, "m and mm"),
    (35.315, "cubic feet and cubic metres"),
    (25.4, "inches and mm"),
    (10.0, "tenths"),
)

Rule = Callable[[Summary], str | None]


def doubts(summary: Summary) -> list[str]:
    """What is improbable."""
    return [text for rule in DOUBTS if (text := rule(summary)) is not None]


def factor_of(ratio: float) -> str:
    """For messages: which units could explain a ratio of two numbers; empty if none."""
    ratio = max(ratio, 1 / ratio) if ratio > 0 else 0.0
    near = [(factor, name) for factor, name in _FACTORS if factor / 1.6 < ratio < factor * 1.6]
    if not near:
        return ""
    factor, name = min(near, key=lambda each: abs(np.log(ratio / each[0])))
    return f"; a factor of about {factor:g} lies between {name}"


def _yearly(series: Statistics) -> np.ndarray:
    """Yearly sums of a flux, mm; NaN for short records."""
    return np.where(series.known >= _LONG, series.mean * _YEAR, np.nan)


def _drizzle(summary: Summary) -> str | None:
    prcp = summary.statistics["prcp"]
    most = float(np.nanmax(prcp.highest, initial=0.0))
    if not 0.0 < most < _DRIZZLE:
        return None
    return f"the largest precipitation is {most:g} mm/day: is its unit right?"


def _precipitation_sum(summary: Summary) -> str | None:
    sums = _yearly(summary.statistics["prcp"])
    wrong = (sums > _WETTEST) | (sums < _DRIEST)
    if not wrong.any():
        return None
    return (
        f"precipitation is {_span(sums[wrong])} mm a year in {summary.where(wrong)}; expected {_DRIEST:g} to "
        f"{_WETTEST:g}: is its unit right, or was an accumulation summed?"
    )


def _no_desert(summary: Summary) -> str | None:
    prcp = summary.statistics["prcp"]
    sums = _yearly(prcp)
    wrong = (sums >= _DRIEST) & (sums < _DESERT) & (prcp.wet > _DESERT_WET * prcp.known)
    if not wrong.any():
        return None
    return (
        f"precipitation is that of a desert, {_span(sums[wrong])} mm a year, and yet it falls on a fifth of "
        f"the days or more in {summary.where(wrong)}: is it in inches (25.4 mm)?"
    )


def _accumulated(summary: Summary) -> str | None:
    prcp = summary.statistics["prcp"]
    known, rises, falls = prcp.known, prcp.rises, prcp.falls
    short = (known >= 30) & (rises > 0.2 * known) & (falls < 0.2 * rises)
    # Of 671 catchments, daily sums have at most 1.09 rises and 1.71 wet days for each fall; accumulated over
    # three days or more, at least 1.39 and 2.42.
    long = (known >= 365) & (rises > 0.05 * known) & (rises > 1.3 * falls) & (prcp.wet > 2.3 * falls)
    wrong = short | long
    if not wrong.any():
        return None
    return (
        "precipitation rises from day to day far more often than it falls, like a sum that is set back now "
        f"and then, in {summary.where(wrong)}: is it accumulated? Take the differences of days."
    )


def _outlying_days(summary: Summary) -> str | None:
    texts = []
    for name in ("prcp", "pet", "streamflow"):
        series = summary.statistics.get(name)
        if series is None:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = series.highest / series.second
        most = _WET_OUTLIER if name == "prcp" else _OUTLIER
        wrong = (series.known >= 30) & (series.second > 0) & (ratio > most)
        if wrong.any():
            worst = float(np.nanmax(ratio[wrong]))
            texts.append(
                f"the largest {_title(name)} is {worst:.3g} times the second largest in "
                f"{summary.where(wrong)}{factor_of(worst)}"
            )
    return "; ".join(texts) or None


def _outlying_cells(summary: Summary) -> str | None:
    texts = []
    for name in ("prcp", "pet"):
        series = summary.statistics.get(name)
        if series is None or len(summary.cells) < 3:
            continue
        middle = float(np.nanmedian(series.mean)) if np.isfinite(series.mean).any() else 0.0
        if not middle > 0:
            continue
        ratio = series.mean / middle
        wrong = (ratio > _OUTLIER) | ((ratio < 1 / _OUTLIER) & (ratio > 0))
        if wrong.any():
            worst = float(ratio[wrong][np.argmax(np.abs(np.log(ratio[wrong])))])
            texts.append(
                f"mean {_title(name)} is {worst:.3g} times the median of all cells in "
                f"{summary.where(wrong)}{factor_of(worst)}"
            )
    return "; ".join(texts) or None


def _more_flow_than_rain(summary: Summary) -> str | None:
    flow, prcp = (summary.statistics.get(name) for name in ("streamflow", "common"))
    if flow is None or prcp is None:
        return None
    wrong = (flow.known >= _LONG) & (flow.mean > prcp.mean)
    if not wrong.any():
        return None
    with np.errstate(divide="ignore"):
        ratio = float(np.median(flow.mean[wrong] / prcp.mean[wrong]))
    text = f"observed streamflow is above precipitation in {summary.where(wrong)}"
    if ratio < 2:
        return text
    between = [f"{name} ({factor:g})" for factor, name in _FACTORS if ratio <= factor <= _SHARES * ratio]
    like = f", such as between {' or '.join(between)}" if between else ""
    return (
        f"{text}, by a factor of {ratio:.3g} in the median: is there an error of units or of the area{like}?"
    )


def _hardly_flow(summary: Summary) -> str | None:
    flow, prcp = (summary.statistics.get(name) for name in ("streamflow", "common"))
    if flow is None or prcp is None:
        return None
    wrong = (flow.known >= _LONG) & (flow.mean > 0) & (flow.mean < _LEAST_SHARE * prcp.mean)
    if not wrong.any():
        return None
    return (
        f"observed streamflow is less than a thousandth of precipitation in {summary.where(wrong)}: are "
        "units and areas right?"
    )


def _no_river(summary: Summary) -> str | None:
    flow = summary.statistics.get("streamflow")
    if flow is None or not flow.constant.any():
        return None
    return f"observed streamflow has one and the same value on all days in {summary.where(flow.constant)}"


def _repeated_flow(summary: Summary) -> str | None:
    flow = summary.statistics.get("streamflow")
    if flow is None:
        return None
    wrong = (flow.longest > _REPEATED) & ~flow.constant
    if not wrong.any():
        return None
    cell = int(np.argmax(np.where(wrong, flow.longest, 0)))
    last = str(summary.days[int(flow.longest_end[cell])])[:10]
    return (
        f"observed streamflow repeats one value for more than {_REPEATED} days in {summary.where(wrong)}, at "
        f"most for {int(flow.longest[cell])} days to {last}: ice, a dam, or filled gaps?"
    )


def _few_observations(summary: Summary) -> str | None:
    flow = summary.statistics.get("streamflow")
    if flow is None or len(summary.days) < _LONG:
        return None
    wrong = (flow.known > 0) & (flow.known < _FEW)
    return (
        f"there are fewer than {_FEW} days of streamflow in {summary.where(wrong)}" if wrong.any() else None
    )


def _pet_and_hargreaves(summary: Summary) -> str | None:
    pet, other = (summary.statistics.get(name) for name in ("pet", "hargreaves"))
    if pet is None or other is None:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = pet.mean / other.mean
    wrong = (pet.known >= _LONG) & ((ratio > _PET_FACTOR) | (ratio < 1 / _PET_FACTOR))
    if not wrong.any():
        return None
    middle = float(np.nanmedian(ratio[wrong]))
    return (
        f"{_title('pet')} is {middle:.3g} times what Hargreaves' equation gives in "
        f"{summary.where(wrong)}{factor_of(middle)}"
    )


def _pet_sum(summary: Summary) -> str | None:
    pet = summary.statistics.get("pet")
    if pet is None:
        return None
    sums = _yearly(pet)
    wrong = (sums > _PET_RANGE[1]) | ((sums < _PET_RANGE[0]) & ~pet.constant)
    if not wrong.any():
        return None
    return (
        f"{_title('pet')} is {_span(sums[wrong])} mm a year in {summary.where(wrong)}; expected "
        f"{_PET_RANGE[0]:g} to {_PET_RANGE[1]:g}: is its unit right?"
    )


def _constant_pet(summary: Summary) -> str | None:
    pet = summary.statistics.get("pet")
    if pet is None or not pet.constant.any():
        return None
    return f"{_title('pet')} has one and the same value on all days in {summary.where(pet.constant)}"


def _temperature_mean(summary: Summary) -> str | None:
    air = summary.statistics.get("tmean")
    if air is None:
        return None
    wrong = (air.known >= _LONG) & ((air.mean > _HOTTEST) | (air.mean < _COLDEST))
    if not wrong.any():
        return None
    return (
        f"mean air temperature is {_span(air.mean[wrong])} degC in {summary.where(wrong)}; expected "
        f"{_COLDEST:g} to {_HOTTEST:g}: is it in degrees Fahrenheit, or in tenths?"
    )


def _season(summary: Summary) -> str | None:
    air, latitude = summary.statistics.get("tmean"), summary.places.get("lat")
    if air is None or latitude is None:
        return None
    midsummer = np.where(latitude > 0, 172.0, 355.0)  # the sun is highest
    apart = np.abs((air.peak - midsummer + _YEAR / 2) % _YEAR - _YEAR / 2)
    clear = (air.known >= _LONG) & (air.amplitude > _SEASON) & (np.abs(latitude) > _TROPIC)
    wrong = clear & (apart > _HALF_YEAR)
    if not wrong.any():
        return None
    return (
        f"it is warmest in the dark half of the year in {summary.where(wrong)}: is the sign of temperature "
        "or of latitude wrong, or are latitude and longitude swapped?"
    )


def _swapped_places(summary: Summary) -> str | None:
    air, latitude = summary.statistics.get("tmean"), summary.places.get("lat")
    if air is None or latitude is None:
        return None
    tropical = (np.abs(latitude) < 15) & (air.amplitude > _TROPICAL_WAVE)
    polar = (np.abs(latitude) > _POLAR) & (air.mean > 0)
    wrong = (air.known >= _LONG) & (tropical | polar)
    if not wrong.any():
        return None
    return (
        f"the temperature in {summary.where(wrong)} is not that of its latitude: are latitude and longitude "
        "swapped?"
    )


def _duplicates(summary: Summary) -> str | None:
    prcp = summary.statistics["prcp"]
    keys = [
        summary.statistics[name].key for name in ("prcp", "tmean", "streamflow") if name in summary.statistics
    ]
    varies = ~prcp.constant & (prcp.known > 0)
    if len(keys[0]) < 2:
        return None
    table = np.stack(keys, axis=1)
    _, place, counts = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    wrong = (counts[place.ravel()] > 1) & varies
    if not wrong.any():
        return None
    return f"the series of each of {summary.where(wrong)} are also those of another cell: are cells repeated?"


def _codes(summary: Summary) -> str | None:
    texts = [
        f"{_title(name)} has a number that often stands for a missing value (such as 9999) in "
        f"{summary.where(series.codes > 0)}"
        for name, series in summary.statistics.items()
        if name in ("prcp", "streamflow", "pet") and (series.codes > 0).any()
    ]
    return "; ".join(texts) or None


def _crossed_extremes(summary: Summary) -> str | None:
    if not summary.crossed:
        return None
    low, high = summary.inputs.name("tmin"), summary.inputs.name("tmax")
    text = f"{low} is above {high} on {summary.crossed} cell-days"
    hargreaves = "pet" in summary.inputs.wanted and summary.inputs.name("pet") is None
    return f"{text}: Hargreaves takes the absolute difference" if hargreaves else text


def _impossible_extremes(summary: Summary) -> str | None:
    texts = [f"{fault.error()} Nothing is computed from it." for fault in summary.beside.values()]
    return "; ".join(texts) or None


def _title(name: str) -> str:
    return {
        "prcp": "precipitation",
        "pet": "potential evapotranspiration",
        "streamflow": "observed streamflow",
    }[name]


def _span(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"


DOUBTS: tuple[Rule, ...] = (
    _drizzle,
    _precipitation_sum,
    _no_desert,
    _accumulated,
    _outlying_days,
    _outlying_cells,
    _more_flow_than_rain,
    _hardly_flow,
    _no_river,
    _repeated_flow,
    _few_observations,
    _pet_and_hargreaves,
    _pet_sum,
    _constant_pet,
    _temperature_mean,
    _season,
    _swapped_places,
    _duplicates,
    _codes,
    _crossed_extremes,
    _impossible_extremes,
)
