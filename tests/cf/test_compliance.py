"""The IOOS compliance-checker judges the files of hydroxr: CF 1.11 to the letter, ACDD 1.3 as far as a
program can know."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cf.files import VARIABLE, by_xarray_alone, check, checker, findings, results, write_all


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    checker()
    return write_all(tmp_path_factory.mktemp("cf"))


def test_every_file_is_cf_to_the_letter(files: tuple[Path, ...]) -> None:
    """Recommendations count too."""
    code, reports = check(files, "cf:1.11", "strict")
    wrong = {name: findings(report) for name, report in reports.items() if findings(report)}
    assert wrong == {}
    assert len(reports) == len(files) > len(results())
    assert code == 0


def test_the_checker_finds_wrong_units(files: tuple[Path, ...], tmp_path: Path) -> None:
    """The standard name does not allow the units."""
    wrong = results()["grid"][["runoff"]].copy()
    wrong["runoff"].attrs["units"] = "mm day-1"
    code, reports = check([wrong.hbv.to_netcdf(tmp_path / "wrong.nc")], "cf:1.11", "strict")
    assert code == 1
    assert any("units" in text for text in findings(reports["wrong"]))


def test_a_promised_checker_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without it tests fail; where none was promised, they are skipped."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(pytest.fail.Exception, match="make cf"):
        checker()
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("tests.cf.files.OWN", tmp_path / "nothing")
    with pytest.raises(pytest.skip.Exception, match="make cf"):
        checker()


def test_a_slice_of_a_store_is_cf_without_hydroxr(files: tuple[Path, ...], tmp_path: Path) -> None:
    """Except for the types of flags, which Zarr's JSON metadata do not keep."""
    stores = [file.parent / f"{name}.zarr" for file in files[:1] for name in ("derived_filled", "projected")]
    parts = [by_xarray_alone(store, tmp_path / f"{store.stem}.nc") for store in stores]
    _, reports = check(parts, "cf:1.11", "strict")
    assert len(reports) == 2
    for report in reports.values():
        others = [text for text in findings(report) if "must be the same data type" not in text]
        assert others == []


def test_acdd_misses_nothing_that_a_program_can_know(files: tuple[Path, ...]) -> None:
    """Only standard names are missing among the highly recommended attributes, where CF has none.
    The rest the user must give, or it has no meaning here."""
    names = ("basins", "filled", "grid", "360_day", "month_sums", "lstm", "zarr_derived_filled")
    chosen = [file for file in files if file.stem in names]
    assert len(chosen) == len(names)
    _, reports = check(chosen, "acdd:1.3", "strict")
    for name, report in reports.items():
        high = {text for result in report["high_priorities"] for text in result["msgs"]}
        assert high <= {"standard_name"}, name
        told = [text for text in findings(report) if "time_coverage" in text or "geospatial_l" in text]
        told = [text for text in told if "resolution not present" not in text]
        # Months carry their first day; the checker expects the end to be the stamp of the last month.
        assert all("Date time mismatch between time_coverage_end" in text for text in told), (name, told)
        assert bool(told) == (name == "month_sums"), (name, told)


def test_acdd_asks_only_for_what_the_user_gives(tmp_path: Path) -> None:
    """With the attributes below, only recommendations without meaning for these data are missing."""
    said = {
        "creator_name": "A. Person",
        "creator_email": "a@example.org",
        "creator_url": "https://example.org",
        "publisher_name": "P",
        "publisher_email": "p@example.org",
        "publisher_url": "https://example.org",
        "license": "CC-BY-4.0",
        "institution": "An institute",
        "project": "A project",
        "id": "run-1",
        "naming_authority": "org.example",
        "processing_level": "4",
        "acknowledgement": "Thanks.",
        "comment": "A test.",
    }
    ds = results()["basins"].assign_attrs(said)
    _, reports = check([ds.hbv.to_netcdf(tmp_path / "run.nc")], "acdd:1.3", "strict")
    (report,) = reports.values()
    missing = {text for result in report["medium_priorities"] for text in result["msgs"]}
    meaningless = {text for text in missing if "vertical" in text or "geospatial_bounds" in text}
    assert missing == meaningless
