"""Parameters of a model for the cells of a Dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import xarray as xr

from ..conventions import cf
from ..errors import DescriptionError, each_warning_once
from ..inputs import resolve
from ..models.ensemble import Ensemble
from ..models.model import Model
from ..models.specs import LSTMStreamflow
from ..physics.parameters import PARAMETERS
from .engine import segments
from .engine.job import NETWORK_STATE, layout
from .ensemble import join_members
from .one_model import PreparedRun, flag_unlike_cells, in_chunks
from .run_inputs import Ingredients


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
    forcing = resolve.forcing(ds)
    space = resolve.space_dims(ds)
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
    run = PreparedRun(forcing, space, needed, replace(job, carried=layout(static, job.sizes)), note)
    cut = run.plan(memory)
    if not static_only:  # these are for a simulation, which has the flag
        flag_unlike_cells(run, cut)  # for its warning
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
    return in_chunks(out, cut)
