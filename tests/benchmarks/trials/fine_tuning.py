"""Repeat the trials of fine-tuning: few basins of a region that a model has not seen, with other attributes.

A model is trained on the other regions of CAMELS-US, 1985 to 1995. Of each held-out region 5, 10 or 20 basins
are drawn, three times. They have the attributes of the others under names that the model does not know, and
five of them are missing. From these basins a model is trained from scratch, or from the weights of the first.
It is judged on 1981-1985, in the basins that it was trained on and in the other basins of the region. The
test years, 1995 to 2010, are not read. A repeated call goes on; ``--table`` prints the results so far.

    python tests/benchmarks/trials/fine_tuning.py --data camels_us_daymet.nc --out fine_tuning
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import hydroxr as hx
from hydroxr.models.model import Model

TRAINED = slice("1985-10-01", "1995-09-30")
READ = slice("1980-10-01", "1995-09-30")
JUDGED = slice("1981-10-01", "1985-09-30")  # after a year of warm-up
SHOWN = (0, 3, 6)  # Northeast, northern plains, Northwest
CHOSEN_ON = (1,)  # Southeast: the settings were chosen here
SIZES, DRAWS = (5, 10, 20), (0, 1, 2)
DROPPED = ("aridity", "p_seasonality", "lai_max", "soil_depth_pelletier", "geol_permeability")

SPEC = hx.DeltaHBV(dynamic=("BETA", "BETAET"), hidden=128, component_weights=True, component_routing=True)
PRETRAINING: dict[str, Any] = {"iterations": 1000, "attribute_noise": 0.3}
_WEATHER = ("read", "depart")  # layers that make dynamic parameters of weather and attributes
_STILL = {"iterations": 1, "learning_rate": 1e-12}
_TUNED = {"start": True, "iterations": 300}

# Options of each way to train; "names": the attributes keep the names that the first model knows.
WAYS: dict[str, dict[str, Any]] = {
    "scratch": {"iterations": 300},
    "tuned": _TUNED,
    "tuned, names": {**_TUNED, "names": True},
    "as it is": {"start": True, **_STILL},
    "as it is, names": {"start": True, "names": True, **_STILL},
    "tuned, weather held, names": {**_TUNED, "frozen": _WEATHER, "names": True},
}
TRIALS: dict[str, dict[str, Any]] = {
    "scratch 100": {"iterations": 100},
    "scratch 1000": {"iterations": 1000},
    "scratch noise": {"iterations": 300, "attribute_noise": 0.3},
    "tuned 3e-3": {**_TUNED, "learning_rate": 3e-3},
    "tuned, weather held": {**_TUNED, "frozen": _WEATHER},
}


def main() -> None:
    """Train what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="CAMELS-US, compact or as published")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--regions", nargs="+", type=int, help="some of the held-out regions; default: all")
    parser.add_argument("--trials", action="store_true", help="those by which the settings were chosen")
    parser.add_argument("--table", action="store_true", help="print the results so far, train nothing")
    given = parser.parse_args()
    if not given.table:
        warnings.simplefilter("ignore", hx.HydroxrWarning)  # attributes that few basins lack
        train(given.data, given.out, given.trials, given.regions)
    print(table(given.out, given.trials))


def train(data: Path, out: Path, trials: bool, regions: Sequence[int] | None) -> None:
    """Train and judge what has no record in ``out`` yet."""
    ds = hx.open_camels(data).sel(time=READ)
    ds = ds.isel(basin=np.flatnonzero(ds["streamflow"].notnull().any("time").values)).load()
    for region in regions or (CHOSEN_ON if trials else SHOWN):
        here = ds["pur_region"].values == region
        first = pretrained(ds.isel(basin=~here), out / f"region-{region}")
        part = ds.isel(basin=here)
        for size, draw, way in runs(trials):
            name = f"{size}-{draw}-{way.replace(',', '').replace(' ', '-')}.json"
            record = out / f"region-{region}" / name
            if not record.exists():
                scores = judge(part, drawn(part, region, size, draw), first, {**WAYS, **TRIALS}[way], draw)
                record.write_text(json.dumps({"way": way, "size": size, "draw": draw, **scores}))
                print(region, size, draw, way, scores, flush=True)


def runs(trials: bool) -> Iterator[tuple[int, int, str]]:
    """Numbers of basins, draw and way of each training."""
    sizes, draws, ways = ((5, 20), (0, 1), {**WAYS, **TRIALS}) if trials else (SIZES, DRAWS, WAYS)
    yield from ((size, draw, way) for size in sizes for draw in draws for way in ways)


def pretrained(others: xr.Dataset, folder: Path) -> Model:
    """The model of the other regions."""
    if not (folder / "model").exists():
        options: dict[str, Any] = {"time": TRAINED, "checkpoint": folder / "checkpoint", "progress": False}
        others.hbv.fit(SPEC, **options, **PRETRAINING).save(folder / "model")
    model = hx.load_model(folder / "model")
    assert isinstance(model, Model)
    return model


def drawn(part: xr.Dataset, region: int, size: int, draw: int) -> np.ndarray:
    """Which basins a draw has, (basin,)."""
    chosen = np.random.default_rng([region, size, draw]).choice(part.sizes["basin"], size, replace=False)
    return np.isin(np.arange(part.sizes["basin"]), chosen)


def judge(
    part: xr.Dataset, chosen: np.ndarray, first: Model, options: dict[str, Any], seed: int
) -> dict[str, float]:
    """Train on the chosen basins; median NSE in them, and in the other basins of the region."""
    options = dict(options)
    keep, names = options.pop("names", False), [name for name in first.attributes if name not in DROPPED]
    new = part.drop_vars(DROPPED)
    if not keep:
        new, names = new.rename({name: f"own_{name}" for name in names}), [f"own_{name}" for name in names]
    begin = {"start": first} if options.pop("start", False) else {}
    model = new.isel(basin=chosen).hbv.fit(
        SPEC, attributes=names, time=TRAINED, batch=20, seed=seed, progress=False, **begin, **options
    )
    sim = new.hbv.simulate(model, variables=["streamflow"], missing="fill").sel(time=JUDGED).compute()
    nse = sim.hbv.evaluate(part)["nse"].values
    return {
        "trained": float(np.median(nse[chosen])),
        "others": float(np.median(nse[~chosen])),
        "seconds": model.training["seconds"],
    }


def table(out: Path, trials: bool) -> str:
    """The results so far, in Markdown: means over the draws, and the smallest and largest of them."""
    lines = ["| region | basins | way | trained basins | other basins |", "| --- | --- | --- | --- | --- |"]
    for region in CHOSEN_ON if trials else SHOWN:
        found = [json.loads(path.read_text()) for path in (out / f"region-{region}").glob("*.json")]
        for size, way in dict.fromkeys((size, way) for size, _, way in runs(trials)):
            rows = [row for row in found if (row["size"], row["way"]) == (size, way)]
            if rows:
                shown = " | ".join(spread([row[name] for row in rows]) for name in ("trained", "others"))
                lines.append(f"| {region} | {size} | {way} | {shown} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean of some values, with the smallest and largest."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
