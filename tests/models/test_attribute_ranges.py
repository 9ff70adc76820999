"""Cells unlike those of the training are marked and warned of, not refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import HydroxrWarning, MissingAttributeError
from hydroxr.models.attribute_ranges import attribute_facts
from hydroxr.models.model import Model
from hydroxr.simulation.engine import block as blocks
from tests.conftest import FIT
from tests.support.labelled import ATTRIBUTES, make_dataset, make_grid, raise_if_dask_computes


def shifted(ds: xr.Dataset, name: str, factor: float, cell: int = 0) -> xr.Dataset:
    """The Dataset with another value of one attribute in one cell."""
    values = ds[name].values.copy()
    values[cell] = values[cell] * factor
    return ds.assign({name: (ds[name].dims, values)})


def test_a_model_remembers_what_it_was_trained_on(
    static_model: Model, ds: xr.Dataset, tmp_path: Path
) -> None:
    """A model keeps the range of each attribute over the training cells, and which have gaps; on disk too."""
    loaded = hx.load_model(static_model.save(tmp_path / "model"))
    for model in (static_model, loaded):
        ranges = model.training["attribute_ranges"]
        assert set(ranges) == set(ATTRIBUTES)
        single = ds["p_mean"].values.astype("float32")  # as the network has it
        assert ranges["p_mean"] == [float(single.min()), float(single.max())]
        assert model.training["attributes_with_gaps"] == ["frac_forest"]


def test_the_training_s_own_cells_draw_no_warning(models: dict[str, Model], ds: xr.Dataset) -> None:
    """There is no mark either, also for gaps that the training had."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in models.values():
            sim = ds.hbv.simulate(model)
            assert ("attribute_flag" in sim) == model.description.regional
            if model.description.regional:
                assert sim["attribute_flag"].values.tolist() == [0, 0, 0]


def test_values_outside_the_range_are_flagged(static_model: Model, ds: xr.Dataset) -> None:
    """The warning has the attribute, the values found, and those of the training."""
    far = shifted(shifted(ds, "elev_mean", 9.0, 1), "p_mean", 0.01, 2)
    with pytest.warns(HydroxrWarning, match=r"2 of 3 cells.*p_mean is .* in 1 \(trained on .*elev_mean"):
        sim = far.hbv.simulate(static_model)
    assert sim["attribute_flag"].values.tolist() == [0, 2, 2]
    assert sim["attribute_flag"].dims == ("basin",)
    assert sim["attribute_flag"].attrs["flag_masks"].tolist() == [1, 2]
    assert sim["streamflow"].attrs["ancillary_variables"] == "attribute_flag"
    assert bool(np.isfinite(sim["streamflow"]).all())


def test_parameters_of_cells_unlike_the_training_are_warned_of(
    static_model: Model, ds: xr.Dataset, models: dict[str, Model]
) -> None:
    """Also for parameters alone; the warning points to the line of the call."""
    far = shifted(ds, "elev_mean", 9.0, 1)
    with pytest.warns(HydroxrWarning, match=r"1 of 3 cells.*elev_mean is .* in 1 \(trained on") as found:
        far.hbv.parameters(static_model)
    assert [warning.filename for warning in found] == [__file__]
    two = hx.Ensemble((static_model, static_model))
    for ask in (far.hbv.parameters, far.hbv.simulate):
        with warnings.catch_warnings(record=True) as shown:
            warnings.simplefilter("always")
            ask(two)
        told = [one.filename for one in shown if one.category is HydroxrWarning]
        assert told == [__file__]
    with raise_if_dask_computes(), warnings.catch_warnings():
        warnings.simplefilter("error")
        far.chunk(basin=1).hbv.parameters(static_model)
        for model in models.values():
            ds.hbv.parameters(model)


def test_codes_of_missing_values_are_named(static_model: Model, ds: xr.Dataset) -> None:
    """-999 m is no elevation out of range, but none at all."""
    elevation = ds["elev_mean"].copy(data=[-999.0, 9000.0, float(ds["elev_mean"][2])])
    message = (
        r"elev_mean is -999 in 1 \(a number that often stands for a missing value.*9000 in 1 \(trained on"
    )
    with pytest.warns(HydroxrWarning, match=message):
        ds.assign(elev_mean=elevation).hbv.simulate(static_model)


def test_missing_values_are_flagged(static_model: Model, ds: xr.Dataset) -> None:
    """If the training had no missing values."""
    gap = ds.assign(
        p_mean=ds["p_mean"].where(ds["basin"] != ds["basin"][0]),
        geol_class_1st=("basin", ["", *ds["geol_class_1st"].values[1:]]),
    )
    with pytest.warns(
        HydroxrWarning, match="1 of 3 cells.*p_mean is missing in 1; geol_class_1st is missing"
    ):
        sim = gap.hbv.simulate(static_model)
    assert sim["attribute_flag"].values.tolist() == [1, 0, 0]


def test_text_that_training_did_not_have_is_flagged(ds: xr.Dataset) -> None:
    """With or without gaps in the training's text. Unknown text counts as the mean, as missing text does."""
    text = ds["geol_class_1st"].values
    with_gap = ds.assign(geol_class_1st=("basin", ["", *text[1:]]))
    for training in (ds, with_gap):
        model = training.hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT)
        strange = ds.assign(geol_class_1st=("basin", ["of the moon", *text[1:]]))
        with pytest.warns(
            HydroxrWarning, match="1 of 3 cells.*geol_class_1st is text in 1 that the training does not have"
        ):
            sim = strange.hbv.simulate(model)
        assert sim["attribute_flag"].values.tolist() == [2, 0, 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            missing = with_gap.hbv.simulate(model)
        xr.testing.assert_equal(sim["streamflow"], missing["streamflow"])


def test_infinite_values_are_none(static_model: Model, ds: xr.Dataset) -> None:
    """They are flagged, and count as the mean."""
    infinite, missing = (ds.assign(p_mean=ds["p_mean"] + [value, 0, 0]) for value in (np.inf, np.nan))
    with pytest.warns(HydroxrWarning, match="p_mean is inf in 1"):
        sim = infinite.hbv.simulate(static_model)
    with pytest.warns(HydroxrWarning, match="p_mean is missing in 1"):
        xr.testing.assert_equal(sim["streamflow"], missing.hbv.simulate(static_model)["streamflow"])


def test_absent_attributes_are_the_training_s_mean_where_that_is_asked_for(
    static_model: Model, ds: xr.Dataset
) -> None:
    """Otherwise it is an error; without any attribute it is always one."""
    less = ds.drop_vars("elev_mean")
    with pytest.raises(MissingAttributeError, match=r"elev_mean.*missing='fill'"):
        less.hbv.simulate(static_model)
    with pytest.warns(HydroxrWarning, match="3 of 3 cells.*elev_mean is missing in 3"):
        sim = less.hbv.simulate(static_model, missing="fill")
    place = static_model.attributes.index("elev_mean")
    mean = static_model.weights["attribute_mean"][place]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = ds.assign(elev_mean=("basin", np.full(3, mean))).hbv.simulate(static_model)
    np.testing.assert_allclose(sim["streamflow"], same["streamflow"], rtol=1e-5, atol=1e-7)
    assert (sim["attribute_flag"] == 1).all()
    assert set(sim["streamflow"].attrs["ancillary_variables"].split()) == {"forcing_flag", "attribute_flag"}
    with pytest.raises(MissingAttributeError):
        ds.drop_vars(ATTRIBUTES).hbv.simulate(static_model, missing="fill")


def test_lazy_attributes_are_not_read_to_describe_a_run(
    static_model: Model, ds: xr.Dataset, tmp_path: Path
) -> None:
    """The flag is lazy then."""
    far = shifted(shifted(ds, "elev_mean", 9.0, 1), "p_mean", np.nan, 2)
    with raise_if_dask_computes(), warnings.catch_warnings():
        warnings.simplefilter("error")
        sim = far.chunk(basin=1).hbv.simulate(static_model)
        in_segments = far.chunk(basin=1, time=10).hbv.simulate(static_model, memory="1kB")
        alike = ds.chunk(basin=1).hbv.simulate(static_model)
    assert len(far.chunk(basin=1, time=10).hbv.plan(static_model, memory="1kB").edges) > 1
    with pytest.MonkeyPatch.context() as patch:  # its tasks run no physics
        patch.setattr(blocks, "run_cells", lambda *_: pytest.fail("cells were simulated"))
        assert sim["attribute_flag"].values.tolist() == [0, 2, 1]
    for each in (sim, in_segments):
        assert each["attribute_flag"].dtype == "int8"
        assert each["attribute_flag"].values.tolist() == [0, 2, 1]
        assert each["streamflow"].attrs["ancillary_variables"] == "attribute_flag"
    assert alike["attribute_flag"].values.tolist() == [0, 0, 0]
    with xr.open_zarr(in_segments.hbv.to_zarr(tmp_path / "a.zarr")) as store:
        assert store["attribute_flag"].values.tolist() == [0, 2, 1]
    # Those in memory are looked at, beside lazy forcing too.
    with raise_if_dask_computes(), pytest.warns(HydroxrWarning, match="elev_mean"):
        sim = far.chunk(basin=1).assign({name: far[name] for name in ATTRIBUTES}).hbv.simulate(static_model)
    assert sim["attribute_flag"].values.tolist() == [0, 2, 1]


@pytest.mark.parametrize("kind", ["object", "U", "T"])
def test_missing_text_is_missing_whatever_its_type(ds: xr.Dataset, kind: str) -> None:
    """None, NaN and empty text are missing; in memory and lazily."""
    text = list(ds["geol_class_1st"].values)
    nothing = {"object": (None, np.nan, ""), "U": ("nan", ""), "T": (np.nan, "")}[kind]
    dtype = np.dtypes.StringDType(na_object=np.nan) if kind == "T" else kind
    model = ds.hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT)
    flows = []
    for value in nothing:
        values = np.array([value, *text[1:]], dtype=dtype)
        eager = ds.assign(geol_class_1st=("basin", values))
        lazy = ds.assign(geol_class_1st=("basin", dask.array.from_array(values, chunks=1)))
        with pytest.warns(HydroxrWarning, match="geol_class_1st is missing in 1"):
            sims = [eager.hbv.simulate(model), lazy.hbv.simulate(model).compute()]
        for sim in sims:
            assert sim["attribute_flag"].values.tolist() == [1, 0, 0]
            flows.append(sim["streamflow"])
    for flow in flows[1:]:
        xr.testing.assert_allclose(flow, flows[0])


def test_a_mask_over_some_dimensions_of_space() -> None:
    """The mask holds along the other dimensions, as everywhere."""
    grid = make_grid()
    model = make_dataset().hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT)
    far = grid.assign(elev_mean=grid["elev_mean"] + 9000)
    along = xr.DataArray([1] + [0] * (grid.sizes["lat"] - 1), dims="lat")
    for mask in (along, xr.DataArray(1)):
        masked = far.assign(mask=mask)
        with pytest.warns(HydroxrWarning, match="elev_mean"):
            eager = masked.hbv.simulate(model)["attribute_flag"]
        assert eager.dims == ("lat", "lon")
        np.testing.assert_array_equal(eager & 2, 2 * (mask + xr.zeros_like(grid["elev_mean"])))
        xr.testing.assert_equal(masked.chunk(lat=1).hbv.simulate(model)["attribute_flag"].compute(), eager)


def test_models_of_the_same_weights_and_other_ranges(static_model: Model, ds: xr.Dataset) -> None:
    """They are not confused."""
    ranges = {**static_model.training["attribute_ranges"], "p_mean": [-2.0, -1.0]}
    other = replace(static_model, training={**static_model.training, "attribute_ranges": ranges})
    lazy = ds.chunk(basin=1)
    first, second = dask.compute(
        *(lazy.hbv.simulate(each)["attribute_flag"] for each in (static_model, other))
    )
    assert (first.values.tolist(), second.values.tolist()) == ([0, 0, 0], [2, 2, 2])


def test_lazy_flags_of_members_and_seas() -> None:
    """An ensemble marks what any member marks, and nothing in cells that are not simulated."""
    grid = make_grid()
    land = xr.ones_like(grid["elev_mean"], dtype=int).drop_attrs()
    land[0, 0] = 0
    ensemble = make_dataset().hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT, seeds=2)
    far = grid.assign(mask=land, elev_mean=grid["elev_mean"] + 9000)
    sim = far.chunk(lat=1).hbv.simulate(ensemble)
    np.testing.assert_array_equal(sim["attribute_flag"].transpose(*land.dims).values & 2, 2 * land.values)


def test_a_grid_and_an_ensemble(ds: xr.Dataset) -> None:
    """The flag has the dimensions of space, and an ensemble that of any member."""
    grid = make_grid()
    model = make_dataset().hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT, seeds=2)
    with pytest.warns(HydroxrWarning, match="of 6 cells"):
        sim = grid.assign(elev_mean=grid["elev_mean"] + 9000).hbv.simulate(model)
    assert sim["attribute_flag"].sizes == {"lat": grid.sizes["lat"], "lon": grid.sizes["lon"]}
    assert (sim["attribute_flag"].values & 2 == 2).all()


def test_members_that_know_different_cells(ds: xr.Dataset) -> None:
    """The marks of any of them are kept, as whole numbers."""
    spec = hx.DeltaHBV(components=2, hidden=4, network="lstm")
    members = [ds.isel(basin=cells).hbv.fit(spec, **FIT) for cells in ([0, 1, 2], [0, 2])]
    ensemble = hx.Ensemble(tuple(members))
    for options in ({}, {"members": True}):
        with pytest.warns(HydroxrWarning, match="of 3 cells"):
            sim = ds.hbv.simulate(ensemble, **options)
        assert sim["attribute_flag"].dtype == "int8"
        assert sim["attribute_flag"].values[1] > 0
        assert sim["attribute_flag"].values[0] == 0
        assert "attribute_flag" in sim["streamflow"].attrs["ancillary_variables"].split()


def test_the_sea_is_not_marked() -> None:
    """Cells that are not simulated are not judged."""
    grid = make_grid()
    model = grid.hbv.fit(hx.DeltaHBV(components=2, hidden=4, network="lstm"), **FIT)
    land = xr.ones_like(grid["elev_mean"], dtype=int).drop_attrs()
    land[0, 0] = 0
    far = grid.assign(mask=land, elev_mean=grid["elev_mean"].where(land == 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim = far.hbv.simulate(model)
    assert not sim["attribute_flag"].any()
    assert bool(sim["streamflow"].isel(lat=0, lon=0).isnull().all())


def test_it_can_be_written(static_model: Model, ds: xr.Dataset, tmp_path: Path) -> None:
    """They survive saving and loading."""
    with pytest.warns(HydroxrWarning):
        sim = shifted(ds, "elev_mean", 9.0).hbv.simulate(static_model)
    with xr.open_dataset(sim.hbv.to_netcdf(tmp_path / "a.nc")) as file:
        assert file["attribute_flag"].values.tolist() == [2, 0, 0]
    with xr.open_zarr(sim.hbv.to_zarr(tmp_path / "a.zarr")) as store:
        assert store["attribute_flag"].values.tolist() == [2, 0, 0]


def test_facts_of_attributes() -> None:
    """NaN does not count; an attribute without values has no range."""
    values = np.array([[1.0, np.nan, 3.0], [2.0, np.nan, np.nan]], dtype="float32")
    facts = attribute_facts(values, ("a", "b", "c"))
    assert facts == {
        "attribute_ranges": {"a": [1.0, 2.0], "c": [3.0, 3.0]},
        "attributes_with_gaps": ["b", "c"],
    }
