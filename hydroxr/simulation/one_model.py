"""Simulate with one model: check the options, set up the run, label the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr
from dask.base import tokenize

from ..analysis.derived import DAILY_SOURCES, model_outputs
from ..conventions import acdd, cf
from ..conventions.attributes import FIRST_DAY, PARAMETER_WINDOW, START, TOKEN, start_of
from ..conventions.dimensions import COMPONENT_WEIGHT, grid_mapping_of
from ..conventions.variables import OUTPUTS
from ..errors import DescriptionError, MissingVariableError
from ..inputs.resolve import Inputs, resolve
from ..models.attribute_ranges import attribute_flag, knows_ranges
from ..models.ensemble import Ensemble
from ..models.model import Model
from ..models.specs import DeltaHBV, LSTMStreamflow, Spec
from ..physics.parameters import WEIGHT, outputs_with
from .engine import segments
from .engine.job import CARRY, OFFSET_ROWS, Job
from .engine.plan import Plan, plan_run
from .run_setup import RunSetup
from .state import state_dataset

# Parameters that results have, and the names of their variables.
_FACTORS = {
    "parameter:PCORR": "precipitation_correction",
    "parameter:ECORR": "pet_correction",
    f"parameter:{WEIGHT}": COMPONENT_WEIGHT,
}


def inputs_for(data: xr.Dataset | Inputs, given: Model | Ensemble | xr.Dataset) -> Inputs:
    """The daily inputs of a model, of the members of an ensemble, or of HBV with given parameters.

    Raises
    ------
    HydroxrError
        What :attr:`hydroxr.inputs.resolve.Inputs.forcing` raises.
    """
    models = given.members if isinstance(given, Ensemble) else (given,) if isinstance(given, Model) else ()
    if not models:
        return resolve(data)
    inputs = resolve(data, models[0].description.forcing, models[0].forcing_units)
    for model in models[1:]:
        inputs.check_units(model.forcing_units)
    return inputs


def simulate_one(
    inputs: Inputs,
    given: Model | xr.Dataset,
    initial_state: xr.Dataset | None,
    wanted: Sequence[str],
    *,
    return_state: bool,
    static: xr.Dataset | None,
    flag_attributes: bool,
    memory: str | float | None,
    together: int = 1,
    **options: Any,
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    """Simulate with one model or given parameters; see :func:`hydroxr.simulation.simulate.simulate`."""
    run = prepare(inputs, given, initial_state, wanted, static=static, return_state=return_state, **options)
    ds, space = inputs.ds, inputs.space
    cut = run.plan(memory, together)
    results = segments.run(run.forcing, run.setup.arrays, run.job, cut)
    attrs = run.setup.attrs | ({PARAMETER_WINDOW: run.note} if run.note else {})
    attrs |= {START: start_of(inputs.days[0], empty=initial_state is None)}
    attrs |= acdd.provenance(ds, inputs.called)
    # A run for its state alone is a warm-up, which needs no flag.
    flag = flag_unlike_cells(run, cut) if wanted and flag_attributes else {}
    flag |= flag_offsets(run, cut) if wanted else {}
    outputs = {
        _FACTORS.get(name, name): array for name, array in {**results, **flag}.items() if name != CARRY
    }
    sim = cf.label(xr.Dataset(outputs), ds, space, attrs)
    if COMPONENT_WEIGHT in sim:  # a coordinate goes with each variable, into every mean
        sim = sim.set_coords(COMPONENT_WEIGHT)
    _describe(sim, inputs, given.description if isinstance(given, Model) else None)
    sim = in_chunks(_with_grid_mapping(sim, inputs), cut)
    lazy = [array.data.name for array in results.values() if array.chunks is not None]
    if lazy:
        sim.encoding[TOKEN] = tokenize(lazy)
    if not return_state:
        return sim
    state = state_dataset(results[CARRY], run.job.carried, ds, space, attrs, run.job.per_cell)
    return sim, in_chunks(state, cut)


def flag_unlike_cells(run: PreparedRun, cut: Plan) -> dict[str, xr.DataArray]:
    """The flag of cells unlike those of the training, in the chunks of the plan; none without a network."""
    model = run.setup.model
    if model is None or not knows_ranges(model):
        return {}
    flag = attribute_flag(run.setup.arrays["attributes"], model, run.setup.inputs.mask)
    return {"attribute_flag": flag if flag.chunks is None else flag.chunk(cut.block)}


def flag_offsets(run: PreparedRun, cut: Plan) -> dict[str, xr.DataArray]:
    """The flag of cells with offsets, in the chunks of the plan; none if the run has no offsets."""
    rows = run.setup.arrays.get(OFFSET_ROWS)
    if rows is None:
        return {}
    mask = run.setup.inputs.mask
    here = rows >= 0 if mask is None else (rows >= 0) & mask.drop_vars(mask.coords).astype(bool)
    flag = here.transpose(*run.setup.space).astype("int8")
    return {"offset_flag": flag if flag.chunks is None else flag.chunk(cut.block)}


def _factors(setup: RunSetup, components: bool) -> list[str]:
    """Parameters that a result has because it cannot be understood without them."""
    there = {f"parameter:{name}" for name in setup.static_parameters}
    return [name for name in _FACTORS if name in there and (components or name != f"parameter:{WEIGHT}")]


def _with_grid_mapping(sim: xr.Dataset, inputs: Inputs) -> xr.Dataset:
    """Copy the grid mapping of the precipitation as a coordinate that each variable names (CF, 5.6)."""
    ds, precipitation = inputs.ds, inputs.variable("prcp")
    name = grid_mapping_of(precipitation)
    if name is None or name not in ds.variables or ds[name].ndim:
        return sim
    sim = sim.assign_coords({name: ds[name].variable.copy()})
    for array in sim.data_vars.values():
        if set(inputs.space) <= set(array.dims):
            array.attrs["grid_mapping"] = name
    return sim


def in_chunks(result: xr.Dataset, cut: Plan) -> xr.Dataset:
    """Rechunk lazy coordinates of the input to the chunks of the results."""
    chunks = {**cut.block, "time": cut.segment}
    lazy = {
        name: array.variable.chunk(
            {dim: chunks[str(dim)] for dim in array.dims if str(dim) in chunks}
        ).drop_encoding()  # it has the chunks of the input file
        for name, array in result.coords.items()
        if array.chunks is not None
    }
    return result.assign_coords(lazy)


@dataclass(frozen=True)
class PreparedRun:
    """A run that is set up and checked, but not planned yet."""

    forcing: dict[str, xr.DataArray]
    setup: RunSetup
    job: Job
    note: str  # on the parameter window

    def plan(self, memory: str | float | None, together: int = 1) -> Plan:
        """Cut the run into blocks and segments that fit into memory."""
        return plan_run(self.forcing, self.setup.arrays, self.setup.space, self.job, memory, together)


def prepare(
    inputs: Inputs,
    given: Model | xr.Dataset,
    initial_state: xr.Dataset | None,
    wanted: Sequence[str],
    *,
    static: xr.Dataset | None = None,
    return_state: bool = False,
    missing: str = "raise",
    offsets: bool = True,
    **options: Any,
) -> PreparedRun:
    """Set up and check all that a run needs."""
    setup = RunSetup(inputs, missing)
    note = setup.take(given, initial_state, static=static, offsets=offsets)
    lstm = isinstance(given, Model) and isinstance(given.description, LSTMStreamflow)
    outputs = [*wanted] if lstm else [*wanted, "initial_storage"]
    outputs += ["forcing_flag"] if missing == "fill" else []
    if wanted and not lstm:
        outputs += _factors(setup, options.get("components", False))
    outputs += [CARRY] if return_state else []
    job = setup.job(outputs, forcing=inputs.forcing, missing=missing, **options)
    return PreparedRun(inputs.forcing, setup, job, note)


def _describe(sim: xr.Dataset, inputs: Inputs, spec: Spec | None) -> None:
    """Attributes that depend on the run or the kind of model."""
    if not isinstance(spec, LSTMStreamflow):
        sim["initial_storage"].attrs[FIRST_DAY] = str(inputs.days[0])[:10]
        return
    sim.attrs["title"] = f"Streamflow simulated with {spec.called}"
    sim.attrs["summary"] = (
        f"Daily streamflow of each catchment or cell, simulated with {spec.called} that was trained on data. "
        "Each value belongs to its time bounds, as cell_methods say."
    )
    if "streamflow" in sim:  # the table's long name mentions the unit hydrograph
        sim["streamflow"].attrs["long_name"] = "streamflow per unit area"


def output_names(given: Model | Ensemble | Spec | xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    """Names of the outputs to simulate: ``variables``, or all of the model.

    Parameters
    ----------
    given : Model, Ensemble, DeltaHBV, LSTMStreamflow or Dataset
        A model, its description, or the parameters of HBV.

    Raises
    ------
    MissingVariableError
        If the model has no such output.
    """
    spec = given.description if isinstance(given, Model | Ensemble) else given
    if isinstance(spec, DeltaHBV | LSTMStreamflow):
        known = spec.outputs
    else:
        known = outputs_with([*spec] if isinstance(spec, xr.Dataset) else ())
    wanted = [variables] if isinstance(variables, str) else known if variables is None else variables
    unknown = [name for name in model_outputs(wanted) if name not in known]
    if not unknown:
        return list(dict.fromkeys(wanted))
    if isinstance(spec, LSTMStreamflow) and unknown[0] in OUTPUTS:
        raise MissingVariableError(
            f"{unknown[0]!r} is an output of HBV, and this model is {spec.called}, which gives only "
            f"{', '.join(known)}; select that, or use a δ model: hx.DeltaHBV(...)."
        )
    if unknown[0] == "capillary_rise":
        raise MissingVariableError(
            "'capillary_rise' is not an output of the model, since no water rises in it; use one with "
            "hx.DeltaHBV(capillary_rise=True), or add the parameter C."
        )
    raise MissingVariableError(
        f"{unknown[0]!r} is not an output of the model; choose from {', '.join((*known, *DAILY_SOURCES))}."
    )


def checked_outputs(
    given: Model | Ensemble | xr.Dataset, variables: Sequence[str] | None, components: bool, backend: str
) -> list[str]:
    """The model's own variables to simulate, those that derived ones need among them.

    Raises
    ------
    MissingVariableError
        If the model has no such output.
    DescriptionError
        If the model does not support ``components`` or ``backend``.
    """
    wanted = model_outputs(output_names(given, variables))
    if not (isinstance(given, Model | Ensemble) and isinstance(given.description, LSTMStreamflow)):
        return wanted
    if components:
        raise DescriptionError("an LSTM of streamflow has no components of HBV; expected components=False.")
    if backend not in ("auto", "torch"):
        raise DescriptionError(
            f"backend={backend!r} runs HBV, and an LSTM of streamflow has no HBV; expected 'auto'. Choose "
            "where it runs with device."
        )
    return wanted


def check_options(missing: str, dtype: str, backend: str) -> None:
    """Refuse values that an option does not have, with a DescriptionError."""
    for option, value, allowed in (
        ("missing", missing, ("raise", "fill")),
        ("dtype", dtype, ("float32", "float64")),
        ("backend", backend, ("auto", "cpu", "cuda", "torch")),
    ):
        if value not in allowed:
            raise DescriptionError(
                f"{option}={value!r} is not known; expected {' or '.join(map(repr, allowed))}."
            )
