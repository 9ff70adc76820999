"""Daily weather that formulas of potential evapotranspiration read, beside the forcing of the model."""

from __future__ import annotations

from .variables import DAILY_MEAN, VARIABLES, Quantity, Variable


def _weather(
    name: str, long_name: str, units: str, quantity: Quantity, standard_name: str | None, *names: str
) -> Variable:
    return Variable(
        name,
        "forcing",
        long_name,
        units,
        standard_name,
        DAILY_MEAN,
        quantity=quantity,
        names=(name, *names),
        standard_names=(standard_name,) if standard_name else (),
    )


_SHORTWAVE = "surface_downwelling_shortwave_flux_in_air"

_ROWS = (
    _weather("srad", "downwelling shortwave radiation", "W m-2", "radiation", _SHORTWAVE, "rsds", "ssrd"),
    _weather("dayl", "day length", "s", "duration", None),
    _weather("vp", "water vapour pressure", "kPa", "pressure", "water_vapor_partial_pressure_in_air"),
    _weather("tdew", "dew point temperature", "degC", "temperature", "dew_point_temperature", "d2m"),
    _weather("rh", "relative humidity", "1", "share", "relative_humidity", "hurs"),
    _weather("huss", "specific humidity", "1", "share", "specific_humidity", "sph"),
    _weather("wind", "wind speed 10 m above ground", "m s-1", "speed", "wind_speed", "sfcWind", "vs"),
    _weather("wind_2m", "wind speed 2 m above ground", "m s-1", "speed", None, "u2"),
    _weather("ps", "surface air pressure", "kPa", "pressure", "surface_air_pressure", "sp"),
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
