"""What readers return, written to files, passes the CF checker."""

from __future__ import annotations

from pathlib import Path

import hydroxr as hx
from tests.cf.files import check, checker, findings
from tests.datasets.catchment_files import MADE
from tests.datasets.grid_files import daymet, era5_land
from tests.datasets.test_mod16_tables import long


def test_what_readers_return_is_cf(tmp_path: Path) -> None:
    checker()
    made = {"daymet": hx.open_forcing(daymet(tmp_path)), "era5_land": hx.open_forcing(era5_land())}
    for name in ("camels-gb", "caravan"):
        MADE[name](tmp_path / name)
        made[name] = hx.open_catchments(tmp_path / name)
    long(scale=0.1).to_csv(tmp_path / "MOD16A2GF.csv", index=False)
    made["mod16"] = hx.compare.open_mod16(tmp_path / "MOD16A2GF.csv", scale=0.1)
    made["climate"] = hx.climate_attributes(hx.open_sample())
    paths = [ds.hbv.to_netcdf(tmp_path / f"of_{name}.nc") for name, ds in made.items()]
    code, reports = check(paths, "cf:1.11", "strict")
    wrong = {name: findings(report) for name, report in reports.items() if findings(report)}
    assert wrong == {}
    assert code == 0
