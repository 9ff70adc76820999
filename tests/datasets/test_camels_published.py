"""CAMELS-US as published: every layout gives the same, and a damaged file is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hydroxr.conventions.variables import ATTRIBUTES
from hydroxr.datasets.camels import open_camels
from hydroxr.errors import DataFileError, EmptySelectionError

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "camels_us_official_layout"

# A small set: three gauges in the tables, forcing and streamflow of the last two.
GAUGES = ("01000001", "02000002", "03000003")
TABLES = {
    "name": "gauge_id;huc_02;gauge_name\n01000001;01;NA Creek, Maine\n02000002;02;B\n03000003;03;C\n",
    "topo": "gauge_id;gauge_lat;gauge_lon;elev_mean;slope_mean;area_gages2;area_geospa_fabric\n"
    "01000001;44.5;-68.5;250.31;21.6;2252.7;2303.95\n02000002;40.1;-77.2;10;2;100;101\n"
    "03000003;30.25;-90.125;20;3;8.64;9\n",
    "clim": "gauge_id;p_mean;pet_mean;p_seasonality;frac_snow;aridity;high_prec_freq;high_prec_dur;"
    "high_prec_timing;low_prec_freq;low_prec_dur;low_prec_timing\n"
    + "".join(f"{gauge};3.12667898699521;2;0.1;0;0.6;12;1.3;son;202;3.4;mam\n" for gauge in GAUGES),
    "geol": "gauge_id;geol_1st_class;glim_1st_class_frac;geol_2nd_class;glim_2nd_class_frac;"
    "carbonate_rocks_frac;geol_porostiy;geol_permeability\n"
    + "".join(f"{gauge};Metamorphics;1;NA;0;0;NA;-14.7\n" for gauge in GAUGES),
    "hydro": "gauge_id;q_mean;runoff_ratio;slope_fdc;baseflow_index;stream_elas;q5;q95;high_q_freq;"
    "high_q_dur;low_q_freq;low_q_dur;zero_q_freq;hfd_mean\n"
    + "".join(f"{gauge};1;0.5;1;0.5;1;0.2;6;6;8;41;20;0;207\n" for gauge in GAUGES),
    "soil": "gauge_id;soil_depth_pelletier;soil_depth_statsgo;soil_porosity;soil_conductivity;"
    "max_water_content;sand_frac;silt_frac;clay_frac;water_frac;organic_frac;other_frac\n"
    + "".join(f"{gauge};7.4;1.2;0.4;1.1;0.5;27;55;16;5;0;0\n" for gauge in GAUGES),
    "vege": "gauge_id;frac_forest;lai_max;lai_diff;gvf_max;gvf_diff;dom_land_cover_frac;dom_land_cover;"
    "root_depth_50;root_depth_99\n"
    + "".join(f"{gauge};0.9;4;3;0.8;0.3;0.8;    Mixed Forests;NA;NA\n" for gauge in GAUGES),
}
HEADER = "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)"
FORCING = {  # Daymet's separators; the second basin starts a day later and ends a day later
    "02000002": [
        f"2000 02 {day} 12\t31185.97\t{day}.25\t189.56\t1.50\t-2.36\t-14.36\t202.51" for day in (27, 28, 29)
    ],
    "03000003": [
        f"2000 {day} 12\t31185.97\t1.00\t189.56\t0.00\t9.00\t-1.00\t202.50"
        for day in ("02 28", "02 29", "03 01")
    ],
}
STREAMFLOW = {
    "02000002": [
        "02000002 2000 02 27   255.00 A:e",
        "02000002 2000 02 28  -999.00 M",
        "02000002 2000 02 29 0.00 A",
    ],
    "03000003": ["03000003 2000 02 20   1.00 A", "03000003 2000 02 29   100.00 Ice"],
}
FORCING_FILE = "basin_mean_forcing/daymet/03000003_lump_cida_forcing_leap.txt"
STREAMFLOW_FILE = "usgs_streamflow/03000003_streamflow_qc.txt"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return write_published(tmp_path / "published")


def write_published(root: Path) -> Path:
    for table, text in TABLES.items():
        write(root / f"camels_attributes_v2.0/camels_{table}.txt", text)
    for gauge, lines in FORCING.items():
        head = f"  44.82\n 133.00\n 587675987\n{HEADER}\n"
        path = root / f"basin_mean_forcing/daymet/{gauge}_lump_cida_forcing_leap.txt"
        write(path, head + "\n".join(lines) + "\n")
    for gauge, lines in STREAMFLOW.items():
        write(root / f"usgs_streamflow/{gauge}_streamflow_qc.txt", "\n".join(lines) + "\n")
    return root


def nest(root: Path) -> None:
    """Move the series to folders of regions; which region a file is in does not matter."""
    for region, file in enumerate(sorted((*root.glob("*/*_leap.txt"), *root.glob("*/*/*_leap.txt")))):
        write(file.parent / f"{region:02d}" / file.name, file.read_text())
        file.unlink()
    for file in sorted(root.glob("usgs_streamflow/*_qc.txt")):
        write(file.parent / file.name[:2] / file.name, file.read_text())
        file.unlink()


def test_published_values(published: Path) -> None:
    ds = open_camels(published)
    assert ds["prcp"].dims == ("basin", "time")
    assert ds["basin"].values.tolist() == ["02000002", "03000003"]  # the first in the tables has no forcing
    assert ds.sel(basin="03000003")["prcp"].dims == ("time",)
    days = np.arange("2000-02-27", "2000-03-02", dtype="datetime64[D]")
    np.testing.assert_array_equal(ds["time"], days.astype("datetime64[ns]"))  # at 00:00, not 12:00
    np.testing.assert_array_equal(ds["prcp"], [[27.25, 28.25, 29.25, np.nan], [np.nan, 1, 1, 1]])
    np.testing.assert_array_equal(ds["tmin"].isel(basin=0), [-14.36, -14.36, -14.36, np.nan])
    np.testing.assert_array_equal(ds["swe"].isel(basin=0), [1.5, 1.5, 1.5, np.nan])
    assert "1 of the 3 basins" in ds.attrs["comment"]
    assert "Daymet" in ds.attrs["source"]
    assert "10.5194/hess-21-5293-2017" in ds.attrs["references"]


def test_published_streamflow_is_over_the_area(published: Path) -> None:
    ds = open_camels(published)
    # 100 ft3/s are 2.8316846592 m3/s; over 8.64 km2 that is 28.316846592 mm/day.
    expected = [
        [255 * 0.028316846592 * 86.4 / 100, np.nan, 0, np.nan],
        [np.nan, np.nan, 28.316846592, np.nan],
    ]
    np.testing.assert_allclose(ds["streamflow"], expected, rtol=1e-7)
    flags = ds["streamflow_flag"]
    meanings = dict(
        zip(flags.attrs["flag_values"].tolist(), flags.attrs["flag_meanings"].split(), strict=True)
    )
    assert [meanings[code] for code in flags.values[0].tolist()] == [
        "approved_estimated",
        "missing",
        "approved",
        "missing",
    ]
    assert meanings[int(flags.values[1, 2])] == "other"


def test_published_attributes_have_names_types_and_units(published: Path) -> None:
    ds = open_camels(published)
    assert set(ATTRIBUTES) <= set(ds.data_vars)
    assert ds["dom_land_cover"].values.tolist() == ["Mixed Forests"] * 2  # without the file's leading blanks
    assert ds["geol_class_2nd"].values.tolist() == ["", ""]
    assert ds["geol_porosity"].isnull().all()
    assert ds["p_mean"].values[0] == 3.12667898699521
    assert ds["lat"].values.tolist() == [40.1, 30.25]
    assert {"basin", "basin_name", "lat", "lon"} <= set(ds.coords)
    for name, variable in ds.variables.items():
        assert variable.attrs["long_name"], name
        if variable.dtype.kind == "f":
            assert variable.attrs["units"], name
    assert ds["basin"].attrs["cf_role"] == "timeseries_id"
    assert ds["streamflow"].attrs["units"] == ds["prcp"].attrs["units"] == "kg m-2 day-1"
    assert ds["tmin"].attrs["units"] == "degC"


def test_regions_and_flat_are_equal(published: Path) -> None:
    flat = open_camels(published)
    nest(published)
    xr.testing.assert_identical(open_camels(published), flat)


@pytest.mark.parametrize("above", ["", "basin_timeseries_v1p2_metForcing_obsFlow/"])
def test_folders_of_the_archive_are_found(published: Path, above: str) -> None:
    expected = open_camels(published)
    for folder in ("basin_mean_forcing", "usgs_streamflow"):
        target = published / f"{above}basin_dataset_public_v1p2" / folder
        target.parent.mkdir(parents=True, exist_ok=True)
        (published / folder).rename(target)
    xr.testing.assert_identical(open_camels(str(published)), expected)


def test_missing_last_line_end_is_no_damage(published: Path) -> None:
    expected = open_camels(published)
    for name in (FORCING_FILE, STREAMFLOW_FILE):
        (published / name).write_text((published / name).read_text().rstrip("\n"))
    xr.testing.assert_identical(open_camels(published), expected)


def test_windows_line_ends_are_no_damage(published: Path) -> None:
    expected = open_camels(published)
    for file in published.rglob("*.txt"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    xr.testing.assert_identical(open_camels(published), expected)


def test_separators_and_case_of_the_other_products(published: Path) -> None:
    expected = open_camels(published)
    for folder in ("nldas", "maurer_extended"):
        shutil.copytree(published / "basin_mean_forcing/daymet", published / "basin_mean_forcing" / folder)
    for file in (published / "basin_mean_forcing/maurer_extended").iterdir():
        lines = file.read_text().splitlines()
        file.write_text("\n".join(lines[:3] + ["\t".join(line.split()) for line in lines[3:]]) + "\n")
    for file in (published / "basin_mean_forcing/nldas").iterdir():
        file.write_text(file.read_text().replace("tmax(C) tmin(C)", "\tTmax(C)\tTmin(C)"))
    for forcing, product in {"maurer": "Maurer", "maurer_extended": "Maurer", "nldas": "NLDAS"}.items():
        ds = open_camels(published, forcing=forcing)
        assert product in ds.attrs["source"]
        xr.testing.assert_equal(ds, expected)


def test_equal_extremes_are_a_mean(published: Path) -> None:
    """The PET of a mean temperature is Oudin's, not one of a range of 0."""
    for file in (published / "basin_mean_forcing/daymet").iterdir():
        lines = [line.split() for line in file.read_text().splitlines()]
        equal = [
            [*line[:-3], line[-2], *line[-2:]] if len(line) > 9 and line[0] != "Year" else line
            for line in lines
        ]
        file.write_text("\n".join(" ".join(line) for line in equal) + "\n")
    ds = open_camels(published)
    assert not {"tmin", "tmax"} & set(ds)
    assert ds["tmean"].attrs["units"] == "degC"
    assert ds.hbv.pet().attrs["comment"].startswith("Oudin")


def test_empty_fields_are_missing_and_foreign_tables_are_left_alone(published: Path) -> None:
    """As pandas writes what is missing."""
    folder = published / "camels_attributes_v2.0"
    expected = open_camels(published)
    for file in folder.iterdir():
        file.write_text(file.read_text().replace(";NA;", ";;").replace(";NA;", ";;"))
    write(folder / "camels_mine.txt", "gauge,anything\n1,2\n")
    xr.testing.assert_identical(open_camels(published), expected)


def test_selection_of_basins(published: Path) -> None:
    everything = open_camels(published)
    both = open_camels(published, basins=["03000003", 2000002])  # the order is the file's
    xr.testing.assert_identical(both, everything)
    for one in (["03000003"], [3000003], np.array([3000003]), "03000003", 3000003):
        ds = open_camels(published, basins=one)
        assert ds["basin"].values.tolist() == ["03000003"]
        assert ds.sizes["time"] == 3  # its own days


def test_unknown_and_absent_basins(published: Path) -> None:
    with pytest.raises(DataFileError, match=r"camels_name\.txt.*00000007, 99999999"):
        open_camels(published, basins=["99999999", "02000002", 7])
    with pytest.raises(DataFileError, match="daymet: has no basin 01000001"):
        open_camels(published, basins=["01000001", "02000002"])
    with pytest.raises(EmptySelectionError, match="basins"):
        open_camels(published, basins=[])


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the published CAMELS-US files are not here")
def test_distributed_files_nested_in_regions(tmp_path: Path) -> None:
    shutil.copytree(OFFICIAL, tmp_path / "set")
    nest(tmp_path / "set")
    xr.testing.assert_identical(open_camels(tmp_path / "set"), open_camels(OFFICIAL))


def change(old: str, new: str) -> Callable[[str], str]:
    def apply(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return apply


DAMAGE: dict[str, tuple[str, Callable[[str], str], str]] = {
    "forcing cut in a line": (FORCING_FILE, lambda text: text[:-8], "line 7 has 10 values.*cut off.*11"),
    "forcing cut in its last number": (FORCING_FILE, lambda text: text[:-2], "middle of its last number"),
    "forcing cut in its header": (FORCING_FILE, lambda text: text[:70], "line 4 .*columns.*tmin"),
    "forcing cut above its header": (FORCING_FILE, lambda text: text[:12], "line 4 is not there"),
    "forcing empty": (FORCING_FILE, lambda _: "", "line 1 holds ''.*latitude"),
    "forcing without days": (FORCING_FILE, lambda text: text[: text.index("2000")], "cannot be read"),
    "forcing without latitude": (FORCING_FILE, change("44.82", "n/a"), "line 1 holds 'n/a'.*latitude"),
    "forcing with other columns": (FORCING_FILE, change("prcp(mm/day)", "prcp(in)"), r"line 4 .*prcp\(in\)"),
    "forcing with text": (FORCING_FILE, change("9.00", "warm"), r"line 5 has 'warm' as tmax\(c\)"),
    "forcing with NA": (FORCING_FILE, change("9.00", "NA"), "line 5 has 'NA'"),
    "forcing with nan": (FORCING_FILE, change("9.00", "nan"), "line 5 has 'nan'"),
    "forcing with a long line": (FORCING_FILE, change("02 29 12", "02 29 12 5"), "line 6 has 12 values"),
    "forcing with a long first line": (
        FORCING_FILE,
        change("02 28 12", "02 28 12 5"),
        "line 5 has 12 values",
    ),
    "forcing with a short first line": (FORCING_FILE, change("02 28 12", "02 28"), "line 5 has 10 values"),
    "forcing with a repeated day": (
        FORCING_FILE,
        change("02 29", "02 28"),
        "line 6 repeats the day 2000-02-28",
    ),
    "forcing unsorted": (FORCING_FILE, change("03 01", "01 01"), "line 7 goes back to the day 2000-01-01"),
    "forcing with no such day": (FORCING_FILE, change("02 29", "02 30"), "line 6 has the date 2000-2-30"),
    "forcing with a year of no calendar": (FORCING_FILE, change("2000", "1e30"), "line 5 has the date 1e"),
    "forcing with half a day": (FORCING_FILE, change("02 29", "02 28.5"), "line 6 has the date 2000-2-28.5"),
    "forcing not of text": (FORCING_FILE, lambda _: "\x00\x01\x02" * 99, "line 1 holds .{,900}expected"),
    "streamflow cut in a line": (STREAMFLOW_FILE, lambda text: text[:-7], "line 2 has 5 values.*cut off.*6"),
    "streamflow empty": (STREAMFLOW_FILE, lambda _: "", "cannot be read"),
    "streamflow with text": (STREAMFLOW_FILE, change("1.00", "Eqp"), r"line 1 has 'Eqp' as streamflow"),
    "streamflow of another gauge": (
        STREAMFLOW_FILE,
        change("03000003 2000 02 29", "03000004 2000 02 29"),
        "line 2 belongs to gauge 03000004; expected gauge 03000003",
    ),
    "streamflow unsorted": (
        STREAMFLOW_FILE,
        change("02 29", "02 19"),
        "line 2 goes back to the day 2000-02-19",
    ),
    "table with text": ("camels_topo.txt", change("8.64", "small"), "line 4 has 'small' as area_gages2"),
    "table with an empty value": (
        "camels_topo.txt",
        change("8.64", ""),
        "nan km2 as area_gages2 of gauge 03000003",
    ),
    "table without an area": (
        "camels_topo.txt",
        change("8.64", "NA"),
        "nan km2 as area_gages2 of gauge 03000003",
    ),
    "table cut in a line": ("camels_soil.txt", lambda text: text[:-9], "line 4 has .* values; expected 12"),
    "table cut at a line": (
        "camels_soil.txt",
        lambda text: text[: text.index("03000003")],
        "has no line for 1 ",
    ),
    "table with other columns": (
        "camels_geol.txt",
        change("geol_porostiy", "porosity"),
        "line 1 .*geol_porostiy",
    ),
    "table with a gauge twice": (
        "camels_clim.txt",
        change("02000002", "01000001"),
        "line 3 repeats gauge 01000001",
    ),
    "table empty": ("camels_name.txt", lambda _: "", "line 1 has the columns"),
    "table without basins": (
        "camels_name.txt",
        lambda text: text.splitlines()[0],
        "has no line for any gauge",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(published: Path, case: str) -> None:
    name, damage, message = DAMAGE[case]
    path = published / (name if "/" in name else f"camels_attributes_v2.0/{name}")
    path.write_text(damage(path.read_text()))
    with pytest.raises(DataFileError, match=f"(?s){path.name}.*{message}") as caught:
        open_camels(published)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (STREAMFLOW_FILE, "03000003_streamflow_qc.txt.*03000003_lump_cida_forcing_leap.txt exists"),
        ("camels_attributes_v2.0/camels_vege.txt", "camels_vege.txt.*cannot be read"),
        ("camels_attributes_v2.0/camels_name.txt", "camels_name.txt.*is absent"),
        ("camels_attributes_v2.0", "camels_name.txt.*is absent"),
        ("usgs_streamflow", "usgs_streamflow: is absent"),
        ("basin_mean_forcing", "exactly one compact NetCDF file"),
        ("basin_mean_forcing/daymet", "daymet: holds no .*_forcing_leap.txt"),
    ],
)
def test_what_is_not_there_is_named(published: Path, name: str, message: str) -> None:
    (published / name).rename(published.parent / "elsewhere")
    with pytest.raises(DataFileError, match=message):
        open_camels(published)


def test_two_files_of_a_gauge(published: Path) -> None:
    expected = open_camels(published)
    twin = published / "usgs_streamflow/05" / Path(STREAMFLOW_FILE).name
    write(twin, (published / STREAMFLOW_FILE).read_text())
    xr.testing.assert_identical(open_camels(published), expected)
    twin.write_text(twin.read_text().replace("100.00", "101.00"))
    with pytest.raises(DataFileError, match="differs from"):
        open_camels(published)


def test_forcing_of_foreign_gauges_only(published: Path) -> None:
    for file in (published / "basin_mean_forcing/daymet").iterdir():
        file.rename(file.with_name(f"9{file.name[1:]}"))
    with pytest.raises(DataFileError, match=r"daymet: holds no file of a gauge of .*camels_name\.txt"):
        open_camels(published)


def test_arguments(tmp_path: Path, published: Path) -> None:
    with pytest.raises(DataFileError, match=r"nowhere: there is no such"):
        open_camels(tmp_path / "nowhere")
    with pytest.raises(DataFileError, match=r"'era5'.*daymet, nldas, maurer"):
        open_camels(published, forcing="era5")
