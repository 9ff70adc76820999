"""From a labelled Dataset to a labelled result: options, ingredients, a plan, a run, labels."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import xarray as xr
from dask.base import tokenize

from ..analysis.derived import OF_A_DAY, finisher, ingredients
from ..conventions import acdd, cf
from ..conventions.variables import FORCING, OUTPUTS
from ..errors import DescriptionError, MissingVariableError, each_warning_once
from ..inputs import resolve as inputs
from ..models.attribute_ranges import attribute_flag, knows_ranges
from ..models.ensemble import Ensemble
from ..models.model import Model
from ..models.specs import LSTMStreamflow, Spec
from ..physics.parameters import PARAMETERS
from ..storage.zarr.identity import FIRST_DAY, START, TOKEN, start_of
from .engine import segments
from .engine.job import CARRY, NETWORK_STATE, Job, layout
from .engine.plan import Plan, plan_run
from .ensemble import join_members, of_member, simulate_members
from .run_inputs import Ingredients
from .state import state_dataset


def simulate(
    ds: xr.Dataset,
    model_or_parameters: Model | Ensemble | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    return_state: bool = False,
    missing: str = "raise",
    dtype: str = "float32",
    device: str = "auto",
    backend: str = "auto",
    members: bool = False,
    static: xr.Dataset | None = None,
    flag_attributes: bool = True,
    memory: str | float | None = None,
    together: int = 1,
) -> xr.Dataset | tuple[xr.Dataset, xr.Dataset]:
    """Simulate every cell of ``ds``; see :meth:`hydroxr.accessor.HBVAccessor.simulate`.

    ``static`` has static parameters of a regional model that were read from a longer input. With
    ``flag_attributes`` cells unlike those of the training are marked and warned of. ``together`` runs of
    the same cells, of which this is one, are in memory at once.
    """
    spec = model_or_parameters.description if isinstance(model_or_parameters, Model | Ensemble) else None
    wanted = _checked_outputs(spec, variables, components, backend)
    finish = finisher(ds, variables)
    _check_options(missing, dtype, backend)
    device = device if device == "auto" else torch_device(device)  # "auto": each worker decides
    if isinstance(model_or_parameters, Ensemble):
        options = {"variables": wanted, "components": components, "missing": missing, "dtype": dtype}
        options |= {"memory": memory}
        found = simulate_members(
            ds,
            model_or_parameters,
            initial_state,
            members=members,
            return_state=return_state,
            static=static,
            device=device,
            backend=backend,
            flag_attributes=flag_attributes,
            **options,
        )
        return (finish(found[0]), found[1]) if isinstance(found, tuple) else finish(found)
    if members:
        raise DescriptionError("members=True is for an ensemble; a single model has no members.")
    run = _prepared(
        ds,
        model_or_parameters,
        initial_state,
        wanted,
        static=static,
        return_state=return_state,
        components=components,
        missing=missing,
        dtype=dtype,
        device=device,
        backend=backend,
    )
    cut = run.plan(memory, together)
    results = segments.run(run.forcing, run.needed.arrays, run.job, cut)
    attrs = run.needed.attrs | ({"hydroxr_parameter_window": run.note} if run.note else {})
    attrs |= {START: start_of(ds.indexes["time"][0], empty=initial_state is None)}
    attrs |= acdd.provenance(ds, {name: inputs.called(ds, name) for name in run.forcing})
    # A run for its state alone is a warm-up.
    flag = _attribute_flag(run, cut) if wanted and flag_attributes else {}
    outputs = {name: array for name, array in {**results, **flag}.items() if name != CARRY}
    sim = cf.label(xr.Dataset(outputs), ds, run.space, attrs)
    _describe(sim, ds, spec)
    sim = _in_chunks(_on_its_projection(sim, ds, run.space), cut)
    lazy = [array.data.name for array in results.values() if array.chunks is not None]
    if lazy:
        sim.encoding[TOKEN] = tokenize(lazy)
    sim = finish(sim)
    if not return_state:
        return sim
    state = state_dataset(results[CARRY], run.job.carried, ds, run.space, attrs)
    return sim, _in_chunks(state, cut)


def _attribute_flag(run: _Run, cut: Plan) -> dict[str, xr.DataArray]:
    """The flag of cells unlike those of the training, in the chunks of the plan; none without a network."""
    model = run.needed.model
    if model is None or not knows_ranges(model):
        return {}
    flag = attribute_flag(run.needed.arrays["attributes"], model, run.needed.mask)
    return {"attribute_flag": flag if flag.chunks is None else flag.chunk(cut.block)}


def _on_its_projection(sim: xr.Dataset, ds: xr.Dataset, space: tuple[Hashable, ...]) -> xr.Dataset:
    """The grid mapping of the precipitation, as CF wants it: a coordinate that each variable names."""
    precipitation = ds[inputs.find(ds, "prcp")]
    name = precipitation.attrs.get("grid_mapping", precipitation.encoding.get("grid_mapping"))
    if not isinstance(name, str) or name not in ds.variables or ds[name].ndim:
        return sim
    sim = sim.assign_coords({name: ds[name].variable.copy()})
    for array in sim.data_vars.values():
        if set(space) <= set(array.dims):
            array.attrs["grid_mapping"] = name
    return sim


def _in_chunks(result: xr.Dataset, cut: Plan) -> xr.Dataset:
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


def plan(
    ds: xr.Dataset,
    model_or_parameters: Model | Ensemble | xr.Dataset,
    initial_state: xr.Dataset | None = None,
    variables: Sequence[str] | None = None,
    components: bool = False,
    missing: str = "raise",
    dtype: str = "float32",
    memory: str | float | None = None,
) -> Plan:
    """How ``simulate`` would cut that run, and what it would take; see the accessor.

    Of an ensemble it is that of its mean: the members have the same blocks, and one after another takes
    the time of all.
    """
    members: tuple[Model, ...] = ()
    given = model_or_parameters
    if isinstance(given, Ensemble):
        members, given = given.members, given.members[0]
    spec = given.description if isinstance(given, Model) else None
    wanted = _checked_outputs(spec, variables, components, "auto")
    _check_options(missing, dtype, "auto")
    if isinstance(model_or_parameters, Ensemble):
        initial_state = of_member(initial_state, 0, model_or_parameters, "the initial state")
    run = _prepared(ds, given, initial_state, wanted, components=components, missing=missing, dtype=dtype)
    found = run.plan(memory, max(1, len(members)))
    return replace(found, seconds=found.seconds * max(1, len(members)))


def parameters(
    ds: xr.Dataset,
    model: Model | Ensemble,
    time: slice | None = None,
    *,
    static_only: bool = False,
    memory: str | float | None = None,
) -> xr.Dataset:
    """Parameters of ``model`` for the cells of ``ds``; see the accessor."""
    if isinstance(model, Ensemble):
        options: dict[str, Any] = {"static_only": static_only, "memory": memory}
        with each_warning_once():
            parts = [parameters(ds, member, time, **options) for member in model.members]
        return join_members(parts, model)
    spec = model.description
    if isinstance(spec, LSTMStreamflow):
        raise DescriptionError(
            "an LSTM of streamflow has no parameters of HBV; expected a δ model: "
            "ds.hbv.fit(hx.DeltaHBV(...))."
        )
    forcing = inputs.forcing(ds)
    space = inputs.space_dims(ds)
    needed = Ingredients(ds, space)
    note = needed.take(model, None, window=time)
    if spec.network == "constant":
        return needed.constant.assign_attrs(needed.attrs)
    names = [name for name in spec.parameters if not (static_only and name in spec.dynamic)]
    if not set(names) & set(spec.dynamic):  # other days are not read
        first, last = needed.window
        forcing = {name: array.isel(time=slice(first, last)) for name, array in forcing.items()}
        needed.window = (0, last - first)
    outputs = [f"parameter:{name}" for name in names]
    job = needed.job(outputs, forcing=forcing, components=True)
    carried = (*(f"state:{name}" for name in NETWORK_STATE if spec.dynamic), *outputs)
    static = tuple(name for name in carried if name.rpartition(":")[2] not in spec.dynamic)
    run = _Run(forcing, space, needed, replace(job, carried=layout(static, job.sizes)), note)
    cut = run.plan(memory)
    if not static_only:  # these are for a simulation, which has the flag
        _attribute_flag(run, cut)  # for its warning
    results = segments.run(forcing, needed.arrays, run.job, cut)
    out = xr.Dataset({name.removeprefix("parameter:"): array for name, array in results.items()})
    over = {dim for array in out.data_vars.values() for dim in (*array.dims, *space)}
    out = out.assign_coords(
        {
            name: array.variable.copy(deep=array.chunks is None)
            for name, array in ds.coords.items()
            if set(array.dims) <= over & {*space, "time"}
        }
    )
    for name, array in out.data_vars.items():
        array.attrs = PARAMETERS[str(name)].attrs()
    out.attrs = {**needed.attrs, "hydroxr_parameter_window": note}
    out = out.transpose(*cf.dimension_order(space), "component", missing_dims="ignore")
    return _in_chunks(out, cut)


@dataclass(frozen=True)
class _Run:
    """A run that is described, and not planned yet."""

    forcing: dict[str, xr.DataArray]
    space: tuple[Hashable, ...]
    needed: Ingredients
    job: Job
    note: str

    def plan(self, memory: str | float | None, together: int = 1) -> Plan:
        return plan_run(self.forcing, self.needed.arrays, self.space, self.job, memory, together)


def _prepared(
    ds: xr.Dataset,
    given: Model | xr.Dataset,
    initial_state: xr.Dataset | None,
    wanted: Sequence[str],
    *,
    static: xr.Dataset | None = None,
    return_state: bool = False,
    missing: str = "raise",
    **options: Any,
) -> _Run:
    """Find and check all that a run needs."""
    forcing = _forcing(ds, given)
    space = inputs.space_dims(ds)
    needed = Ingredients(ds, space, missing)
    note = needed.take(given, initial_state, static=static)
    lstm = isinstance(given, Model) and isinstance(given.description, LSTMStreamflow)
    outputs = [*wanted] if lstm else [*wanted, "initial_storage"]
    outputs += ["forcing_flag"] if missing == "fill" else []
    outputs += [CARRY] if return_state else []
    job = needed.job(outputs, forcing=forcing, missing=missing, **options)
    return _Run(forcing, space, needed, job, note)


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
        return inputs.forcing(ds, given.description.forcing, given.forcing_units)
    return inputs.forcing(ds, FORCING)


def output_names(spec: Spec | None, variables: Sequence[str] | None) -> list[str]:
    """The variables that are asked of a model of that description, or of given parameters (None).

    Raises
    ------
    MissingVariableError
        Where there is no such output.
    """
    known = OUTPUTS if spec is None else spec.outputs
    wanted = [variables] if isinstance(variables, str) else known if variables is None else variables
    unknown = [name for name in ingredients(wanted) if name not in known]
    if not unknown:
        return list(dict.fromkeys(wanted))
    if spec is not None and unknown[0] in OUTPUTS:
        raise MissingVariableError(
            f"{unknown[0]!r} is an output of HBV, and this model is {spec.called}, which has none but "
            f"{', '.join(known)}; ask for that, or use a δ model: hx.DeltaHBV(...)."
        )
    raise MissingVariableError(
        f"{unknown[0]!r} is not an output of the model; expected some of {', '.join((*known, *OF_A_DAY))}."
    )


def _checked_outputs(
    spec: Spec | None, variables: Sequence[str] | None, components: bool, backend: str
) -> list[str]:
    """The model's own variables to simulate, where it has them and what else is asked for."""
    wanted = ingredients(output_names(spec, variables))
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


def _check_options(missing: str, dtype: str, backend: str) -> None:
    for option, value, allowed in (
        ("missing", missing, ("raise", "fill")),
        ("dtype", dtype, ("float32", "float64")),
        ("backend", backend, ("auto", "cpu", "cuda", "torch")),
    ):
        if value not in allowed:
            raise DescriptionError(
                f"{option}={value!r} is not known; expected {' or '.join(map(repr, allowed))}."
            )


def torch_device(name: str) -> str:
    """The device to compute on in this process.

    Raises
    ------
    DescriptionError
        Where there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise DescriptionError(f"device {name!r} is not there; expected 'auto', 'cpu', or 'cuda' with a GPU.")
    return name
