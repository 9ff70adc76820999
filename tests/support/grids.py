"""Fields on geographic and sinusoidal grids."""

from __future__ import annotations

import numpy as np
import xarray as xr

RADIUS = 6371007.181
SINUSOIDAL = {
    "grid_mapping_name": "sinusoidal",
    "longitude_of_projection_origin": 0.0,
    "longitude_of_central_meridian": 0.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
    "earth_radius": RADIUS,
}


def field(rows: np.ndarray, columns: np.ndarray, names: tuple[str, str], steps: int = 0) -> xr.Dataset:
    """Random values on a grid, with ``steps`` time steps if given."""
    shape = ((steps,) if steps else ()) + (len(rows), len(columns))
    values = np.random.default_rng(0).normal(5.0, 2.0, shape)
    dims = (("time",) if steps else ()) + names
    attrs = {"units": "kg m-2", "cell_methods": "time: sum"}
    return xr.Dataset({"et": (dims, values, attrs)}, {names[0]: rows, names[1]: columns})


def geographic(lat: np.ndarray, lon: np.ndarray, steps: int = 0) -> xr.Dataset:
    return field(lat, lon, ("lat", "lon"), steps)


def sinusoidal(rows: int = 12, columns: int = 10, size: float = 5000.0, steps: int = 0) -> xr.Dataset:
    """Pixels near 45 N, 6 E on MODIS' sphere."""
    north, west = RADIUS * np.deg2rad(45.3), RADIUS * np.deg2rad(6.0) * np.cos(np.deg2rad(45.3))
    y = north - size * (np.arange(rows) + 0.5)
    ds = field(y, west + size * (np.arange(columns) + 0.5), ("y", "x"), steps)
    ds["et"].attrs["grid_mapping"] = "crs"
    for name in ("y", "x"):
        ds[name].attrs = {"units": "m", "standard_name": f"projection_{name}_coordinate"}
    return ds.assign_coords(crs=((), 0, SINUSOIDAL))


def zone(south: float, north: float, width: float) -> float:
    """Area of a part of a zone of the sphere (m2)."""
    return RADIUS**2 * np.deg2rad(width) * (np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south)))
