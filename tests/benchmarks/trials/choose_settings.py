"""Repeat the choice of the presets: train variants on 1985-1995, judge them on 1981-1985.

The test years, 1995 to 2010, are not read. Each variant is one training and leaves a JSON file in ``--out``;
a repeated call trains only what is missing. ``--table`` prints the results so far.

    python tests/benchmarks/trials/choose_settings.py --data camels.nc --out choice dn-bt-gt dropout-0.3
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import hydroxr as hx

TRAINED = slice("1985-10-01", "1995-09-30")
VALIDATION = slice("1980-10-01", "1985-09-30")
JUDGED = slice("1981-10-01", "1985-09-30")  # whole years, after a year of warm-up
SCORES = ("nse", "kge", "log_nse", "flv", "fhv")
HIDDEN = 128

# The start of all variants.
START: dict[str, Any] = {
    "loss": {"nse": 1.0, "low_flow": 1.0},
    "learning_rate": 3e-3,
    "dropout": 0.5,
    "iterations": 600,
    "validate_every": 300,
}
_WITH_KGE = {"nse": 1.0, "low_flow": 1.0, "kge": 0.3}
DELTA: dict[str, dict[str, Any]] = {
    "start": {},
    "paper-loss": {"loss": "paper"},
    "no-warmup-gradient": {"warmup_gradient": False},
    "low-flow-0.5": {"loss": {"nse": 1.0, "low_flow": 0.5}},
    "kge-0.3": {"loss": _WITH_KGE, "dropout": 0.3},
    "window-730": {"batch": 67, "window": 730},
    "dropout-0.3": {"dropout": 0.3},
    "dropout-0": {"dropout": 0.0},
    "rate-1e-2-dropout-0.1": {"learning_rate": 1e-2, "dropout": 0.1},
    "dropout-0.3-3000": {"dropout": 0.3, "iterations": 3000},
    "kge-0.3-dropout-0.3-3000": {"loss": _WITH_KGE, "dropout": 0.3, "iterations": 3000},
    "kge-0.3-dropout-0.5-3000": {"loss": _WITH_KGE, "iterations": 3000},
    "batch-50-1500": {"batch": 50, "learning_rate": 1e-2, "dropout": 0.1, "iterations": 1500},
    "rate-1e-2-dropout-0.1-3000": {"learning_rate": 1e-2, "dropout": 0.1, "iterations": 3000},
}
LSTM: dict[str, dict[str, Any]] = {
    "lstm-rate-1e-2-dropout-0.3": {"learning_rate": 1e-2, "dropout": 0.3},
    "lstm-rate-1e-2-dropout-0.1": {"learning_rate": 1e-2, "dropout": 0.1},
    "lstm-rate-5e-3-dropout-0.3": {"learning_rate": 5e-3, "dropout": 0.3},
    "lstm-dropout-0.5-3000": {"iterations": 3000},
    "lstm-rate-1e-2-dropout-0.3-3000": {"learning_rate": 1e-2, "dropout": 0.3, "iterations": 3000},
    "lstm-rate-1e-2-dropout-0.1-1500": {"learning_rate": 1e-2, "dropout": 0.1, "iterations": 1500},
}


def main() -> None:
    """Train the missing variants, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="CAMELS-US, compact or as published")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", action="store_true", help="print the results so far, train nothing")
    parser.add_argument(
        "names", nargs="*", help=f"variants to train: {', '.join({**DELTA, **LSTM})}; default: all"
    )
    given = parser.parse_args()
    if given.table:
        print(table(given.out))
        return
    ds = hx.open_camels(given.data).sel(time=slice(VALIDATION.start, TRAINED.stop))
    ds = ds.isel(basin=np.flatnonzero(ds["streamflow"].notnull().any("time").values)).load()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or {**DELTA, **LSTM}:
        result = given.out / f"{name}.json"
        if not result.exists():
            result.write_text(json.dumps(judge(ds, name, given.out / f"{name}.checkpoint"), indent=1))
        print(row(name, json.loads(result.read_text())), flush=True)


def judge(ds: xr.Dataset, name: str, checkpoint: Path) -> dict[str, float]:
    """Train a variant; return its median scores over the basins in the validation years."""
    spec = hx.LSTMStreamflow(hidden=HIDDEN) if name in LSTM else hx.DeltaHBV.ladder()["dn-bt-gt"]
    spec = spec if name in LSTM else hx.DeltaHBV(dynamic=spec.dynamic, hidden=HIDDEN, network="lstm")
    options = START | {**DELTA, **LSTM}[name]
    model = ds.hbv.fit(spec, time=TRAINED, validation=VALIDATION, checkpoint=checkpoint, **options)
    wanted = ("streamflow",) if name in LSTM else ("streamflow", "runoff", "baseflow")
    sim = ds.hbv.simulate(model, variables=wanted).sel(time=JUDGED).compute()
    scores = sim.hbv.evaluate(ds)
    out = {key: float(scores[key].median()) for key in SCORES}
    if "baseflow" in sim:
        index = hx.compare.baseflow_index(sim["baseflow"], sim["runoff"])
        out["r_bfi"] = float(xr.corr(index, ds["baseflow_index"]))
    return out | {"seconds": model.training["seconds"]}


def table(folder: Path) -> str:
    """The results so far, in Markdown."""
    header = "| | median NSE | KGE | log-NSE | FLV % | FHV % | r(ΣQ2/ΣQ, BFI) |\n|" + " --- |" * 7
    rows = [row(path.stem, json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    return "\n".join([header, *rows])


def row(name: str, scores: dict[str, float]) -> str:
    """A line of the table."""
    numbers = [f"{scores[key]:.3f}" for key in SCORES[:3]] + [f"{scores[key]:+.1f}" for key in SCORES[3:]]
    return (
        f"| {name} | {' | '.join(numbers)} | {scores['r_bfi']:.3f} |"
        if "r_bfi" in scores
        else (f"| {name} | {' | '.join(numbers)} | |")
    )


if __name__ == "__main__":
    main()
