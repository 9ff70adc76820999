"""Train and test the runs of a table; an interrupted call resumes when it is repeated.

Each run has a folder: ``checkpoint/`` during the training, then ``model/`` (or ``models/`` with one model per
fold), ``scores.nc`` and ``run.json`` after the test, and ``log.txt``.
"""

from __future__ import annotations

import json
import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr
from dask.base import tokenize

from .._version import __version__
from ..errors import HydroxrError
from ..models.ensemble import Ensemble
from ..models.load import load_model
from ..models.model import Model
from ..models.specs import DeltaHBV, Spec
from ..simulation.simulate import run_period
from ..support.atomic import write_whole
from .records import (
    FACTS,
    LOG,
    SCORES,
    SETTINGS,
    check_settings,
    days_of,
    facts_of,
    hardware,
    read_facts,
)
from .results import collect
from .runs import ENSEMBLE, SPLITS, Run, specification
from .scores import VARIABLES, et_correlation, scores

TRAINING = slice("1980-10-01", "1995-09-30")
TEST = slice("1995-10-01", "2010-09-30")


@dataclass(frozen=True)
class Experiment:
    """The settings that all runs share.

    Parameters
    ----------
    ds : Dataset
        Forcings, attributes and observed streamflow of cells with observations in the training period.
    out : Path
        Folder of the results.
    hidden : int
        Width of the networks (256 in the paper).
    training, test : slice
        Periods.
    device : str
        "auto", "cpu" or "cuda".
    progress : bool
        Whether to show progress bars.
    options : dict
        Options of ``fit``, such as ``preset`` and ``iterations``.
    report : function
        Called with each line of the log.
    et : Dataset, optional
        Evapotranspiration of a product in the same cells, for ``et_correlation``.
    """

    ds: xr.Dataset
    out: Path
    hidden: int
    training: slice
    test: slice
    device: str = "auto"
    progress: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    report: Callable[[str], None] = print
    et: xr.Dataset | None = None

    def done(self, run: Run) -> bool:
        """Whether a run is trained and tested, also with the product of evapotranspiration, if any."""
        path = self.out / run.name / FACTS
        if not path.is_file():
            return False
        if run.split == ENSEMBLE and read_facts(path)["members"] != ", ".join(self.members(run)):
            return False
        if self.et is None:
            return True
        with xr.open_dataset(self.out / run.name / SCORES) as part:
            known = "et_correlation" in part
            return known and part["et_correlation"].attrs.get("product_sha256") == self.et_hash

    def do(self, run: Run) -> None:
        """Train and test a run, or resume it.

        Raises
        ------
        ModelFileError
            If its folder has a run with other settings.
        KeyboardInterrupt
            If the training is interrupted. The next call resumes it from its checkpoint.
        """
        folder = self.out / run.name
        settings = self.settings(run)
        check_settings(folder, settings)
        if self.done(run):
            self.report(f"{run.name}: done before")
            return
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SETTINGS, json.dumps(settings, indent=1, ensure_ascii=False))
        machine = hardware(self.device)
        self._log(run, f"begins or goes on, hydroxr {__version__}, {machine}: {json.dumps(settings)}")
        started = clock.perf_counter()
        try:
            do = {"time": self._over_time, ENSEMBLE: self._of_ensemble}.get(run.split, self._over_cells)
            sim, model = do(run, folder)
            part = scores(sim, self.ds)
            if self.et is not None:
                part["et_correlation"] = et_correlation(sim, self.et).assign_attrs(
                    product_sha256=self.et_hash
                )
        except KeyboardInterrupt as error:
            self._log(run, str(error) or "interrupted")
            raise
        except HydroxrError as error:
            self._log(run, f"failed: {type(error).__name__}: {error}")
            raise
        part.hbv.to_netcdf(folder / SCORES, overwrite=True)
        facts = facts_of(run, model, self.hidden, self._seconds(run), self.device)
        facts["members"] = ", ".join(self.members(run))
        write_whole(folder / FACTS, json.dumps(facts, indent=1, ensure_ascii=False, default=str))
        took = clock.perf_counter() - started
        self._log(
            run, f"done, {took:.0f} s since it began or went on, median NSE {float(part.nse.median()):.3f}"
        )

    def settings(self, run: Run) -> dict[str, Any]:
        """Everything that determines a run: description, protocol, periods, checksum of the data."""
        from ..training.loop.protocol import protocol_of

        spec = specification(run.model, self.hidden)
        changes = {name: value for name, value in self.options.items() if name != "preset"}
        preset = self.options.get("preset", "default")
        protocol = protocol_of(spec, preset, {**changes, "seed": run.seed}).to_dict()
        if run.split == ENSEMBLE:
            del protocol["seed"]
        periods = {"training": days_of(self.training), "test": days_of(self.test)}
        data = {"data": {"sha256": self.data_hash}}
        return json.loads(
            json.dumps({"description": spec.to_dict(), "protocol": protocol, **periods, **data})
        )

    @cached_property
    def data_hash(self) -> str:
        """Checksum of the data that models are trained on and tested with."""
        return tokenize(self.ds.drop_attrs().drop_encoding())

    @cached_property
    def et_hash(self) -> str:
        """Checksum of the product of evapotranspiration."""
        assert self.et is not None
        return tokenize(self.et.drop_attrs().drop_encoding())

    def _seconds(self, run: Run) -> float:
        """Seconds of training, summed over the models of the run."""
        folds = (self.out / run.name / "models").glob("fold-*")
        models = self.members(run).values() if SPLITS[run.split] is None else sorted(folds)
        loaded = [load_model(path) for path in models]
        return float(sum(model.training["seconds"] for model in loaded if isinstance(model, Model)))

    def _fit_options(self, run: Run) -> dict[str, Any]:
        return {"time": self.training, "seed": run.seed, "device": self.device, **self.options}

    def _over_time(self, run: Run, folder: Path) -> tuple[xr.Dataset, Model]:
        """Train one model on all cells; return its simulation of the test period, and the model."""
        spec = specification(run.model, self.hidden)
        if (folder / "model").is_dir():
            model = load_model(folder / "model")
            assert isinstance(model, Model)
        else:
            checkpoint = folder / "checkpoint"
            model = self.ds.hbv.fit(
                spec, checkpoint=checkpoint, progress=self.progress, **self._fit_options(run)
            )
            if model.training["interrupted"]:
                raise KeyboardInterrupt(f"interrupted after {model.training['iterations_done']} iterations")
            model.save(folder / "model")
            self._log(run, f"trained in {model.training['seconds']:.0f} s")
        sim = run_period(self.ds, model, self.test, variables=_variables(spec), device=self.device)
        return sim.compute(), model

    def members(self, run: Run) -> dict[str, Path]:
        """Folders of the run's models by seed; for an ensemble, of the models trained so far."""
        if run.split != ENSEMBLE:
            return {str(run.seed): self.out / run.name / "model"}
        done = {path.parent: read_facts(path) for path in self.out.glob(f"{run.model}/seed*/{FACTS}")}
        found = {facts["seed"]: folder for folder, facts in done.items() if facts["split"] == "time"}
        return {str(seed): folder / "model" for seed, folder in sorted(found.items())}

    def _of_ensemble(self, run: Run, _: Path) -> tuple[xr.Dataset, Model]:
        """The simulation of the test period as the mean over all seeds, and one of the models."""
        models = [load_model(folder) for folder in self.members(run).values()]
        ensemble = Ensemble(tuple(model for model in models if isinstance(model, Model)))
        variables = _variables(ensemble.description)
        sim = run_period(self.ds, ensemble, self.test, variables=variables, device=self.device)
        return sim.compute(), ensemble.members[0]

    def _over_cells(self, run: Run, folder: Path) -> tuple[xr.Dataset, Model]:
        """The simulation of the test period by cross-validation, and one of the models."""
        spec = specification(run.model, self.hidden)
        label = SPLITS[run.split]
        sim = self.ds.hbv.cross_validate(
            spec,
            label,
            simulate_time=self.test,
            variables=_variables(spec),
            models=folder / "models",
            checkpoint=folder / "checkpoint",
            progress=self.progress,
            **self._fit_options(run),
        )
        model = load_model(next((folder / "models").glob("fold-*")))
        assert isinstance(model, Model)
        return sim, model

    def _log(self, run: Run, text: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with (self.out / run.name / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{now} {text}\n")
        self.report(f"{run.name}: {text.partition(': {')[0]}")

    def collect(self) -> xr.Dataset:
        """Write all finished runs to ``results.nc`` and ``table.md``; see :func:`.results.collect`."""
        return collect(self.out, self.ds, self.training, self.test)


def _variables(spec: Spec) -> tuple[str, ...]:
    return VARIABLES if isinstance(spec, DeltaHBV) else VARIABLES[:1]
