"""Run a shipped model under HydroTuring, a public suite of tests of physical consistency.

HydroTuring calls a program once per case, with a request that names its input and output files:

    python tutorials/hydroturing_adapter.py --request io/request.json [--model camels-us]

The program runs one lumped catchment day by day. It reports fluxes in mm/day and storages in mm, each
storage once, so that precipitation = evapotranspiration + runoff + change of the storages. What the request
does not tell of the catchment is missing: the model takes the mean of its training catchments instead.

The file follows the suite's description of its interface. It has not run inside the suite itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import hydroxr as hx

UNITS = {"pr": "mm/day", "tas": "degC", "pet": "mm/day"}
# Columns of the result, and the variables whose sum each is.
COLUMNS = {
    "evspsbl": ["evapotranspiration"],
    "mrro": ["streamflow"],
    "mrso": ["soil_moisture"],
    "snw": ["snowpack", "snow_liquid_water"],
    "gw": ["upper_zone_storage", "lower_zone_storage"],
    "channel": ["channel_storage"],
}


def simulate(forcing: pd.DataFrame, static: dict[str, float], model_name: str) -> pd.DataFrame:
    """Simulate one catchment.

    Parameters
    ----------
    forcing : DataFrame
        Columns ``time``, ``pr`` and ``pet`` (mm/day) and ``tas`` (degC), one row per day.
    static : dict
        Attributes of the catchment; the area is used if the model reads it.
    model_name : str
        A name or a path that ``hx.load_model`` knows.

    Returns
    -------
    DataFrame
        One row per day: ``time``, ``pr`` as given, and the columns of ``COLUMNS``.
    """
    model = hx.load_model(model_name)
    ds = xr.Dataset(
        {name: ("time", forcing[name].to_numpy(float), {"units": units}) for name, units in UNITS.items()},
        {"time": pd.to_datetime(forcing["time"]).to_numpy()},
    )
    known = {"area_gages2": static.get("area_km2"), "elev_mean": static.get("elevation_m")}
    ds = ds.assign({name: known.get(name) or np.nan for name in model.attributes})
    variables = [name for parts in COLUMNS.values() for name in parts]
    sim = ds.hbv.simulate(model, variables=variables, missing="fill", dtype="float64")
    sums = {column: sum(sim[name] for name in parts).values for column, parts in COLUMNS.items()}
    return forcing[["time", "pr"]].assign(**sums)


def main() -> None:
    """Answer one request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--request", type=Path, required=True)
    parser.add_argument("--model", default="camels-us")
    given = parser.parse_args()
    folder = given.request.resolve().parent
    request = json.loads(given.request.read_text())
    if request.get("timestep", "PT1D") != "PT1D":
        raise SystemExit(f"timestep {request['timestep']} is not daily; hydroxr runs daily.")
    forcing = pd.read_csv(folder / request["input"]["forcing"])
    static = json.loads((folder / request["input"]["static"]).read_text())
    result = simulate(forcing, static, given.model)
    table = folder / request["output"]["table"]
    table.parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(table, index=False)
    run = {"status": "ok", "model": {"name": "hydroxr", "version": hx.__version__}, "n_steps": len(result)}
    (folder / request["output"]["run"]).write_text(json.dumps(run))


if __name__ == "__main__":
    main()
