"""The adapter for HydroTuring answers a request with a table whose water balance closes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ADAPTER = Path(__file__).parents[2] / "tutorials" / "hydroturing_adapter.py"


def test_a_request_is_answered_and_the_balance_closes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    days = pd.date_range("2001-01-01", periods=400)
    season = np.sin(2 * np.pi * (days.day_of_year - 110) / 365)
    forcing = pd.DataFrame(
        {
            "time": days.strftime("%Y-%m-%d"),
            "pr": rng.gamma(0.4, 8.0, 400),
            "tas": 6 + 12 * season,
            "pet": 2 + 1.8 * season,
        }
    )
    (tmp_path / "input").mkdir()
    forcing.to_csv(tmp_path / "input" / "forcing.csv", index=False)
    (tmp_path / "input" / "static.json").write_text(json.dumps({"area_km2": 250.0}))
    request = {
        "timestep": "PT1D",
        "n_steps": 400,
        "input": {"forcing": "input/forcing.csv", "static": "input/static.json"},
        "output": {"table": "output/result.csv", "run": "output/run.json"},
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    subprocess.run([sys.executable, ADAPTER, "--request", tmp_path / "request.json"], check=True)
    result = pd.read_csv(tmp_path / "output" / "result.csv")
    assert list(result["time"]) == list(forcing["time"])
    np.testing.assert_array_equal(result["pr"], forcing["pr"])
    storage = result[["mrso", "snw", "gw", "channel"]].sum(axis=1)
    residual = result["pr"] - result["evspsbl"] - result["mrro"] - storage.diff()
    assert abs(residual[1:]).max() < 1e-9
    assert json.loads((tmp_path / "output" / "run.json").read_text())["status"] == "ok"
