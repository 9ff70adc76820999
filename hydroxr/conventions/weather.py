"""Daily weather that formulas of potential evapotranspiration read, beside the forcing of the model."""

from __future__ import annotations

from .variables import DAILY_MEAN, VARIABLES, Quantity, Variable


def _weather(
    name: str,
    long_name: str,
    units: str,
    quantity: Quantity,
    standard_name: str | None,
    *names: str,
    possible: tuple[float, float],
) -> Variable:
    return Variable(
        name,
        "forcing",
        long_name,
        units,
        standard_name,
        DAILY_MEAN,
        valid_min=possible[0],
        valid_max=possible[1],
        quantity=quantity,
        names=(name, *names),
        standard_names=(standard_name,) if standard_name else (),
    )


_SHORTWAVE = "surface_downwelling_shortwave_flux_in_air"

_VAPOUR = "water_vapor_partial_pressure_in_air"

# The ranges are wide, for codes and wrong units alone: models have humidities a little below 0.
_ROWS = (
    _weather(
        "srad",
        "downwelling shortwave radiation",
        "W m-2",
        "radiation",
        _SHORTWAVE,
        "rsds",
        "ssrd",
        possible=(-10.0, 1500.0),
    ),
    _weather("dayl", "day length", "s", "duration", None, possible=(0.0, 86400.0)),
    _weather("vp", "water vapour pressure", "kPa", "pressure", _VAPOUR, possible=(-0.05, 10.0)),
    _weather(
        "tdew",
        "dew point temperature",
        "degC",
        "temperature",
        "dew_point_temperature",
        "d2m",
        possible=(-120.0, 70.0),
    ),
    _weather("rh", "relative humidity", "1", "share", "relative_humidity", "hurs", possible=(-0.05, 2.0)),
    _weather("huss", "specific humidity", "1", "share", "specific_humidity", "sph", possible=(-0.01, 0.1)),
    _weather(
        "wind",
        "wind speed 10 m above ground",
        "m s-1",
        "speed",
        "wind_speed",
        "sfcWind",
        "vs",
        possible=(0.0, 150.0),
    ),
    _weather("wind_2m", "wind speed 2 m above ground", "m s-1", "speed", None, "u2", possible=(0.0, 150.0)),
    _weather(
        "ps", "surface air pressure", "kPa", "pressure", "surface_air_pressure", "sp", possible=(20.0, 120.0)
    ),
    Variable(
        "elevation",
        "observation",
        "elevation",
        "m",
        "surface_altitude",
        quantity="length",
        names=("elev_mean", "elevation", "elev", "orog"),
        standard_names=("surface_altitude",),
    ),
)

WEATHER: dict[str, Variable] = {row.name: row for row in _ROWS}

# Everything that a Dataset is searched for by role.
ROLES: dict[str, Variable] = VARIABLES | WEATHER
