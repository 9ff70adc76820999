"""Nested catchments of CAMELS-US: a model trained through the rivers between gauges, against a lumped one.

    python tests/benchmarks/nested_basins.py --data camels_us_daymet.nc --shapes camels_basin_shapes.shp \\
        --start MODEL --trained 1980-10-01 1990-09-30 --judged 1990-10-01 1995-09-30

A catchment is nested if the polygon of another one contains it. The ground between gauges gets the
area-weighted difference of the catchments' forcing, and the attributes of the whole catchment. Both
trainings begin with the weights of MODEL, a regional one that was trained on the same years, and see the
same gauges for as many iterations. Needs the extras ``maps`` and ``basins``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import hydroxr as hx

CONTAINED = 0.9  # share of a polygon that lies within the other
CELERITY = 1.0  # m/s, to begin with
WINDING = 1.3  # length of a river over the distance of its ends
FORCING = ["prcp", "tmean", "pet"]
A_DAY = 86400.0
A_DEGREE = 111.2e3  # m
RIVER = "river to "  # begins the name of a reach between gauges
TO_M3_S = 1e6 / 1e3 / A_DAY  # from mm/day over 1 km2


def main() -> None:
    """Print the scores at gauges below other gauges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--shapes", type=Path, required=True)
    parser.add_argument("--start", required=True)
    parser.add_argument("--trained", nargs=2, default=("1980-10-01", "1990-09-30"))
    parser.add_argument("--judged", nargs=2, default=("1990-10-01", "1995-09-30"))
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--batch", type=int, default=40, help="windows of gauges in an iteration")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained models")
    given = parser.parse_args()
    trained, judged = slice(*given.trained), slice(*given.judged)
    ds = catchments(given.data, given.judged[1])
    below = gauges_below(given.shapes, ds)
    nested = sorted({*below, *below.values()})
    lumped, start = ds.sel(basin=nested), hx.load_model(given.start)
    parts, cut = ground_between(lumped, below)
    network = network_of(lumped, below)
    print(f"{len(nested)} gauges, {len({*below.values()})} of them below others; {cut:.2%} of days' rain cut")
    options = {"iterations": given.iterations, "learning_rate": given.rate, "time": trained}
    options |= {"attributes": list(start.attributes), "progress": False, "device": "cpu"}

    def fitted(name: str, data: xr.Dataset, **more: object) -> hx.Model:
        path = given.out / f"{name}-{given.iterations}-{given.batch}-{given.rate}"
        if not path.exists():
            data.hbv.fit(start, checkpoint=f"{path}.checkpoint", **options, **more).save(path)
        return hx.load_model(path)

    at = {name: name for name in nested}
    observed = lumped["streamflow"].assign_attrs(units="mm/day")
    through = {"rivers": network, "gauges": at, "target": observed}
    models = {
        "the lumped model": (start, lumped, None),
        "lumped, trained further": (fitted("lumped", lumped, batch=100), lumped, None),
        "through the rivers, not trained": (start, parts, network),
        "trained through the rivers": (
            fitted("rivers", parts, batch=given.batch * len(nested), **through),
            parts,
            network,
        ),
    }
    found = {name: scores(*each, observed, judged) for name, each in models.items()}
    lower = sorted({*below.values()})
    for name, nse in found.items():
        own, others = nse.sel(basin=lower), nse.drop_sel(basin=lower)
        better = float((own > found["the lumped model"].sel(basin=lower)).mean())
        print(
            f"{name}: median NSE {float(own.median()):.3f} (25 % {float(own.quantile(0.25)):.3f}) below "
            f"others, better than the lumped model in {better:.0%}; {float(others.median()):.3f} above"
        )
    model = models["trained through the rivers"][0]
    ratio = network.learnt(model).table["travel_time"] / network.table["travel_time"]
    print(
        "learnt over first K, quartiles:", ratio.quantile([0.25, 0.5, 0.75]).values.round(2)
    )  # 0/0 left out


def catchments(path: Path, last: str) -> xr.Dataset:
    """CAMELS-US until the last day, with potential evapotranspiration; catchments with streamflow."""
    ds = hx.open_camels(path).sel(time=slice(None, last)).load()
    ds = ds.isel(basin=np.flatnonzero(ds["streamflow"].notnull().any("time").values))
    tmean = ((ds["tmin"] + ds["tmax"]) / 2).assign_attrs(units="degC")
    return ds.assign(pet=ds.hbv.pet(), tmean=tmean)


def gauges_below(path: Path, ds: xr.Dataset) -> dict[str, str]:
    """For each gauge within the catchment of others the next gauge below."""
    import pyproj
    import shapefile
    import shapely

    project = pyproj.Transformer.from_crs(4326, 5070, always_xy=True).transform
    shapes = {}
    with shapefile.Reader(path) as reader:
        for record in reader.iterShapeRecords():
            polygon = shapely.geometry.shape(record.shape.__geo_interface__)
            flat = shapely.transform(polygon, lambda points: np.column_stack(project(*points.T)))
            shapes[record.record["gauge_id"].removeprefix("camels_")] = shapely.make_valid(flat)
    names = [str(name) for name in ds["basin"].values if str(name) in shapes]
    polygons = [shapes[name] for name in names]
    tree, out = shapely.STRtree(polygons), {}
    for name, polygon in zip(names, polygons, strict=True):
        around = [
            place
            for place in tree.query(polygon)
            if polygons[place].area > polygon.area
            and polygon.intersection(polygons[place]).area > CONTAINED * polygon.area
        ]
        if around:
            out[name] = names[min(around, key=lambda place: polygons[place].area)]
    return out


def ground_between(lumped: xr.Dataset, below: dict[str, str]) -> tuple[xr.Dataset, float]:
    """Forcing and area of the ground between gauges, other attributes as they are; share of rain cut at 0."""
    area = lumped["area_gages2"].to_series()
    kept = [name for name in lumped.data_vars if name in FORCING or "time" not in lumped[name].dims]
    parts, cut, whole = lumped[kept].copy(deep=True), 0.0, 0.0
    for lower in sorted({*below.values()}):
        upper = [name for name, other in below.items() if other == lower]
        rest = area[lower] - area[upper].sum()
        weights = xr.DataArray(area[upper].to_numpy(), dims="basin")
        for name in FORCING:
            sums = (lumped[name].sel(basin=upper).drop_vars("basin") * weights).sum("basin", skipna=False)
            value = (area[lower] * lumped[name].sel(basin=lower) - sums) / rest
            if name == "tmean":  # a small rest magnifies errors
                own = lumped[name].sel(basin=lower)
                value = value.clip(own - 10.0, own + 10.0)
            if name in ("prcp", "pet"):
                if name == "prcp":
                    cut += float(value.clip(max=0.0).sum()) * -rest
                    whole += float(value.clip(min=0.0).sum()) * rest
                value = value.clip(min=0.0)
            parts[name].loc[{"basin": lower}] = value.transpose(*parts[name].sel(basin=lower).dims)
        parts["area_gages2"].loc[{"basin": lower}] = rest
    return parts, cut / whole


def network_of(lumped: xr.Dataset, below: dict[str, str]) -> hx.RiverNetwork:
    """A river from the gauges above to each gauge; there the water of the ground between them enters.

    The unit hydrograph of that ground has its rivers in it. The distance of the gauges gives the travel time.
    """
    names = [str(name) for name in lumped["basin"].values]
    lower = sorted({*below.values()})
    places = pd.DataFrame({"lat": lumped["lat"].values, "lon": lumped["lon"].values}, index=names)
    own = lumped["area_gages2"].to_series()
    days = dict.fromkeys(names, 0.0)
    for gauge in lower:
        upper = [name for name, other in below.items() if other == gauge]
        own[gauge] -= lumped["area_gages2"].sel(basin=upper).sum().item()
        away = (places.loc[upper] - places.loc[gauge]) * A_DEGREE
        metres = np.hypot(away["lat"], away["lon"] * np.cos(np.radians(places["lat"][gauge])))
        days[RIVER + gauge] = float(metres.mean()) * WINDING / CELERITY / A_DAY
    down = [RIVER + below[name] if name in below else "" for name in names] + lower
    area = [own[name] for name in names] + [0.0] * len(lower)
    table = xr.Dataset(
        {
            "downstream": ("reach", down),
            "travel_time": ("reach", [*days.values()], {"units": "days"}),
            "x": ("reach", np.full(len(days), 0.2)),
            "area": ("reach", area, {"units": "km2"}),
        },
        coords={"reach": [*days]},
    )
    return hx.RiverNetwork(table)


def scores(
    model: hx.Model,
    data: xr.Dataset,
    network: hx.RiverNetwork | None,
    observed: xr.DataArray,
    judged: slice,
) -> xr.DataArray:
    """NSE at all gauges in the years to judge, after a run from the first day."""
    sim = data.hbv.simulate(model, variables=["streamflow"])
    flow = sim["streamflow"]
    if network is not None:
        known = network.learnt(model) if "rivers" in model.training else network
        routed = sim.hbv.route(known, balance=False)
        area = known.accumulate(known.table["area"])
        depth = (routed["discharge"] / (area * TO_M3_S)).rename(reach="basin")
        flow = depth.sel(basin=observed["basin"].values).assign_attrs(units="mm/day")
    return hx.metrics.nse(flow.sel(time=judged), observed.sel(time=judged, basin=flow["basin"]))


if __name__ == "__main__":
    main()
