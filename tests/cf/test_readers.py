"""What readers return has no faults and, written to files, passes the CF checker."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import xarray as xr

import hydroxr as hx
from tests.cf.files import check, checker, findings
from tests.datasets import granules
from tests.datasets.catchment_files import MADE
from tests.datasets.grid_files import cmip6, daymet, e_obs, era5_land, gridmet, nldas
from tests.datasets.test_camels_published import write_published
from tests.datasets.test_mod16_tables import granule_of_a_server, long, yearly_file
from tests.datasets.test_table import UNITS, frame

# The checker asks for each letter of the attribute that this grid mapping requires, which is there.
_BY_LETTERS = re.compile(r": . is a required attribute for grid mapping sinusoidal")


def forcing(folder: Path) -> dict[str, xr.Dataset]:
    """Of all that give forcing."""
    gridmet(folder)
    made = {
        "daymet": hx.open_forcing(daymet(folder)),
        "era5-land": hx.open_forcing(era5_land()),
        "gridmet": hx.open_forcing(folder / "*_2000.nc"),
        "nldas-2": hx.open_forcing(nldas(), utc_offset=-6),
        "e-obs": hx.open_forcing(e_obs()),
        "cmip6": hx.open_forcing(cmip6("noleap")),
        # The gauges have different days.
        "camels-us": hx.open_catchments(write_published(folder / "us")).dropna("time", subset=["prcp"]),
        "table": hx.open_table({"a": frame(), "b": frame()}, UNITS, lat={"a": 45.0, "b": 46.0}),
    }
    for name, write in MADE.items():
        write(folder / name)
        made[name] = hx.open_catchments(folder / name)
    return made


def products(folder: Path) -> dict[str, xr.Dataset]:
    """Of MOD16 in its layouts, and what is computed from forcing."""
    for name in ("grid", "sinusoidal", "server", "years", "table", "geotiff"):
        (folder / name).mkdir()
    granules.write_netcdf(folder / "grid/et.nc")
    granules.write_netcdf(folder / "sinusoidal/et.nc", geographic=False)
    granule_of_a_server(folder / "server", 1, granules.raw(1)[0])
    yearly_file(folder / "years/MOD16A3GF.061_500m_aid0001.nc")
    long(scale=0.1).to_csv(folder / "table/MOD16A2GF.csv", index=False)
    names = ["grid", "sinusoidal", "server", "years"]
    if find_spec("rasterio") is not None:
        granules.write_geotiffs(folder / "geotiff")
        names.append("geotiff")
    made = {f"mod16 {name}": hx.compare.open_mod16(folder / name) for name in names}
    made["mod16 table"] = hx.compare.open_mod16(folder / "table/MOD16A2GF.csv", scale=0.1)
    made["climate"] = hx.climate_attributes(hx.open_sample())
    return made


def test_what_readers_return_is_sound_and_cf(tmp_path: Path) -> None:
    """Of every source, in one run of the checker."""
    made = forcing(tmp_path)
    for name, ds in made.items():
        assert ds.hbv.check().days == ds.sizes["time"], name
    checker()
    made |= products(tmp_path)
    paths = [ds.hbv.to_netcdf(tmp_path / f"of_{name}.nc".replace(" ", "_")) for name, ds in made.items()]
    code, reports = check(paths, "cf:1.11", "strict")
    wrong = {
        name: found
        for name, report in reports.items()
        if (found := [text for text in findings(report) if not _BY_LETTERS.search(text)])
    }
    assert wrong == {}
    assert code < 2
