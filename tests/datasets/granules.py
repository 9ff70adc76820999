"""MOD16A2 files with known values, in the layouts of its distributors."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd

RADIUS = 6371007.181
PIXEL = 463.312716528  # m
CODES = tuple(range(32761, 32768))
# The Earth's sphere of MODIS, as its files spell it.
WKT = (
    'PROJCS["unnamed",GEOGCS["Unknown datum based upon the custom spheroid",DATUM["Not specified (based on '
    'custom spheroid)",SPHEROID["Custom spheroid",6371007.181,0]],PRIMEM["Greenwich",0],UNIT["degree",'
    '0.0174532925199433]],PROJECTION["Sinusoidal"],PARAMETER["longitude_of_center",0],PARAMETER['
    '"false_easting",0],PARAMETER["false_northing",0],UNIT["Meter",1]]'
)
WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]'
)


def dates(first: str = "2003-12-03", number: int = 8) -> pd.DatetimeIndex:
    """First days of composites: day 1, 9, ..., 361 of each year."""
    years = range(pd.Timestamp(first).year, pd.Timestamp(first).year + number // 46 + 2)
    every = [pd.Timestamp(f"{year}-01-01") + pd.Timedelta(days=k) for year in years for k in range(0, 361, 8)]
    return pd.DatetimeIndex([day for day in every if day >= pd.Timestamp(first)][:number])


def raw(steps: int, seed: int = 0, rows: int = 3, columns: int = 4) -> np.ndarray:
    """Values of the product, int16: valid ones, the largest and smallest valid, and all seven codes."""
    values = np.random.default_rng(seed).integers(0, 600, (steps, rows, columns)).astype("int16")
    values[0].flat[:7] = CODES
    values[0].flat[7:9] = [32700, -5]
    return values


def write_netcdf(path: Path, geographic: bool = True, number: int = 8) -> np.ndarray:
    """A file as AppEEARS writes it: packed, in the Julian calendar, with dimension names of its own."""
    values = raw(number)
    rows, columns = ("lat", "lon") if geographic else ("ydim", "xdim")
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", number), (rows, 3), (columns, 4)):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"units": "days since 2000-01-01 00:00:00", "calendar": "julian", "axis": "T"})
        time[:] = (dates(number=number) - pd.Timestamp("2000-01-01")).days
        y, x = (file.createVariable(name, "f8", (name,)) for name in (rows, columns))
        if geographic:
            y[:], x[:] = 45.0 - np.arange(3) / 240, 6.0 + np.arange(4) / 240
            y.units, x.units = "degrees_north", "degrees_east"
        else:
            y[:], x[:] = 5.0e6 - PIXEL * np.arange(3), 4.7e5 + PIXEL * np.arange(4)
            y.units = x.units = "m"
        crs = file.createVariable("crs", "i1")
        crs.setncatts(
            {"grid_mapping_name": "latitude_longitude", "crs_wkt": WGS84}
            if geographic
            else {
                "grid_mapping_name": "sinusoidal",
                "earth_radius": RADIUS,
                "longitude_of_projection_origin": 0.0,
                "false_easting": 0.0,
                "false_northing": 0.0,
            }
        )
        for layer, offset in (("ET_500m", 0), ("PET_500m", 100)):
            array = file.createVariable(layer, "i2", ("time", rows, columns), fill_value=32767)
            array.set_auto_maskandscale(False)
            array[:] = np.where(values > 32000, values, values + offset)
            array.setncatts(
                {
                    "scale_factor": 0.1,
                    "add_offset": 0.0,
                    "units": "kg/m^2/8day",
                    "valid_range": np.array([-32767, 32700], "i2"),
                    "grid_mapping": "crs",
                }
            )
        quality = file.createVariable("ET_QC_500m", "u1", ("time", rows, columns))
        quality[:] = 0
    return values


def write_geotiffs(folder: Path, number: int = 8, clock: bool = False, layers: bool = True) -> np.ndarray:
    """One GeoTIFF per composite and layer, as AppEEARS writes them on the sinusoidal grid."""
    import rasterio
    from rasterio.transform import from_origin

    folder.mkdir(exist_ok=True)
    values = raw(number)
    for step, day in enumerate(dates(number=number)):
        for layer in ("ET_500m", "PET_500m", "ET_QC_500m") if layers else ("ET_500m",):
            stamp = f"{day.year}{day.day_of_year:03d}{'000000' if clock else ''}"
            name = folder / f"MOD16A2GF.061_{layer}_doy{stamp}_aid0001.tif"
            kind = "uint8" if "QC" in layer else "int16"
            block = np.zeros((3, 4), kind) if "QC" in layer else values[step]
            profile = {"driver": "GTiff", "height": 3, "width": 4, "count": 1, "dtype": kind, "crs": WKT}
            place = from_origin(4.7e5, 5.0e6, PIXEL, PIXEL)
            with rasterio.open(name, "w", transform=place, **profile) as file:
                file.write(block, 1)
    return values
