"""Promises of hydroxr.reproduction.runs: which runs there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

import hydroxr as hx
from hydroxr.errors import DescriptionError
from hydroxr.reproduction import Run, chosen_runs, specification


def test_which_runs_there_are() -> None:
    """All models once, the best and the benchmark three times; what is wanted most comes first."""
    runs = chosen_runs()
    assert len(runs) == 11
    assert runs[0] == Run("dn-bt-gt", 0, "time")
    assert {run.model for run in runs} == {*hx.DeltaHBV.ladder(), "lstm"}
    assert [run.seed for run in runs if run.model == "lstm"] == [0, 1, 2]
    held_out = chosen_runs(splits=("pub",))
    assert {run.name for run in held_out} == {"dn-bt-gt/seed0-pub", "lstm/seed0-pub", "dn/seed0-pub"}
    means = chosen_runs(splits=("ensemble",))
    assert {run.name for run in means} == {"dn-bt-gt/ensemble", "lstm/ensemble"}
    assert chosen_runs(["d1"], [4], ("time", "pur")) == (Run("d1", 4), Run("d1", 4, "pur"))
    assert specification("dn-nnr", 8) == hx.DeltaHBV(runoff_network=True, hidden=8, network="lstm")
    assert chosen_runs(["gauged"]) == (Run("gauged"),)
    gauged, ungauged = (specification(name, 8) for name in ("gauged", "ungauged"))
    assert isinstance(gauged, hx.DeltaHBV)
    assert (gauged.gauge_offsets, gauged.hidden) == (True, 8)
    assert ungauged == replace(gauged, gauge_offsets=False)
    for wrong in ({"models": ["dn-tb"]}, {"splits": ("space",)}):
        with pytest.raises(DescriptionError, match="not known"):
            chosen_runs(**wrong)
