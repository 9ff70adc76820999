"""Which cells a training learns from, which it leaves out, and which it says so of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import (
    AttributeValueError,
    CoordinateError,
    DescriptionError,
    EmptySelectionError,
    HydroxrWarning,
    MissingForcingError,
    MissingObservationError,
)
from tests.support.trainings import LATER, fit

AFTER_WARMUP = np.datetime64("2000-01-16")


def basins(model: hx.Model) -> list[str]:
    """Names of the basins that a model was trained on, without the dimension."""
    return [name.removeprefix("basin ") for name in model.training["basins"]]


@pytest.mark.parametrize("kind", ["static", "filters"])
def test_a_mask_of_bool_holds_out_the_cell_that_it_marks(ds: xr.Dataset, kind: str) -> None:
    """NumPy's and a list's too, with numbers as labels."""
    ds = ds.assign_coords(basin=[0, 1, 2]).drop_vars("basin_id", errors="ignore")
    for mask in (np.array([False, False, True]), [False, False, True]):
        assert basins(fit(ds, kind, validation=mask, iterations=1)) == ["0", "1"]


def test_rows_of_one_label_are_held_out_together(ds: xr.Dataset) -> None:
    """No basin is trained on and validated with."""
    ds = ds.assign_coords(basin=[7, 7, 2]).drop_vars("basin_id", errors="ignore")
    assert basins(fit(ds, validation=[7], iterations=1)) == ["2"]
    with pytest.raises(CoordinateError, match="separates rows of basin 7"):
        fit(ds, validation=[True, False, False])
    with pytest.raises(CoordinateError, match="separates rows of basin 7"):
        ds.assign(pub_fold=("basin", [1, 2, 2])).hbv.cross_validate(
            hx.DeltaHBV(components=1, hidden=2, network="lstm"), progress=False
        )


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"validation": []}, EmptySelectionError, "validation chooses no cell"),
        ({"validation": [False] * 3}, EmptySelectionError, "False everywhere"),
        (
            {"validation": slice("2000-02-15", "2000-02-29", 5)},
            DescriptionError,
            "validation is .* with a step",
        ),
        ({"time": slice("2000-01-06", "2000-02-14", 2)}, DescriptionError, "time is .* with a step"),
        ({"patience": 3}, DescriptionError, "patience is 3 without validation"),
        ({"missing": "fill"}, DescriptionError, "'raise' or 'drop'"),
        ({"seed": 2**64}, DescriptionError, "seed is .*below 2"),
        ({"seeds": [1, 2**64]}, DescriptionError, "seeds is .*below 2"),
        ({"loss": lambda s, o: (s - o).detach().abs().nanmean()}, DescriptionError, "without gradient"),
    ],
)
def test_options_without_meaning_are_refused(
    ds: xr.Dataset, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fit(ds, **options)


def test_a_validation_without_varying_streamflow_is_refused(ds: xr.Dataset) -> None:
    """There is no NSE; a period, cells, and cells of which one varies."""
    flow = ds["streamflow"]
    flat = ds.assign(streamflow=flow.where(ds["time"] < np.datetime64(LATER.start), 2.0))
    with pytest.raises(MissingObservationError, match="constant, or a single value"):
        fit(flat, validation=LATER)
    last = xr.DataArray([False, False, True], dims="basin")
    flat = ds.assign(streamflow=flow.where(~last, 2.0).assign_attrs(flow.attrs))
    with pytest.raises(MissingObservationError, match="constant, or a single value"):
        fit(flat, validation=last)
    both = fit(flat, validation=np.array([False, True, True]), validate_every=1, iterations=2)
    one = fit(flat.isel(basin=[0, 1]), validation=[flat["basin"].values[1]], validate_every=1, iterations=2)
    assert both.training["validation_nse"] == one.training["validation_nse"]


@pytest.mark.parametrize("kind", ["constant", "static"])
def test_a_cell_with_streamflow_in_the_warmup_only_is_left_out(ds: xr.Dataset, kind: str) -> None:
    """By name: nothing was learned about it, so a constant network has no parameters for it."""
    early = (ds["time"] < AFTER_WARMUP) | xr.DataArray([True, False, True], dims="basin")
    with pytest.warns(
        HydroxrWarning, match=r"basin g1 is missing after the 10 days of warm-up; it is left out"
    ):
        model = fit(ds.assign(streamflow=ds["streamflow"].where(early)), kind)
    assert basins(model) == ["g0", "g2"]
    only_early = ds.assign(streamflow=ds["streamflow"].where(ds["time"] < AFTER_WARMUP))
    with pytest.raises(MissingObservationError, match="after the 10 days of warm-up in every cell"):
        fit(only_early, kind)


@pytest.mark.parametrize("kind", ["constant", "static"])
def test_cells_without_forcing_can_be_left_out(ds: xr.Dataset, kind: str) -> None:
    """A warning names them; the model is that of the others."""
    gappy = ds.copy(deep=True)
    gappy["pet"][1, 20] = np.nan
    with pytest.raises(MissingForcingError, match="g1"):
        fit(gappy, kind)
    with pytest.warns(HydroxrWarning, match=r"forcing is missing in basin g1; it is left out"):
        model = fit(gappy, kind, missing="drop")
    assert basins(model) == ["g0", "g2"]
    np.testing.assert_array_equal(model.history["loss"], fit(ds.isel(basin=[0, 2]), kind).history["loss"])
    nowhere = ds.copy(deep=True)
    nowhere["pet"][:, 20] = np.nan
    with (
        pytest.warns(HydroxrWarning, match="these 3 cells are left out"),
        pytest.raises(MissingForcingError, match="nothing can be learned"),
    ):
        fit(nowhere, kind, missing="drop")


def test_cells_whose_record_says_little_are_named_and_do_not_rule_the_loss(ds: xr.Dataset) -> None:
    """A constant flow of 8 mm/day weighed a hundred times as much as others; now less than a median one."""
    last = xr.DataArray([False, False, True], dims="basin")
    flat = ds.assign(streamflow=ds["streamflow"].where(~last, 8.0).assign_attrs(ds["streamflow"].attrs))
    with pytest.warns(HydroxrWarning, match=r"1 of 3 cells have streamflow that hardly varies.*basin g2"):
        model = fit(flat, "constant", loss="nse", iterations=1)
    days = ds["time"] >= AFTER_WARMUP
    flow = ds["streamflow"].isel(basin=[0, 1], time=days.values).sel(time=slice(None, "2000-02-14"))
    largest = (8.0 / (float(flow.std("time").median()) + 0.1)) ** 2  # where nothing flows in the model
    assert float(model.history["loss"][0]) < 2 * largest
    single = ds.assign(streamflow=ds["streamflow"].where(~last | (ds["time"] == AFTER_WARMUP)))
    with pytest.warns(HydroxrWarning, match=r"1 of 3 cells have too few observations.*basin g2"):
        fit(single, "constant", iterations=1)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        (np.array([1.0, np.inf, 2.0]), AttributeValueError, "'strange' is infinite in"),
        (
            np.array(["2000-01-01", "2001-01-01", "NaT"], "M8[ns]"),
            AttributeValueError,
            "'strange' holds datetime64",
        ),
        (np.array([1, 2, 3], "m8[D]").astype("m8[ns]"), AttributeValueError, "'strange' holds timedelta64"),
        (np.array([1.0, 2.0, 3.0j]), AttributeValueError, "'strange' holds complex"),
    ],
)
def test_attributes_that_are_no_numbers_are_refused(
    ds: xr.Dataset, values: np.ndarray, error: type[Exception], words: str
) -> None:
    """A date became its nanoseconds, and infinity was taken as missing."""
    with pytest.raises(error, match=words):
        fit(ds.assign(strange=("basin", values)), attributes=["strange"])


def test_units_of_attributes_do_not_matter(ds: xr.Dataset) -> None:
    """But in the paper's protocol, which has its own rule: a deviation below 0.001 counts as 1."""
    small = ds.assign(p_mean=ds["p_mean"] * 1e-6)
    models = [fit(each, attributes=["p_mean"], iterations=2) for each in (ds, small)]
    np.testing.assert_allclose(*(model.history["loss"] for model in models), rtol=1e-4)
    np.testing.assert_allclose(models[1].weights["attribute_std"], ds["p_mean"].std() * 1e-6, rtol=1e-4)
    paper = fit(small, attributes=["p_mean"], iterations=2, preset="paper")
    assert paper.weights["attribute_std"].tolist() == [1.0]
    constant = fit(ds.assign(p_mean=ds["p_mean"] * 0 + 3e-9), attributes=["p_mean"], iterations=1)
    assert constant.weights["attribute_std"].tolist() == [1.0]


def test_a_series_without_its_label_is_no_cell_of_a_model(ds: xr.Dataset, constant_model: hx.Model) -> None:
    """It may be that of another basin."""
    bare = ds.isel(basin=1, drop=True).drop_vars("basin_id", errors="ignore")
    for call in (bare.hbv.simulate, bare.hbv.parameters):
        with pytest.raises(CoordinateError, match=r"fitted to basin 10, 20, 30.*does not say which basin"):
            call(constant_model)


@pytest.mark.parametrize("labels", [pd.date_range("2000", periods=3), np.array([1, "a", 2.5], dtype=object)])
def test_labels_that_no_model_keeps_are_refused(ds: xr.Dataset, labels: Any) -> None:
    """Before the training: dates, and values of several types."""
    strange = ds.drop_vars("basin_id").assign_coords(basin=labels)
    with pytest.raises(CoordinateError, match=r"'basin' labels cells by .*astype\(str\)"):
        fit(strange, "constant")
