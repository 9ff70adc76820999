"""Small labelled Datasets, parameters for them, and a guard of laziness."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import dask
import numpy as np
import pandas as pd
import torch
import xarray as xr

from hydroxr.models.model import Model
from hydroxr.models.specs import DeltaHBV, LSTMStreamflow, Spec
from tests.support.oracle import simulate as oracle
from tests.support.strategies import ROUTING, TABLE, values, weather

ATTRIBUTES = ("p_mean", "elev_mean", "frac_forest", "geol_class_1st")
FORCING_UNITS = {"prcp": "mm/day", "tmean": "degC", "pet": "mm/day"}

# The outputs, written out again: the program must not be its own witness.
FLUXES = (
    "streamflow",
    "runoff",
    "quick_flow",
    "interflow",
    "baseflow",
    "evapotranspiration",
    "rainfall",
    "snowfall",
    "snowmelt",
    "refreezing",
    "snow_infiltration",
    "effective_rainfall",
    "excess",
    "percolation",
)
STATES = (
    "snowpack",
    "snow_liquid_water",
    "soil_moisture",
    "upper_zone_storage",
    "lower_zone_storage",
    "channel_storage",
)
OUTPUTS = (*FLUXES, *STATES)
_MOST = {"FC": 80.0, "PERC": 1.5, "UZL": 3.0, "UH_SCALE": 3.0}


def make_dataset(days: int = 60, cells: int = 3, start: str = "2000-01-01", seed: int = 0) -> xr.Dataset:
    """Basins with forcing, streamflow, attributes (one text, one with a NaN) and names, float32.

    Dimensions are ``(basin, time)``; labels of basins differ from their positions.
    """
    p, t, pet = (array.T.astype("float32") for array in weather("temperate", days, cells, seed))
    rng = np.random.default_rng([seed, 7])
    series, basin = ("basin", "time"), ("basin",)
    forest = rng.uniform(0, 1, cells)
    forest[-1] = np.nan
    return xr.Dataset(
        {
            "prcp": (series, p, {"units": "mm/day"}),
            "tmean": (series, t - 7, {"units": "degC"}),  # with frost, so that there is snow
            "pet": (series, pet, {"units": "mm/day"}),
            "streamflow": (series, rng.gamma(1, 2, (cells, days)).astype("float32"), {"units": "mm/day"}),
            "p_mean": (basin, rng.uniform(1, 6, cells), {"units": "mm day-1"}),
            "elev_mean": (basin, rng.uniform(10, 2000, cells), {"units": "m"}),
            "frac_forest": (basin, forest, {"units": "1"}),
            "geol_class_1st": (basin, np.array(["granite", "basalt"])[np.arange(cells) % 2]),
        },
        coords={
            "basin": 10 * np.arange(1, cells + 1),
            "time": pd.date_range(start, periods=days),
            "basin_id": (basin, np.array([f"g{i}" for i in range(cells)]), {"cf_role": "timeseries_id"}),
            "lat": (basin, np.linspace(40, 50, cells), {"units": "degrees_north"}),
        },
    )


def make_grid(days: int = 60, lats: int = 2, lons: int = 3, seed: int = 1) -> xr.Dataset:
    """The same on a grid ``(time, lat, lon)``."""
    ds = make_dataset(days, lats * lons, seed=seed).drop_vars(["basin_id", "lat"])
    axes = {"lat": np.linspace(45.5, 46.5, lats), "lon": np.linspace(5.0, 7.0, lons)}
    index = pd.MultiIndex.from_product(axes.values(), names=list(axes))
    ds = ds.drop_vars("basin").assign_coords(xr.Coordinates.from_pandas_multiindex(index, "basin"))
    ds = ds.unstack("basin").transpose("time", "lat", "lon")
    ds["lat"].attrs = {"units": "degrees_north"}
    ds["lon"].attrs = {"units": "degrees_east"}
    return ds


def flattened(grid: xr.Dataset, space: tuple[str, str] = ("lat", "lon")) -> xr.Dataset:
    """A grid as a list of basins, in the order of its cells."""
    return grid.stack(basin=space).reset_index("basin", drop=True).drop_vars(space, errors="ignore")


def with_extremes(ds: xr.Dataset) -> xr.Dataset:
    """``ds`` with tmin and tmax around tmean, and without a PET of its own."""
    rng = np.random.default_rng(5)
    half = xr.DataArray(rng.uniform(0.5, 8, ds["tmean"].shape).astype("float32"), dims=ds["tmean"].dims)
    tmin = (ds["tmean"] - half).assign_attrs(units="degC")
    tmax = (ds["tmean"] + half).assign_attrs(units="degC")
    return ds.drop_vars("pet").assign(tmin=tmin, tmax=tmax)


def with_units(ds: xr.Dataset, name: str, value: str | None) -> xr.Dataset:
    """``ds`` with other units written to a variable, its values as they are."""
    ds = ds.copy(deep=True)
    if value is None:
        del ds[name].attrs["units"]
    else:
        ds[name].attrs["units"] = value
    return ds


def with_value(ds: xr.Dataset, name: str, what: float, basin: int = 1, day: int = 5) -> xr.Dataset:
    """``ds`` with one value replaced."""
    ds = ds.copy(deep=True)
    ds[name][basin, day] = what
    return ds


def make_parameters(
    ds: xr.Dataset,
    components: int = 2,
    seed: int = 3,
    dynamic: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> xr.Dataset:
    """Random parameters for the cells of ``ds``; soils are thin, so that all water moves."""
    from hydroxr.physics import PARAMETERS

    rng = np.random.default_rng(seed)
    space = tuple(str(dim) for dim in ds["prcp"].dims if dim != "time")
    out = xr.Dataset(coords={dim: ds[dim] for dim in space if dim in ds.indexes})
    for name in TABLE:
        dims: tuple[str, ...] = space if name in ROUTING else (*space, "component")
        dims = (*dims, "time") if name in dynamic else dims
        sizes = dict(ds.sizes) | {"component": components}
        drawn = values(name, "inside", tuple(sizes[dim] for dim in dims), rng)
        if name in _MOST:  # from empty stores every flux starts within weeks
            row = PARAMETERS[name]
            drawn = row.lower + (drawn - row.lower) / (row.upper - row.lower) * (_MOST[name] - row.lower)
        if name not in without:
            out[name] = (dims, drawn)
    return out.assign_coords(time=ds["time"]) if dynamic else out


def untrained(
    spec: Spec,
    attributes: tuple[str, ...] = ("p_mean", "elev_mean", "frac_forest"),
    period: tuple[str, str] = ("2000-01-06", "2000-02-14"),
    seed: int = 0,
) -> Model:
    """A model with random weights, as if fitted to ``period``."""
    from hydroxr.models.filter_network import FilterNetwork
    from hydroxr.models.parameter_network import ParameterNetwork
    from hydroxr.models.streamflow_network import StreamflowNetwork

    kind: Any = ParameterNetwork if isinstance(spec, DeltaHBV) and spec.reads_window else FilterNetwork
    kind = StreamflowNetwork if isinstance(spec, LSTMStreamflow) else kind
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = kind(spec, len(attributes))
        if hasattr(network, "depart"):  # dynamic parameters begin as static ones
            torch.nn.init.normal_(network.depart.weight)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    days = int((np.datetime64(period[1]) - np.datetime64(period[0])) / np.timedelta64(1, "D")) + 1
    return Model(spec, weights, attributes, training={"period": list(period), "days": days})


def make_errors(labels: list[Any], lead: int = 0) -> xr.Dataset:
    """Errors as ``fit_errors`` gives them, wider in each basin, of forecasts if ``lead`` is not 0."""
    from hydroxr.models.error_tables import LEVELS, SEASONS

    size = 0.1 * np.arange(1.0, len(labels) + 1)[:, None, None] * np.array([2.0, 1.0, 1.0, 1.5])[:, None]
    error = xr.DataArray(
        size * np.log(LEVELS / (1 - LEVELS)),
        {"basin": labels, "season": list(SEASONS), "level": LEVELS},
        ("basin", "season", "level"),
    )
    out = error.to_dataset(name="streamflow_error")
    out["streamflow_offset"] = ("basin", np.full(len(labels), 0.01), {"units": "mm/day"})
    if lead:
        out = out.expand_dims(lead=np.arange(1, lead + 1))
    return out.assign_attrs(period="1990-10-01 to 1995-09-30")


def in_two(
    ds: xr.Dataset, model: Any, cut: int, state: Any = lambda state: state, **options: Any
) -> xr.Dataset:
    """A run to ``cut``, its state through ``state``, and the rest."""
    first, end = ds.isel(time=slice(0, cut)).hbv.simulate(model[0], return_state=True, **options)
    second = ds.isel(time=slice(cut, None)).hbv.simulate(model[-1], initial_state=state(end), **options)
    joined = [part[[name for name in part if "time" in part[name].dims]] for part in (first, second)]
    return xr.concat(joined, "time", data_vars="minimal", coords="minimal", compat="override", join="outer")


def by_oracle(
    ds: xr.Dataset, parameters: xr.Dataset, components: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Outputs and state of the oracle, ``(time, basin[, component])``, for a Dataset ``(basin, time)``."""
    forcing = [ds[name].transpose("time", "basin").values.astype(float) for name in FORCING_UNITS]
    order = ("time", "basin", "component")
    given = {
        str(name): array.transpose(*order, missing_dims="ignore").values for name, array in parameters.items()
    }
    return oracle(*forcing, given, components=components)


def raise_if_dask_computes() -> AbstractContextManager[Any]:
    """A context in which dask raises if it computes."""

    def scheduler(graph: Any, keys: Any, **options: Any) -> None:
        raise AssertionError(f"dask was made to compute {keys}")

    return dask.config.set(scheduler=scheduler)


def assert_same_values(first: xr.Dataset, second: xr.Dataset, **close: float) -> None:
    """Every variable of the first equals the second's of that name, within the tolerances ``close``."""
    for name, array in first.data_vars.items():
        other = second[name].transpose(*array.dims)
        np.testing.assert_allclose(array.values, other.values, **(close or {"rtol": 0}), err_msg=str(name))


Maker = Callable[..., xr.Dataset]
