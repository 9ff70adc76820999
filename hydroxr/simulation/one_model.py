"""The parts of a simulation with one model: what it needs, and how the result is described."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr
from dask.base import tokenize

from ..analysis.derived import DAILY_SOURCES, model_outputs
from ..conventions import acdd, cf
from ..conventions.attributes import FIRST_DAY, START, TOKEN, start_of
from ..conventions.variables import FORCING, OUTPUTS
from ..errors import DescriptionError, MissingVariableError
from ..inputs import find, resolve
from ..models.attribute_ranges import attribute_flag, knows_ranges
from ..models.model import Model
from ..models.specs import LSTMStreamflow, Spec
from .engine import segments
from .engine.job import CARRY, Job
from .engine.plan import Plan, plan_run
from .run_inputs import Ingredients
from .state import state_dataset


def simulate_one(
    ds: xr.Dataset,
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
    run = prepare(ds, given, initial_state, wanted, static=static, return_state=return_state, **options)
    cut = run.plan(memory, together)
    results = segments.run(run.forcing, run.needed.arrays, run.job, cut)
    attrs = run.needed.attrs | ({"hydroxr_parameter_window": run.note} if run.note else {})
    attrs |= {START: start_of(ds.indexes["time"][0], empty=initial_state is None)}
    attrs |= acdd.provenance(ds, {name: resolve.called(ds, name) for name in run.forcing})
    # A run for its state alone is a warm-up.
    flag = flag_unlike_cells(run, cut) if wanted and flag_attributes else {}
    outputs = {name: array for name, array in {**results, **flag}.items() if name != CARRY}
    sim = cf.label(xr.Dataset(outputs), ds, run.space, attrs)
    _describe(sim, ds, given.description if isinstance(given, Model) else None)
    sim = in_chunks(_on_its_projection(sim, ds, run.space), cut)
    lazy = [array.data.name for array in results.values() if array.chunks is not None]
    if lazy:
        sim.encoding[TOKEN] = tokenize(lazy)
    if not return_state:
        return sim
    state = state_dataset(results[CARRY], run.job.carried, ds, run.space, attrs)
    return sim, in_chunks(state, cut)


def flag_unlike_cells(run: PreparedRun, cut: Plan) -> dict[str, xr.DataArray]:
    """The flag of cells unlike those of the training, in the chunks of the plan; none without a network."""
    model = run.needed.model
    if model is None or not knows_ranges(model):
        return {}
    flag = attribute_flag(run.needed.arrays["attributes"], model, run.needed.mask)
    return {"attribute_flag": flag if flag.chunks is None else flag.chunk(cut.block)}


def _on_its_projection(sim: xr.Dataset, ds: xr.Dataset, space: tuple[Hashable, ...]) -> xr.Dataset:
    """The grid mapping of the precipitation, as CF wants it: a coordinate that each variable names."""
    precipitation = ds[find.find(ds, "prcp")]
    name = precipitation.attrs.get("grid_mapping", precipitation.encoding.get("grid_mapping"))
    if not isinstance(name, str) or name not in ds.variables or ds[name].ndim:
        return sim
    sim = sim.assign_coords({name: ds[name].variable.copy()})
    for array in sim.data_vars.values():
        if set(space) <= set(array.dims):
            array.attrs["grid_mapping"] = name
    return sim


def in_chunks(result: xr.Dataset, cut: Plan) -> xr.Dataset:
    """Lazy coordinates of the input in the chunks of the results."""
    chunks = {**cut.block, "time": cut.segment}
    lazy = {
        name: array.variable.chunk(
            {dim: chunks[str(dim)] for dim in array.dims if str(dim) in chunks}
        ).drop_encoding()  # of the file that they were read from, which has other chunks
        for name, array in result.coords.items()
        if array.chunks is not None
    }
    return result.assign_coords(lazy)


@dataclass(frozen=True)
class PreparedRun:
    """A run that is described, and not planned yet."""

    forcing: dict[str, xr.DataArray]
    space: tuple[Hashable, ...]
    needed: Ingredients
    job: Job
    note: str

    def plan(self, memory: str | float | None, together: int = 1) -> Plan:
        return plan_run(self.forcing, self.needed.arrays, self.space, self.job, memory, together)


def prepare(
    ds: xr.Dataset,
    given: Model | xr.Dataset,
    initial_state: xr.Dataset | None,
    wanted: Sequence[str],
    *,
    static: xr.Dataset | None = None,
    return_state: bool = False,
    missing: str = "raise",
    **options: Any,
) -> PreparedRun:
    """Find and check all that a run needs."""
    forcing = _forcing(ds, given)
    space = resolve.space_dims(ds)
    needed = Ingredients(ds, space, missing)
    note = needed.take(given, initial_state, static=static)
    lstm = isinstance(given, Model) and isinstance(given.description, LSTMStreamflow)
    outputs = [*wanted] if lstm else [*wanted, "initial_storage"]
    outputs += ["forcing_flag"] if missing == "fill" else []
    outputs += [CARRY] if return_state else []
    job = needed.job(outputs, forcing=forcing, missing=missing, **options)
    return PreparedRun(forcing, space, needed, job, note)


def _describe(sim: xr.Dataset, ds: xr.Dataset, spec: Spec | None) -> None:
    """What is to be said of a simulation beyond the table of variables."""
    if not isinstance(spec, LSTMStreamflow):
        sim["initial_storage"].attrs[FIRST_DAY] = str(ds.indexes["time"][0])[:10]
        return
    sim.attrs["title"] = f"Streamflow simulated with {spec.called}"
    sim.attrs["summary"] = (
        f"Daily streamflow of each catchment or cell, simulated with {spec.called} that was trained on data. "
        "Each value belongs to its time bounds, as cell_methods say."
    )
    if "streamflow" in sim:  # the table's words are of the unit hydrograph
        sim["streamflow"].attrs["long_name"] = "streamflow per unit area"


def _forcing(ds: xr.Dataset, given: Model | xr.Dataset) -> dict[str, xr.DataArray]:
    """The daily inputs that the model has, or HBV's."""
    if isinstance(given, Model):
        return resolve.forcing(ds, given.description.forcing, given.forcing_units)
    return resolve.forcing(ds, FORCING)


def output_names(spec: Spec | None, variables: Sequence[str] | None) -> list[str]:
    """The variables that are asked of a model of that description, or of given parameters (None).

    Raises
    ------
    MissingVariableError
        Where there is no such output.
    """
    known = OUTPUTS if spec is None else spec.outputs
    wanted = [variables] if isinstance(variables, str) else known if variables is None else variables
    unknown = [name for name in model_outputs(wanted) if name not in known]
    if not unknown:
        return list(dict.fromkeys(wanted))
    if spec is not None and unknown[0] in OUTPUTS:
        raise MissingVariableError(
            f"{unknown[0]!r} is an output of HBV, and this model is {spec.called}, which has none but "
            f"{', '.join(known)}; ask for that, or use a δ model: hx.DeltaHBV(...)."
        )
    raise MissingVariableError(
        f"{unknown[0]!r} is not an output of the model; expected some of "
        f"{', '.join((*known, *DAILY_SOURCES))}."
    )


def checked_outputs(
    spec: Spec | None, variables: Sequence[str] | None, components: bool, backend: str
) -> list[str]:
    """The model's own variables to simulate, where it has them and what else is asked for."""
    wanted = model_outputs(output_names(spec, variables))
    if not isinstance(spec, LSTMStreamflow):
        return wanted
    if components:
        raise DescriptionError("an LSTM of streamflow has no components of HBV; expected components=False.")
    if backend not in ("auto", "torch"):
        raise DescriptionError(
            f"backend={backend!r} walks HBV through time, and an LSTM of streamflow has no HBV; expected "
            "'auto'. device says where it runs."
        )
    return wanted


def check_options(missing: str, dtype: str, backend: str) -> None:
    for option, value, allowed in (
        ("missing", missing, ("raise", "fill")),
        ("dtype", dtype, ("float32", "float64")),
        ("backend", backend, ("auto", "cpu", "cuda", "torch")),
    ):
        if value not in allowed:
            raise DescriptionError(
                f"{option}={value!r} is not known; expected {' or '.join(map(repr, allowed))}."
            )
