"""The script for a cluster: what it does without SLURM, and what it would ask SLURM for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hydroxr as hx
from tests.support.labelled import assert_same_values, untrained
from tests.tutorials.scripts import load_script

SCRIPT = Path(__file__).parents[2] / "tutorials" / "cluster_slurm.py"
SPEC = hx.DeltaHBV(components=2, hidden=4, network="lstm")


@pytest.fixture
def script() -> Any:
    """The script as a module."""
    return load_script(SCRIPT)


class FakeCluster:
    """Takes what SLURMCluster takes."""

    made: dict[str, Any]
    jobs: int

    def __init__(self, **options: Any) -> None:
        FakeCluster.made = options

    def scale(self, jobs: int) -> None:
        FakeCluster.jobs = jobs


def test_it_runs_on_processes_of_this_machine(tmp_path: Path) -> None:
    """As a program, on the virtual continent; a second call finds the run complete."""
    model = untrained(SPEC, period=("1980-10-01", "1981-02-28"))
    model.save(tmp_path / "model")
    paths = [str(tmp_path / name) for name in ("forcing.zarr", "model", "run.zarr")]
    command = [sys.executable, str(SCRIPT), *paths, "--local", "1", "--virtual", "12", "1", "--cells", "10"]
    first = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert "<hydroxr plan: 10 cells x 365 days" in first.stdout
    assert "dashboard" in first.stdout
    found = hx.open_run(tmp_path / "run.zarr", verify=True).load()
    ds = hx.virtual_continent(cells=12, years=1).isel(basin=slice(0, 10)).load()
    expected = ds.hbv.simulate(model, variables=["streamflow", "evapotranspiration"])
    assert_same_values(found, expected, rtol=1e-5, atol=1e-5)


def test_it_asks_slurm_for_a_process_a_core(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or for a GPU a job, started by dask-cuda."""
    given = {"dask_jobqueue": SimpleNamespace(SLURMCluster=FakeCluster), "dask_cuda": SimpleNamespace()}
    for name, module in given.items():
        monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
    words = ["f.zarr", "model", "r.zarr", "--queue", "compute", "--memory", "64GB", "--cores", "16"]
    script.slurm(script.arguments([*words, "--jobs", "20"]))
    made = FakeCluster.made
    assert FakeCluster.jobs == 20
    assert (made["cores"], made["processes"], made["memory"], made["queue"]) == (16, 16, "64GB", "compute")
    script.slurm(script.arguments([*words, "--gpus", "3"]))
    made = FakeCluster.made
    assert FakeCluster.jobs == 3
    assert (made["cores"], made["processes"], made["worker_command"]) == (1, 1, "dask_cuda.cli")
    assert "--gpus=1" in made["job_extra_directives"]


@pytest.mark.parametrize("gpus", ["0", "2"])
def test_slurm_takes_what_it_asks_for(script: Any, gpus: str) -> None:
    """Where dask-jobqueue is installed: its own job script has it all."""
    jobqueue = pytest.importorskip("dask_jobqueue")
    job = script.arguments(["f", "m", "r", "--gpus", gpus, "--queue", "main", "--account", "me"])
    made: dict[str, Any] = {}

    class Recorded(FakeCluster):
        def __init__(self, **options: Any) -> None:
            made.update(options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jobqueue, "SLURMCluster", Recorded)
        patched.setitem(sys.modules, "dask_cuda", SimpleNamespace())  # type: ignore[arg-type]
        script.slurm(job)
    with jobqueue.SLURMCluster(**made) as cluster:
        text = cluster.job_script()
    assert ("dask_cuda.cli" in text, "--gpus=1" in text) == (gpus != "0",) * 2
    for words in ("-p main", "-A me", "-t 02:00:00", "export OMP_NUM_THREADS=1", "--nthreads 1"):
        assert words in text


def test_what_is_to_be_installed_is_named(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """dask-jobqueue, and dask-cuda for GPUs."""
    for name, words in (("dask_jobqueue", []), ("dask_cuda", ["--gpus", "1"])):
        monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=FakeCluster))  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
        with pytest.raises(SystemExit, match=f"pip install {name.replace('_', '-')}"):
            script.slurm(script.arguments(["f", "m", "r", *words]))
