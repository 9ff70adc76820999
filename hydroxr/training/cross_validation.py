"""Cross-validation over cells: predict each by a model that did not see it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..analysis.derived import derivation
from ..conventions import stamps
from ..conventions.attributes import CROSS_VALIDATION
from ..errors import DescriptionError, HydroxrError
from ..inputs.attributes import attribute_names
from ..inputs.choice import refuse_split_labels
from ..inputs.ranges import check_forcing, raise_faults, range_faults
from ..inputs.resolve import Inputs, inputs_of
from ..inputs.stated import stated
from ..inputs.time_axis import select_days
from ..models.specs import Spec, check_spec
from ..simulation.one_model import output_names
from ..simulation.simulate import simulate
from ..support.interrupts import ONE_TRAINING, Interrupts
from ..support.progress import progress_bar
from .ensemble import as_they_end, check_client
from .fit import fit
from .fold_models import fold_provenance, load_folds, marked
from .folds import Fold, cell_dimension, fold_labels, make_folds, missing_labels, plain_labels, require_labels

if TYPE_CHECKING:
    from distributed import Client

    from ..models.ensemble import Ensemble
    from ..models.model import Model


@dataclass(frozen=True)
class _FoldSettings:
    """Settings that all folds share."""

    spec: Spec
    name: str
    dim: Hashable
    options: Mapping[str, Any]
    simulation: Mapping[str, Any]
    simulate_time: slice | None
    run: Mapping[str, Any]


_Result = tuple[Any, xr.Dataset]  # the model, and the simulation of the held-out cells


def cross_validate(
    ds: xr.Dataset,
    spec: Spec,
    folds: str | xr.DataArray = "pub_fold",
    *,
    simulate_time: slice | None = None,
    variables: Sequence[str] | None = ("streamflow",),
    models: str | os.PathLike[str] | None = None,
    client: Client | None = None,
    drop_missing: bool = False,
    missing: str = "raise",
    device: str = "auto",
    progress: bool = True,
    **options: Any,
) -> xr.Dataset:
    """Simulate cells by models that did not see them; :meth:`hydroxr.accessor.HBVAccessor.cross_validate`."""
    variables = _check_options(spec, variables, client, missing, options)
    inputs = inputs_of(ds, spec.forcing, target=options.get("target", "streamflow"))
    derivation(inputs, variables)  # refuses what derived variables lack
    dim = cell_dimension(inputs.space)
    name, labels = fold_labels(ds, dim, folds)
    unlabelled = missing_labels(labels)
    if drop_missing:
        kept = np.flatnonzero(~unlabelled)
        inputs, labels = inputs.of(inputs.ds.isel({dim: kept})), labels.isel({dim: kept})
    else:
        require_labels(ds, dim, name, unlabelled)
    values = plain_labels(labels)
    select_days(inputs.ds, simulate_time)
    gauged = _gauged(inputs, dim, options)
    divided = make_folds(values, name, gauged)
    for fold in divided:
        held = np.isin(np.arange(len(values)), fold.held_out)
        refuse_split_labels(inputs.ds, dim, held, f"fold {fold.label!r} of {name!r}")
    _check_inputs(inputs, dim, gauged, missing, options)
    run = {} if models is None else fold_provenance(inputs, spec, options, values)
    inputs = inputs.of(inputs.ds)  # without the arrays that the checks made
    path = None if models is None else Path(models)
    there = {} if path is None else load_folds(path, divided, run)
    simulation = {"variables": variables, "missing": missing, "device": device}
    plan = _FoldSettings(spec, name, dim, {"device": device, **options}, simulation, simulate_time, run)
    results = _one_after_another if client is None else _on_cluster(client)
    parts: dict[str, xr.Dataset] = {}
    hashes: dict[str, str] = {}
    with progress_bar(total=len(divided), desc="cross-validation", unit="fold", disable=not progress) as bar:
        for fold, (model, part) in results(inputs, divided, plan, there):
            if path is not None and fold.label not in there:
                model.save(path / fold.folder)
            parts[fold.label], hashes[fold.label] = part, model.hash
            bar.set_postfix_str(f"fold {fold.label}", refresh=False)
            bar.update()
    together = _assembled([parts[fold.label] for fold in divided], divided, plan)
    history = parts[divided[0].label].attrs["history"]
    return _described(together, values, hashes, plan, history)


def _check_options(
    spec: Spec, variables: Sequence[str] | None, client: Any, missing: str, options: Mapping[str, Any]
) -> list[str]:
    """Names of the variables to simulate.

    Raises
    ------
    DescriptionError
        If the model is not regional, or an option is wrong.
    MissingVariableError
        If the model has no such output.
    """
    check_spec(spec)
    if not spec.regional:
        raise DescriptionError(
            f"network {spec.network!r} has parameters only for the cells that it was fitted to, none for "
            "held-out cells; cross-validate a regional model: hx.DeltaHBV()."
        )
    check_client(client, "fold")
    if not isinstance(options.get("validation"), slice | None):
        raise DescriptionError(
            "validation names cells, but the folds already hold cells out; expected a period, "
            "slice('1990-10-01', '1995-09-30')."
        )
    if missing not in ("raise", "fill"):
        raise DescriptionError(f"missing={missing!r} is not known; expected 'raise' or 'fill'.")
    return output_names(spec, variables)


def _gauged(inputs: Inputs, dim: Hashable, options: Mapping[str, Any]) -> np.ndarray:
    """Which cells have any observed streamflow in the training period, (cell,).

    Raises
    ------
    HydroxrError
        If the time axis or the streamflow of the training period is unsound.
    """
    inputs.check_time()
    period = select_days(inputs.observed.to_dataset(name="_values"), options.get("time"))["_values"]
    values = period.transpose(dim, "time").values
    flow = stated(inputs, with_flow=True).get("streamflow")
    times = period["time"].values
    raise_faults(range_faults("streamflow", values, times, inputs.cell_names, stated=flow).values())
    return np.isfinite(values).any(axis=1)


def _check_inputs(
    inputs: Inputs, dim: Hashable, gauged: np.ndarray, missing: str, options: Mapping[str, Any]
) -> None:
    """Refuse what the fit or the simulation of any fold would refuse: now, not after hours.

    Raises
    ------
    HydroxrError
        Named for what is wrong with attributes, mask or forcing.
    """
    attribute_names(inputs.ds, (dim,), options.get("attributes"))
    _ = inputs.mask  # refuses one that does not mask cells
    days, cells = inputs.ds["time"].values, np.asarray(inputs.cell_names, dtype=object)
    trained = np.isin(days, select_days(inputs.ds, options.get("time"))["time"].values)
    for name, array in inputs.forcing.items():  # one at a time in memory
        known: dict[str, Any] = {"called": {name: inputs.call(name)}, "derived": inputs.derived}
        known["stated"] = stated(inputs, with_flow=False)
        values = array.transpose(dim, "time").values
        check_forcing({name: values}, days, cells, missing=missing, **known)
        learned_from = values[gauged][:, trained]  # where nothing is filled
        check_forcing({name: learned_from}, days[trained], cells[gauged], **known)


def _one_after_another(
    inputs: Inputs, folds: Sequence[Fold], plan: _FoldSettings, there: Mapping[str, Model | Ensemble]
) -> Iterator[tuple[Fold, _Result]]:
    with Interrupts() as interrupts:
        for fold in folds:
            yield fold, _run_fold(inputs, fold, plan, there.get(fold.label))
            if interrupts.asked and fold is not folds[-1]:
                raise _interrupted(f"after fold {fold.label!r}")


def _on_cluster(client: Client) -> Callable[..., Iterator[tuple[Fold, _Result]]]:
    """The same with one task per fold; folds come as they are done."""

    def results(
        inputs: Inputs, folds: Sequence[Fold], plan: _FoldSettings, there: Mapping[str, Model | Ensemble]
    ) -> Iterator[tuple[Fold, _Result]]:
        (data,) = client.scatter([inputs], hash=False)
        pending = {
            client.submit(_task, data, fold, plan, there.get(fold.label), pure=False): fold for fold in folds
        }
        yield from as_they_end(client, pending)

    return results


def _task(inputs: Inputs, fold: Fold, plan: _FoldSettings, model: Model | Ensemble | None) -> _Result:
    """Run a fold on a worker; lazy data are read here, not by tasks that would wait for this one's thread."""
    import dask

    with ONE_TRAINING, dask.config.set(scheduler="synchronous"):
        return _run_fold(inputs, fold, plan, model)


def _run_fold(inputs: Inputs, fold: Fold, plan: _FoldSettings, model: Model | Ensemble | None) -> _Result:
    """Fit to the other folds unless there is a model, and simulate the held-out cells in memory."""
    ds = inputs.ds
    try:
        if model is None:
            model = _fitted(inputs.of(ds.isel({plan.dim: fold.trained})), fold, plan)
        held_out = inputs.of(ds.isel({plan.dim: fold.held_out}))
        # No flag: that these cells are unlike those of the training is what the experiment is about.
        sim: Any = simulate(held_out, model, flag_attributes=False, **plan.simulation)
        if plan.simulate_time is not None:
            sim = select_days(sim, plan.simulate_time, "the simulation")
            if stamps.days(sim["time"])[0] != stamps.days(ds["time"])[0]:
                sim = sim.drop_vars("initial_storage", errors="ignore")  # it belongs to the first day
        return model, sim.compute()
    except HydroxrError as error:
        error.add_note(f"in fold {fold.label!r} of {plan.name!r}")
        raise


def _fitted(inputs: Inputs, fold: Fold, plan: _FoldSettings) -> Model | Ensemble:
    options = dict(plan.options)
    if options.get("checkpoint") is not None:
        options["checkpoint"] = Path(options["checkpoint"]) / fold.folder
    model = fit(inputs, plan.spec, progress=False, **options)
    members = getattr(model, "members", (model,))
    seeds = options.get("seeds")
    wanted = 1 if seeds is None else len(seeds) if isinstance(seeds, Sequence) else int(seeds)
    if len(members) < wanted or any(member.training.get("interrupted") for member in members):
        raise _interrupted(f"in fold {fold.label!r}, whose model is not kept")
    return marked(model, plan.name, fold, plan.run)


def _interrupted(where: str) -> KeyboardInterrupt:
    return KeyboardInterrupt(
        f"cross-validation was interrupted {where}. With models='folder' a repeated call continues with the "
        "folds that are done."
    )


def _assembled(parts: Sequence[xr.Dataset], folds: Sequence[Fold], plan: _FoldSettings) -> xr.Dataset:
    """Join the folds; cells are in their order again."""
    together = xr.concat(
        parts,
        plan.dim,
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="drop_conflicts",
    )
    order = np.concatenate([fold.held_out for fold in folds])
    return together.isel({plan.dim: np.argsort(order)})


def _described(
    ds: xr.Dataset, labels: np.ndarray, hashes: Mapping[str, str], plan: _FoldSettings, history: str
) -> xr.Dataset:
    attrs = {"long_name": "fold in which the cell was held out from training"}
    ds = ds.assign_coords(fold=((plan.dim,), labels, attrs))
    summary = {"folds": plan.name, "model_sha256": dict(hashes)}
    ds.attrs |= {
        "history": history,
        "title": f"Cross-validation of {plan.spec.called}: each cell simulated without having been trained "
        "on",
        CROSS_VALIDATION: json.dumps(summary, ensure_ascii=False),
    }
    return ds
