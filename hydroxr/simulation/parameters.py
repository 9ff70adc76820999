"""Parameters of a model for the cells of a Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import xarray as xr

from ..conventions import cf
from ..conventions.attributes import PARAMETER_WINDOW
from ..conventions.stamps import STAMPS
from ..errors import DescriptionError, each_warning_once
from ..inputs.resolve import Inputs
from ..models.ensemble import Ensemble
from ..models.model import Model
from ..models.specs import DeltaHBV
from ..physics.parameters import ALL_PARAMETERS
from .engine import segments
from .engine.job import layout
from .ensemble import join_members
from .one_model import PreparedRun, check_options, flag_unlike_cells, in_chunks, inputs_for
from .run_setup import RunSetup


def parameters(
    data: xr.Dataset | Inputs,
    model: Model | Ensemble,
    time: slice | None = None,
    *,
    missing: str = "raise",
    static_only: bool = False,
    memory: str | float | None = None,
    offsets: bool = True,
) -> xr.Dataset:
    """Parameters of ``model`` for the cells of a Dataset.

    See :meth:`hydroxr.accessor.HBVAccessor.parameters`. With ``static_only`` dynamic parameters are
    left out.
    """
    _hbv(model)
    check_options(missing, "float32", "auto")
    inputs = inputs_for(data, model)
    options = (time, missing, static_only, memory, offsets)
    if isinstance(model, Ensemble):
        with each_warning_once():
            parts = [_of_one(inputs, member, *options) for member in model.members]
        return join_members(parts, model)
    return _of_one(inputs, model, *options)


def static_parameters(
    inputs: Inputs, given: Model | Ensemble | xr.Dataset, options: Mapping[str, Any]
) -> xr.Dataset | None:
    """Static parameters of a regional δ model from all days of the input, for runs over parts of it.

    None where a run needs none: for given parameters, a constant model, an LSTM of streamflow.
    """
    if not isinstance(given, Model | Ensemble):
        return None
    spec = given.description
    if not (isinstance(spec, DeltaHBV) and spec.regional):
        return None
    return parameters(inputs, given, static_only=True, offsets=options.get("offsets", True))


def _hbv(model: Model | Ensemble) -> DeltaHBV:
    """The description of a model that has parameters of HBV."""
    if not isinstance(model, Model | Ensemble):
        raise DescriptionError(
            f"expected a model, whose parameters these are (from ds.hbv.fit or hx.load_model), found "
            f"{type(model).__name__}. To simulate with parameters that you have: ds.hbv.simulate(parameters)."
        )
    spec = model.description
    if isinstance(spec, DeltaHBV):
        return spec
    raise DescriptionError(
        "an LSTM of streamflow has no parameters of HBV; expected a δ model: ds.hbv.fit(hx.DeltaHBV(...))."
    )


def _of_one(
    inputs: Inputs,
    model: Model,
    time: slice | None,
    missing: str,
    static_only: bool,
    memory: str | float | None,
    offsets: bool,
) -> xr.Dataset:
    """Parameters of one model."""
    spec = _hbv(model)
    setup, space = RunSetup(inputs, missing), inputs.space
    note = setup.take(model, None, window=time, offsets=offsets)
    if spec.network == "constant":
        return setup.constant.assign_attrs(setup.attrs)
    forcing, dynamic = inputs.forcing, setup.dynamic
    names = [name for name in spec.parameters if not (static_only and name in dynamic)]
    if not set(names) & set(dynamic):  # days outside of the window are not read
        first, last = setup.window if spec.reads_window else (0, 1)
        forcing = {name: array.isel(time=slice(first, last)) for name, array in forcing.items()}
        setup.window = (0, last - first)
    outputs = [f"parameter:{name}" for name in names]
    job = setup.job(outputs, forcing=forcing, components=True, missing=missing)
    carried = (*(f"state:{name}" for name in spec.network_state), *outputs)
    static = tuple(name for name in carried if name.rpartition(":")[2] not in dynamic)
    run = PreparedRun(forcing, setup, replace(job, carried=layout(static, job.sizes, job.per_cell)), note)
    cut = run.plan(memory)
    if not static_only:  # otherwise a simulation follows, which has the flag
        flag_unlike_cells(run, cut)  # for its warning
    results = segments.run(forcing, setup.arrays, run.job, cut)
    out = xr.Dataset({name.removeprefix("parameter:"): array for name, array in results.items()})
    over = {dim for array in out.data_vars.values() for dim in (*array.dims, *space)}
    out = out.assign_coords(
        cf.coordinates(inputs.ds.drop_vars(STAMPS, errors="ignore"), over & {*space, "time"})
    )
    for name, array in out.data_vars.items():
        array.attrs = ALL_PARAMETERS[str(name)].attrs()
    out.attrs = {**setup.attrs, PARAMETER_WINDOW: note}
    out = out.transpose(*cf.dimension_order(space), "component", missing_dims="ignore")
    return in_chunks(out, cut)
