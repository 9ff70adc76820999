"""Train, test and tabulate the paper's models; whatever ended it, the same call goes on.

Every run has a folder of its own: ``checkpoint/`` while it trains, ``model/`` (or ``models/``, one a
fold) when that is done, ``scores.nc`` and ``run.json`` when it is tested, and ``log.txt``.
"""

from __future__ import annotations

import json
import time as clock
from collections.abc import Callable, Sequence
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
from .records import SETTINGS, check_settings, days_of, facts_of, hardware, protocol_text, settings_of
from .runs import ENSEMBLE, SPLITS, Run, specification
from .scores import VARIABLES, et_correlation, observed_indices, one_dataset, scores
from .table import markdown

TRAINING = slice("1980-10-01", "1995-09-30")
TEST = slice("1995-10-01", "2010-09-30")
RESULTS = "results.nc"
TABLE = "table.md"
SCORES = "scores.nc"
FACTS = "run.json"
LOG = "log.txt"


@dataclass(frozen=True)
class Experiment:
    """What is the same for all runs.

    Parameters
    ----------
    ds : Dataset
        Forcings, attributes and observed streamflow; cells without any observation in the training
        period are left out.
    out : Path
        Folder of the results.
    hidden : int
        Width of the networks (256 in the paper).
    training, test : slice
        Periods.
    options : dict
        Of ``fit``: ``preset``, ``iterations`` and so on.
    report : function
        Told what happens, a line at a time.
    et : Dataset, optional
        Evapotranspiration of another origin in the same cells, which ``et_correlation`` is with.
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
        """Whether a run is trained and tested, with this estimate of evapotranspiration if there is one."""
        path = self.out / run.name / FACTS
        if not path.is_file():
            return False
        if run.split == ENSEMBLE and _facts(path)["members"] != ", ".join(self.members(run)):
            return False
        if self.et is None:
            return True
        with xr.open_dataset(self.out / run.name / SCORES) as part:
            known = "et_correlation" in part
            return known and part["et_correlation"].attrs.get("product_sha256") == self.et_hash

    def do(self, run: Run) -> None:
        """Train and test, or go on with it.

        Raises
        ------
        ModelFileError
            Where a run of other settings is in its folder.
        KeyboardInterrupt
            Where the training is interrupted: it goes on from its checkpoint when called again.
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
        """What decides a run beside the data: description, protocol, periods."""
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
        """Of all that models are trained on and tested with."""
        return tokenize(self.ds.drop_attrs().drop_encoding())

    @cached_property
    def et_hash(self) -> str:
        """Of the estimate of evapotranspiration."""
        assert self.et is not None
        return tokenize(self.et.drop_attrs().drop_encoding())

    def _seconds(self, run: Run) -> float:
        """Of training, of all models of the run."""
        folds = (self.out / run.name / "models").glob("fold-*")
        models = self.members(run).values() if SPLITS[run.split] is None else sorted(folds)
        loaded = [load_model(path) for path in models]
        return float(sum(model.training["seconds"] for model in loaded if isinstance(model, Model)))

    def _fit_options(self, run: Run) -> dict[str, Any]:
        return {"time": self.training, "seed": run.seed, "device": self.device, **self.options}

    def _over_time(self, run: Run, folder: Path) -> tuple[xr.Dataset, Model]:
        """Simulation of the test period by a model of all cells."""
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
        """By seed, the models that the run has: of an ensemble those that are trained so far."""
        if run.split != ENSEMBLE:
            return {str(run.seed): self.out / run.name / "model"}
        done = {path.parent: _facts(path) for path in self.out.glob(f"{run.model}/seed*/{FACTS}")}
        found = {facts["seed"]: folder for folder, facts in done.items() if facts["split"] == "time"}
        return {str(seed): folder / "model" for seed, folder in sorted(found.items())}

    def _of_ensemble(self, run: Run, _: Path) -> tuple[xr.Dataset, Model]:
        """Simulation of the test period by the mean of the models of all seeds; one of the models."""
        models = [load_model(folder) for folder in self.members(run).values()]
        ensemble = Ensemble(tuple(model for model in models if isinstance(model, Model)))
        variables = _variables(ensemble.description)
        sim = run_period(self.ds, ensemble, self.test, variables=variables, device=self.device)
        return sim.compute(), ensemble.members[0]

    def _over_cells(self, run: Run, folder: Path) -> tuple[xr.Dataset, Model]:
        """Simulation of the test period, each cell by a model that did not see it; one of the models."""
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
        """All finished runs as one Dataset, written to ``results.nc`` and as ``table.md``.

        Returns
        -------
        Dataset
            (run, cell): what :func:`~hydroxr.reproduction.scores.scores` gives, with ``model``,
            ``symbol``, ``seed``, ``members`` (text: the seeds of an ensemble), ``split``, ``hidden``,
            ``iterations``, ``seconds``, ``protocol`` (text), ``hardware`` and ``versions`` as coordinates
            of ``run``; the observed baseflow indices ``bfi_l13`` and ``bfi_usgs`` (cell).
        """
        found = None
        while found != (now := self._finished()):  # another process may finish a run, and write, meanwhile
            found = now
            results = self._collected(sorted(found))
            results.hbv.to_netcdf(self.out / RESULTS, overwrite=True)
            write_whole(self.out / TABLE, markdown(results))
        return results

    def _finished(self) -> dict[Path, int]:
        """The facts of each finished run, and when they were written."""
        return {path: path.stat().st_mtime_ns for path in self.out.glob(f"*/*/{FACTS}")}

    def _collected(self, runs: Sequence[Path]) -> xr.Dataset:
        """The results of the runs with these facts."""
        parts, facts = {}, {}
        for path in runs:
            found = _facts(path)
            found.setdefault("members", str(found["seed"]))  # older runs do not say
            with xr.open_dataset(path.parent / SCORES) as part:
                parts[found["run"]] = part.load()
            found["protocol"] = protocol_text(settings_of(path.parent))
            facts[found["run"]] = {key: value for key, value in found.items() if key != "run"}
        results = one_dataset(parts, facts).merge(
            observed_indices(self.ds).drop_vars("basin", errors="ignore"), compat="override", join="override"
        )
        return results.assign_attrs(
            title="Differentiable HBV models and an LSTM, trained and tested as in Feng et al. (2022)",
            training_period=" to ".join(days_of(self.training)),
            test_period=" to ".join(days_of(self.test)),
        )


def _variables(spec: Spec) -> tuple[str, ...]:
    return VARIABLES if isinstance(spec, DeltaHBV) else VARIABLES[:1]


def _facts(path: Path) -> dict[str, Any]:
    """Of a finished run, see :func:`~hydroxr.reproduction.records.facts_of`."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
