"""Networks: the contract of the table, the ways to make one, twelve bad ones, and the parts of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr import errors
from tests.rivers.networks import DOWNSTREAM, LABELS, table


def set_below(**below: Any) -> xr.Dataset:
    out = table()
    for reach, value in below.items():
        out["downstream"].loc[reach] = value
    return out


def set_value(name: str, value: float) -> xr.Dataset:
    out = table()
    out[name].loc["b"] = value
    return out


def without_units() -> xr.Dataset:
    out = table()
    out["length"].attrs = {}
    return out


def twice() -> xr.Dataset:
    return xr.concat([table(), table().sel(reach=["a"])], "reach")


def second_below() -> xr.Dataset:
    return xr.concat([table(), set_below(a="h").sel(reach=["a"])], "reach")


BAD: dict[str, tuple[Callable[[], xr.Dataset], type[Exception], str]] = {
    "loop": (lambda: set_below(h="a"), errors.NetworkError, "c -> h -> a -> c"),
    "dangling": (lambda: set_below(g="nowhere"), errors.NetworkError, "g flows into nowhere"),
    "duplicate": (twice, errors.CoordinateError, "a occurs more than once"),
    "self": (lambda: set_below(e="e"), errors.NetworkError, "e flows into itself"),
    "negative length": (lambda: set_value("length", -1.0), errors.ValueRangeError, "'length' of reach b"),
    "missing unit": (without_units, errors.UnitsError, "'length' has no 'units'"),
    "second downstream": (second_below, errors.NetworkError, "a flows into c and h"),
    "no outlet": (lambda: set_below(h="a", f="d", g="a"), errors.NetworkError, "no outlet"),
    "NaN in K": (
        lambda: set_value("travel_time", np.nan),
        errors.ValueRangeError,
        "'travel_time' of reach b",
    ),
    "X above 0.5": (lambda: set_value("x", 0.51), errors.ValueRangeError, "0 to 0.5"),
    "labels of another type": (lambda: set_below(a=3), errors.CoordinateError, "one type"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_network_is_refused_by_a_named_error(name: str) -> None:
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        hx.RiverNetwork(make())


def test_a_table_without_reaches_or_connections_is_refused() -> None:
    with pytest.raises(errors.DimensionError, match="'reach'"):
        hx.RiverNetwork(table().rename(reach="segment"))
    with pytest.raises(errors.MissingVariableError, match="'downstream'"):
        hx.RiverNetwork(table().drop_vars("downstream"))
    two = table().drop_vars("downstream").assign(downstream=(("reach", "branch"), np.zeros((8, 2), int)))
    with pytest.raises(errors.NetworkError, match="divides"):
        hx.RiverNetwork(two)


def test_the_table_comes_back_and_cannot_be_changed() -> None:
    given = table()
    network = hx.RiverNetwork(given)
    xr.testing.assert_identical(network.table, table())
    given["length"][0] = 1.0
    xr.testing.assert_identical(network.table, table())
    with pytest.raises(ValueError, match="read-only"):
        network.table["length"].values[0] = 1.0


def test_what_lies_above_and_below() -> None:
    network = hx.RiverNetwork(table())
    assert list(network.upstream("h")) == ["c", "a", "b", "e"]
    assert list(network.upstream("a")) == []
    assert list(network.outlets) == ["h", "f", "g"]
    assert list(network.headwaters) == ["a", "b", "e", "d", "g"]
    assert list(network.confluences) == ["c", "h"]
    assert network.levels.to_series().to_dict() == dict(zip(LABELS, [1, 0, 0, 2, 0, 1, 0, 0], strict=True))
    with pytest.raises(errors.CoordinateError, match="no reach 'z'"):
        network.upstream("z")


def test_a_part_of_a_network_is_a_network() -> None:
    part = hx.RiverNetwork(table()).subnetwork("c")
    assert list(part.reaches) == ["c", "a", "b"]
    assert list(part.outlets) == ["c"]
    xr.testing.assert_equal(
        part.table.drop_vars("downstream"), table().drop_vars("downstream").isel(reach=[0, 1, 2])
    )
    both = hx.RiverNetwork(table()).subnetwork(["f", "a"])
    assert list(both.outlets) == ["a", "f"]


def test_sorted_reaches_come_after_those_above() -> None:
    network = hx.RiverNetwork(table()).sorted()
    assert sorted(network.reaches) == sorted(LABELS)
    assert ((network.below > np.arange(8)) | (network.below < 0)).all()
    assert network.table.sel(reach=LABELS)["downstream"].values.tolist() == DOWNSTREAM


def test_sums_over_all_above() -> None:
    network = hx.RiverNetwork(table())
    area = network.table["area"]
    total = network.accumulate(area)
    assert float(total.sel(reach="h")) == pytest.approx(
        float(area.sel(reach=["a", "b", "c", "e", "h"]).sum())
    )
    assert float(total.sel(reach="g")) == float(area.sel(reach="g"))


@pytest.mark.parametrize(
    ("names", "outlet"),
    [
        (("COMID", "NextDownID", "lengthkm", "unitarea"), 0),
        (("HYRIV_ID", "NEXT_DOWN", "LENGTH_KM", "CATCH_SKM"), 0),
    ],
)
def test_published_tables_are_understood(names: tuple[str, ...], outlet: int, tmp_path: Path) -> None:
    columns = ([71, 72, 73], [73, 73, outlet], [1.5, 2.0, 3.0], [10.0, 20.0, 5.0])
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)))
    frame.to_csv(tmp_path / "reaches.csv", index=False)
    for network in (hx.RiverNetwork(frame), hx.RiverNetwork(tmp_path / "reaches.csv")):
        assert list(network.outlets) == [73]
        assert network.values("length").tolist() == [1500.0, 2000.0, 3000.0]
        assert network.values("area").tolist() == [10.0, 20.0, 5.0]


def test_columns_without_units_are_refused_until_units_are_given() -> None:
    frame = pd.DataFrame({"reach": ["u", "v"], "downstream": ["v", None], "length": [3.0, 4.0]})
    with pytest.raises(errors.UnitsError, match="'length'"):
        hx.RiverNetwork(frame)
    assert hx.RiverNetwork(frame, units={"length": "km"}).values("length").tolist() == [3000.0, 4000.0]
    with pytest.raises(errors.MissingVariableError, match="reach below"):
        hx.RiverNetwork(frame.drop(columns="downstream"))


def test_travel_times_that_xarray_has_decoded() -> None:
    decoded = table().assign(
        travel_time=("reach", np.arange(8) * np.timedelta64(6, "h").astype("timedelta64[ns]"))
    )
    assert hx.RiverNetwork(decoded).values("travel_time").tolist() == [0.25 * n for n in range(8)]


DIRECTIONS = np.array([[2, 4, 8], [1, 4, 16], [247, 0, 247]], dtype="uint8")  # ESRI; to the bottom's middle


def directions() -> xr.DataArray:
    coords = {"lat": [51.0, 50.0, 49.0], "lon": [7.0, 8.0, 9.0]}
    return xr.DataArray(DIRECTIONS, coords, ("lat", "lon"))


def test_flow_directions_of_a_grid_make_a_network() -> None:
    pytest.importorskip("pyflwdir")
    for given in (directions(), directions().isel(lat=slice(None, None, -1))):
        network = hx.RiverNetwork.from_directions(given, "d8")
        assert list(network.outlets) == [7]
        assert sorted(network.upstream(4)) == [0, 1, 2, 3, 5]
        assert network.values("length")[list(network.reaches).index(1)] == pytest.approx(111.2e3, rel=1e-3)
    with pytest.raises(errors.DescriptionError, match="kind"):
        hx.RiverNetwork.from_directions(directions())


def test_objects_of_pyflwdir_are_taken_as_they_are() -> None:
    pyflwdir = pytest.importorskip("pyflwdir")
    flow = pyflwdir.from_array(
        DIRECTIONS, ftype="d8", latlon=True, transform=pyflwdir.gis_utils.Affine(1, 0, 6.5, 0, -1, 51.5)
    )
    network = hx.RiverNetwork.from_directions(flow)
    xr.testing.assert_allclose(network.table, hx.RiverNetwork.from_directions(directions(), "d8").table)
    cells = network.accumulate(xr.ones_like(network.levels))
    np.testing.assert_array_equal(cells, flow.upstream_area("cell").ravel()[network.reaches])


def test_objects_of_earthkit_hydro_are_taken_as_they_are() -> None:
    """A stand-in with what is public of its networks: edges as rows of nodes below and above."""
    groups = [np.array([[1, 1], [0, 2], [0, 1]]), np.array([[3], [1], [2]])]
    flow = SimpleNamespace(
        n_nodes=4, mask=np.array([0, 1, 2, 4]), shape=(2, 3), groups=groups, bifurcates=False
    )
    flow.coords = {"lat": np.array([51.0, 50.0]), "lon": np.array([7.0, 8.0, 9.0])}
    network = hx.RiverNetwork.from_directions(flow)
    assert list(network.upstream(4)) == [0, 1, 2]
    assert list(network.upstream(1)) == [0, 2]
    assert list(network.outlets) == [4]
    flow.bifurcates = True
    with pytest.raises(errors.NetworkError, match="divides"):
        hx.RiverNetwork.from_directions(flow)
