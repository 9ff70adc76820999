"""A virtual continent: plausible forcing and attributes for any number of cells, lazy.

It serves for tests of size and speed, to try a workflow before data are available, and for teaching. Each
value is a hash of the seed, the place and the day, so it does not depend on chunks or on other values.

Weather systems that last days and span cells are value noise: random numbers at the corners of a lattice,
smoothly interpolated. Climate follows from latitude, elevation and wetness. It represents no real place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..conventions.variables import VARIABLES
from ..errors import DescriptionError
from ..inputs.pet.temperature import hargreaves

_START = "1980-10-01"
_SOUTH, _NORTH, _WEST, _EAST = 25.0, 65.0, -125.0, -65.0
_CHUNK = 30e6  # bytes per variable
_GOLDEN = 0.6180339887498949

_FRONT_DAYS, _FRONT_DEGREES = 4.0, 5.0  # duration and width of weather systems
_SPELL_DAYS, _SPELL_DEGREES = 25.0, 12.0  # wet and dry, warm and cold spells
_LAPSE = 0.0065  # K/m

GEOLOGY = (
    "Siliciclastic sedimentary rocks",
    "Carbonate sedimentary rocks",
    "Metamorphics",
    "Acid plutonic rocks",
)
LAND_COVER = ("Grasslands", "Mixed Forests", "Evergreen Needleleaf Forest", "Croplands")


def virtual_continent(
    cells: int = 20_000,
    years: int = 10,
    seed: int = 0,
    *,
    shape: tuple[int, int] | None = None,
    chunks: dict[str, int] | None = None,
) -> xr.Dataset:
    """A virtual continent with daily forcing and the 35 attributes of Feng et al. (2022), lazy.

    Parameters
    ----------
    cells : int
        Number of catchments along the dimension ``basin``, spread evenly over the continent.
    years : int
        Number of years from 1 October 1980.
    seed : int
        Seed of the continent and its weather. The same seed gives the same values with any chunks.
    shape : (int, int), optional
        Size of a grid ``(lat, lon)``, instead of catchments. It has sea around the continent, where ``mask``
        is 0 and the forcing is missing.
    chunks : dict, optional
        Chunk sizes by dimension; default: all days, and cells for 30 MB.

    Returns
    -------
    Dataset
        ``(basin, time)`` or ``(time, lat, lon)``: ``prcp`` and ``pet`` [kg m-2 day-1, equal to mm/day],
        ``tmean``, ``tmin`` and ``tmax`` [degC], float32. ``(basin)`` or ``(lat, lon)``: the attributes,
        float32 or text, and on a grid ``mask``. It passes ``ds.hbv.check()``, where the mask is 1.

    Raises
    ------
    DescriptionError
        If a size is not an integer of at least 1, or ``chunks`` has an unknown dimension.
    """
    sizes = {} if shape is None else dict(zip(("lat", "lon"), shape, strict=True))
    _check({"cells": cells, "years": years} | sizes)
    end = pd.Timestamp(_START) + pd.DateOffset(years=years)
    time = pd.date_range(_START, end, inclusive="left")
    ds = _places(cells, seed) if shape is None else _grid(shape, seed)
    space = tuple(ds["elev_mean"].dims)
    unknown = [dim for dim in chunks or {} if dim not in (*space, "time")]
    if unknown:
        raise DescriptionError(
            f"chunks has {unknown[0]!r}, which is not a dimension of the continent; choose from "
            f"{', '.join(map(str, (*space, 'time')))}."
        )
    ds = ds.assign_coords(time=time)
    for name, values in _weather(ds, space, time, seed, chunks or {}).items():
        ds[name] = values
    ds["pet"] = hargreaves(ds["tmean"], ds["tmin"], ds["tmax"], ds["lat"]).astype("float32")
    if "mask" in ds:
        ds["pet"] = ds["pet"].where(ds["mask"] == 1)
    for name in ("prcp", "tmean", "tmin", "tmax", "pet"):
        ds[name].attrs = VARIABLES[name].attrs()
    order = ("time", *space) if len(space) > 1 else (*space, "time")
    ds = ds.transpose(*order, missing_dims="ignore")
    ds.attrs = {
        "title": "Virtual continent: made-up weather and catchments",
        "source": f"hydroxr.virtual_continent, seed {seed}",
    }
    return ds


def _check(sizes: dict[str, Any]) -> None:
    """Require integers of at least 1."""
    for name, value in sizes.items():
        if not hasattr(value, "__index__") or isinstance(value, bool) or value < 1:
            raise DescriptionError(f"{name} is {value!r}; expected a whole number of at least 1.")


# --- Random numbers by place ----------------------------------------------------------------------


def _uniform(*keys: Any) -> np.ndarray:
    """Numbers in [0, 1), a hash of integers that broadcast (the mixing of splitmix64)."""
    mixed: Any = np.uint64(0)
    with np.errstate(over="ignore"):
        for key in keys:
            value = np.asarray(key, dtype=np.int64).view(np.uint64)
            mixed = mixed + value * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray(mixed >> np.uint64(40), dtype=np.float32) * np.float32(2.0**-24)


def _smooth(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The knot before a position, and the weight of the next one."""
    knot = np.floor(position).astype(np.int64)
    part = (position - knot).astype(np.float32)
    return knot, part * part * (3.0 - 2.0 * part)


def _field(lat: np.ndarray, lon: np.ndarray, degrees: float, *keys: Any) -> np.ndarray:
    """Noise in [0, 1) over the map, ``degrees`` wide; ``keys`` broadcast with the places."""
    row, south = _smooth(np.asarray(lat) / degrees)
    column, west = _smooth(np.asarray(lon) / degrees)
    lower = _uniform(*keys, row, column) * (1 - west) + _uniform(*keys, row, column + 1) * west
    upper = _uniform(*keys, row + 1, column) * (1 - west) + _uniform(*keys, row + 1, column + 1) * west
    return lower * (1 - south) + upper * south


@dataclass(frozen=True)
class _Block:
    """Cells ``(cell,)`` and days ``(time,)`` of one block of weather; ``season`` is the share of the year."""

    lat: np.ndarray
    lon: np.ndarray
    elevation: np.ndarray
    p_mean: np.ndarray
    days: np.ndarray
    season: np.ndarray
    seed: int

    def noise(self, length: float, degrees: float, key: int) -> np.ndarray:
        """Noise (cell, time) with mean 0, standard deviation about 1 and a duration of ``length`` days."""
        knot, weight = _smooth(self.days / length)
        knots = np.arange(knot[0], knot[-1] + 2)
        values = _field(self.lat[:, None], self.lon[:, None], degrees, self.seed, key, knots[None, :])
        place = knot - knot[0]
        between = values[:, place] * (1 - weight) + values[:, place + 1] * weight
        return (between - np.float32(0.5)) * np.float32(5.2)


# --- Places ---------------------------------------------------------------------------------------


def _places(cells: int, seed: int) -> xr.Dataset:
    """Catchments spread evenly: from south to north, with longitudes at golden-ratio steps."""
    number = np.arange(cells)
    lat = _SOUTH + (_NORTH - _SOUTH) * (number + 0.5) / cells
    lon = _WEST + (_EAST - _WEST) * ((number * _GOLDEN + float(_uniform(seed, 7))) % 1.0)
    coords = {
        "basin": number,
        "lat": ("basin", lat, VARIABLES["lat"].attrs()),
        "lon": ("basin", lon, {"standard_name": "longitude", "units": "degrees_east"}),
    }
    return _with_attributes(xr.Dataset(coords=coords), lat, lon, ("basin",), seed)


def _grid(shape: tuple[int, int], seed: int) -> xr.Dataset:
    """A grid with land where smooth noise, lower towards the edges, exceeds a threshold."""
    edges = [
        np.linspace(*ends, number + 1)
        for ends, number in zip(((_SOUTH, _NORTH), (_WEST, _EAST)), shape, strict=True)
    ]
    lat, lon = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    lats, lons = (axis.ravel() for axis in np.meshgrid(lat, lon, indexing="ij"))
    north, east = (lats - _SOUTH) / (_NORTH - _SOUTH), (lons - _WEST) / (_EAST - _WEST)
    inland = 4.0 * np.minimum(np.minimum(north, 1 - north), np.minimum(east, 1 - east))
    land = np.minimum(inland, 1.0) + 0.8 * (_field(lats, lons, 9.0, seed, 11) - 0.5) > 0.45
    coords = {
        "lat": ("lat", lat, VARIABLES["lat"].attrs()),
        "lon": ("lon", lon, {"standard_name": "longitude", "units": "degrees_east"}),
    }
    ds = _with_attributes(xr.Dataset(coords=coords), lats, lons, ("lat", "lon"), seed, shape)
    ds["mask"] = (("lat", "lon"), land.reshape(shape).astype("int8"))
    ds["mask"].attrs = {"standard_name": "land_binary_mask", "long_name": "land", "units": "1"}
    return ds


def _with_attributes(
    ds: xr.Dataset,
    lat: np.ndarray,
    lon: np.ndarray,
    space: tuple[str, ...],
    seed: int,
    shape: tuple[int, ...] = (-1,),
) -> xr.Dataset:
    """The attributes of Table A1 of Feng et al. (2022), roughly correlated as in nature."""
    own = partial(_regional, lat, lon, seed)
    rugged, wet = own(0) ** 2, own(1)
    elevation = 50.0 + 3000.0 * rugged
    warmth = _mean_temperature(lat, elevation)
    snow = np.clip(0.35 - 0.04 * warmth, 0.0, 0.9)
    p_mean = 0.8 + 6.0 * wet**2 + rugged
    pet_mean = np.clip(1.2 + 0.11 * (warmth + 5.0), 0.6, 5.0)
    forest = np.clip(1.4 * wet + 0.3 * own(2) - 0.3, 0.0, 1.0)
    sand = 10.0 + 60.0 * own(3)
    clay = (100.0 - sand) * (0.2 + 0.4 * own(4))
    numbers: dict[str, tuple[np.ndarray, str]] = {
        "p_mean": (p_mean, "mm day-1"),
        "pet_mean": (pet_mean, "mm day-1"),
        "p_seasonality": (2.0 * own(5) - 1.0, "1"),
        "frac_snow": (snow, "1"),
        "aridity": (pet_mean / p_mean, "1"),
        "high_prec_freq": (10.0 + 20.0 * (1.0 - wet), "day year-1"),
        "high_prec_dur": (1.0 + 0.6 * own(6), "day"),
        "low_prec_freq": (180.0 + 140.0 * (1.0 - wet), "day year-1"),
        "low_prec_dur": (2.5 + 12.0 * (1.0 - wet) ** 2, "day"),
        "elev_mean": (elevation, "m"),
        "slope_mean": (1.0 + 150.0 * rugged, "m km-1"),
        "area_gages2": (10.0 ** (1.0 + 2.5 * own(7)), "km2"),
        "frac_forest": (forest, "1"),
        "lai_max": (0.5 + 5.0 * forest, "1"),
        "lai_diff": (0.3 + 4.0 * forest * (1.0 - snow), "1"),
        "gvf_max": (0.3 + 0.6 * wet, "1"),
        "gvf_diff": (0.1 + 0.4 * own(8), "1"),
        "dom_land_cover_frac": (0.35 + 0.6 * own(9), "1"),
        "root_depth_50": (0.12 + 0.12 * forest, "m"),
        "soil_depth_pelletier": (1.0 + 30.0 * (1.0 - rugged) * own(10), "m"),
        "soil_depth_statsgo": (0.6 + 0.9 * own(11), "m"),
        "soil_porosity": (0.37 + 0.1 * clay / 60.0, "1"),
        "soil_conductivity": (0.5 + 8.0 * (sand / 100.0) ** 2, "cm hour-1"),
        "max_water_content": (0.2 + 0.5 * own(12), "m"),
        "sand_frac": (sand, "percent"),
        "silt_frac": (100.0 - sand - clay, "percent"),
        "clay_frac": (clay, "percent"),
        "geol_class_1st_frac": (0.5 + 0.5 * own(13), "1"),
        "geol_class_2nd_frac": (0.4 * own(14), "1"),
        "carbonate_rocks_frac": (np.clip(2.0 * own(15) - 1.0, 0.0, 1.0), "1"),
        "geol_porosity": (0.02 + 0.2 * own(16), "1"),
        "geol_permeability": (-15.5 + 4.0 * own(17), "1"),  # log10 of m2
    }
    for name, (values, units) in numbers.items():
        ds[name] = (space, values.astype("float32").reshape(shape), {"units": units})
    for number, (name, kinds) in enumerate(
        {"geol_class_1st": GEOLOGY, "geol_class_2nd": GEOLOGY, "dom_land_cover": LAND_COVER}.items()
    ):
        place = np.minimum((own(20 + number) * len(kinds)).astype(int), len(kinds) - 1)
        ds[name] = (space, np.array(kinds)[place].reshape(shape))
    return ds


def _regional(lat: np.ndarray, lon: np.ndarray, seed: int, number: int) -> np.ndarray:
    """Numbers between 0 and 1, half from the region and half from the cell."""
    at = np.round(lat * 1e4).astype(np.int64), np.round(lon * 1e4).astype(np.int64)
    return 0.5 * _field(lat, lon, 6.0, seed, 100 + number) + 0.5 * _uniform(seed, 200 + number, *at)


def _mean_temperature(lat: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Annual mean temperature, degC."""
    return 27.0 - 0.6 * (lat - _SOUTH) - _LAPSE * elevation


# --- Weather --------------------------------------------------------------------------------------


def _weather(
    ds: xr.Dataset, space: tuple[Any, ...], time: pd.DatetimeIndex, seed: int, chunks: dict[str, int]
) -> dict[str, xr.DataArray]:
    """``prcp``, ``tmean``, ``tmin`` and ``tmax`` as lazy arrays (space..., time)."""
    import dask.array as da

    sizes = {str(dim): ds.sizes[dim] for dim in space}
    per_day = max(1, int(_CHUNK / (4 * len(time))))
    block, left = {}, per_day
    for dim in reversed(sizes):
        block[dim] = min(sizes[dim], max(1, left))
        left //= block[dim]
    block = {dim: chunks.get(dim, block[dim]) for dim in sizes}
    full = ds["elev_mean"]
    land = ds["mask"] if "mask" in ds else xr.ones_like(full)
    places = [
        da.from_array(
            array.broadcast_like(full).transpose(*space).values.astype("float64"),
            chunks=tuple(block.values()),
        )
        for array in (ds["lat"], ds["lon"], full, ds["p_mean"], land)
    ]
    number = (time - pd.Timestamp(_START)).days.to_numpy().astype("float64")
    season = (time.day_of_year.to_numpy() - 1) / 365.25
    days = [da.from_array(values, chunks=chunks.get("time", -1)) for values in (number, season)]
    functions: dict[str, Callable[[_Block], np.ndarray]] = {
        "prcp": _precipitation,
        "tmean": _mean,
        "tmin": _least,
        "tmax": _most,
    }
    out = {}
    for name, function in functions.items():
        arguments: list[Any] = [part for array in days for part in (array, ("time",))]
        arguments += [part for array in places for part in (array, space)]
        more = {"function": function, "seed": seed, "dtype": "float32", "meta": np.empty(0, "float32")}
        values = da.blockwise(_weather_of_block, (*space, "time"), *arguments, **more)
        out[name] = xr.DataArray(values, dims=(*space, "time"))
    return out


def _weather_of_block(
    days: np.ndarray,
    season: np.ndarray,
    *places: np.ndarray,
    function: Callable[[_Block], np.ndarray],
    seed: int,
) -> np.ndarray:
    """One variable in one block (space..., time); NaN over the sea."""
    shape = (*places[0].shape, days.size)
    *climate, mask = (place.ravel() for place in places)
    out = np.full((mask.size, days.size), np.nan, dtype="float32")
    land = mask == 1
    if land.any():
        lat, lon, elevation, p_mean = (values[land] for values in climate)
        out[land] = function(_Block(lat, lon, elevation, p_mean, days, season, seed))
    return out.reshape(shape)


def _precipitation(block: _Block) -> np.ndarray:
    """Showers within fronts within spells, mm/day: dry on most days, wetter where ``p_mean`` is higher."""
    front = block.noise(_FRONT_DAYS, _FRONT_DEGREES, 1)
    spell = block.noise(_SPELL_DAYS, _SPELL_DEGREES, 2)
    at = (np.round(values * 1e4).astype(np.int64)[:, None] for values in (block.lat, block.lon))
    shower = _uniform(block.seed, 3, *at, block.days.astype(np.int64)[None, :])
    drive = 0.9 * front + 0.5 * spell + 1.2 * (shower - np.float32(0.5))
    wet = np.maximum(drive - np.float32(0.35), 0.0)
    summer = 1.0 + 0.25 * np.sin(2.0 * np.pi * (block.season - 0.3)).astype("f4")
    heavy = -np.log1p(-shower)  # exponential with mean 1
    return (2.1 * block.p_mean[:, None].astype("f4") * wet * (0.4 + heavy) * summer).astype("f4")


def _mean(block: _Block) -> np.ndarray:
    """An annual wave, larger in the north, with warm and cold spells, degC."""
    base = _mean_temperature(block.lat, block.elevation)[:, None].astype("f4")
    swing = (6.0 + 0.25 * (block.lat - _SOUTH))[:, None].astype("f4")
    wave = -np.cos(2.0 * np.pi * (block.season - 0.05)).astype("f4")
    front = block.noise(_FRONT_DAYS, _FRONT_DEGREES, 4)
    spell = block.noise(_SPELL_DAYS, _SPELL_DEGREES, 5)
    return base + swing * wave + 2.0 * front + 1.5 * spell


def _half_range(block: _Block) -> np.ndarray:
    """Half of the daily range, K, smaller under the clouds of a front."""
    front = block.noise(_FRONT_DAYS, _FRONT_DEGREES, 1)
    return np.clip(np.float32(5.5) - np.float32(1.5) * front, 0.5, 9.0)


def _least(block: _Block) -> np.ndarray:
    return _mean(block) - _half_range(block)


def _most(block: _Block) -> np.ndarray:
    return _mean(block) + _half_range(block)
