"""Set up a run: a model or parameters, attributes and a state, checked and ready for the blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize

from ..conventions import cf
from ..conventions.attributes import (
    DESCRIPTION,
    GAUGE_OFFSETS,
    HBV,
    LEFT_OUT,
    MODEL_SHA256,
    PARAMETER_WINDOW,
    PARAMETERS_TOKEN,
    TRAINING,
    USED,
)
from ..conventions.stamps import STAMPS, days
from ..errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    EmptySelectionError,
    ParameterError,
    StateError,
    warn,
)
from ..inputs.attributes import attribute_array
from ..inputs.cells import cells_of_model, select_cells
from ..inputs.resolve import Inputs
from ..inputs.stated import stated
from ..models.model import Model
from ..models.specs import LSTM_STATE, RUNNING_MEANS, DeltaHBV, LSTMStreamflow
from ..physics import parameters as table
from ..physics.equations import CHANNEL, LEADS, STORES
from ..physics.parameters import CORRECTIONS, PER_CELL, REQUIRED, ROUTING, STATIC, check_bounds
from .engine.job import CARRIED, CARRY, OFFSET_ROWS, Days, Job, core_dims, layout
from .engine.model_reference import ModelReference
from .gauge_offsets import has_offsets, offset_rows


class RunSetup:
    """Arrays that the blocks of a run need besides the forcing, and the attributes of its result."""

    def __init__(self, inputs: Inputs, missing: str = "raise") -> None:
        self.inputs = inputs
        self.ds = inputs.ds
        self.space = inputs.space
        self.missing = missing
        self.arrays: dict[str, xr.DataArray] = {} if inputs.mask is None else {"mask": inputs.mask}
        self.arrays |= {f"label:{dim}": array for dim, array in inputs.labels.items()}
        self.attrs: dict[str, Any] = {}
        self.model: Model | None = None  # its network gives parameters, or streamflow itself
        self.runoff_of: Model | None = None  # its NN_r replaces the runoff equations
        self.constant = xr.Dataset()  # parameters of a constant network
        self.window = (0, 0)  # days from whose end static parameters are read
        self.dynamic: tuple[str, ...] = ()  # parameters that vary in time

    def take(
        self,
        given: Model | xr.Dataset,
        state: xr.Dataset | None,
        window: slice | None = None,
        static: xr.Dataset | None = None,
        offsets: bool = True,
    ) -> str:
        """Take a model or parameters, and a state; return a note on the parameter window.

        Static parameters of a network come from ``static``, else from ``state``, else from the
        ``window`` in the input. A model's offsets apply with ``offsets``.

        Raises
        ------
        DescriptionError
            If ``given`` is neither a model nor parameters.
        ParameterError, StateError, CoordinateError, DimensionError, MissingAttributeError
            If parameters, the state or attributes do not fit the model or the Dataset.
        """
        carrier = state if static is None else static
        if isinstance(given, Model) and has_offsets(given):
            self.attrs[GAUGE_OFFSETS] = USED if offsets else LEFT_OUT
        note = "" if carrier is None else str(carrier.attrs.get(PARAMETER_WINDOW, ""))
        if isinstance(given, Model):
            note = self._model(given, carrier, window, note)
        elif isinstance(given, xr.Dataset):
            constant = given[[name for name in given.data_vars if "time" not in given[name].dims]]
            token = tokenize(constant.drop_attrs())
            self.attrs = cf.model_attrs("HBV with given parameters", HBV, {PARAMETERS_TOKEN: token})
            self._parameters(given)
        else:
            raise DescriptionError(
                "expected a model (from ds.hbv.fit or hx.load_model) or a Dataset of parameters, found "
                f"{type(given).__name__}."
            )
        if state is not None:
            self._state(state)
        return note

    def _model(self, given: Model, carrier: xr.Dataset | None, window: slice | None, note: str) -> str:
        """Take a model; return a note on the parameter window."""
        spec = given.description
        more = {DESCRIPTION: spec.to_dict(), MODEL_SHA256: given.hash, TRAINING: given.provenance}
        self.attrs |= cf.model_attrs(spec.symbol, spec.model_kind, more)
        if isinstance(spec, LSTMStreamflow):
            self.model = given
            self.arrays["attributes"] = self._attributes(given)
            return ""
        self.runoff_of = given if spec.runoff_network else None
        if not spec.regional:
            self.constant = cells_of_model(given.constant_parameters(), self.ds, self.space)
            self._parameters(self.constant)
            return note
        self.model = given
        self.dynamic = spec.dynamic
        self.arrays["attributes"] = self._attributes(given)
        if self.attrs.get(GAUGE_OFFSETS) == USED:
            self.arrays[OFFSET_ROWS] = offset_rows(self.arrays["attributes"], given, self.ds, self.space)
        known = []
        if carrier is not None:
            self._check_offsets(carrier)
            carrier = select_cells(carrier, self.ds, self.space, "the initial state")
            known = [name for name in spec.parameters if name in carrier and name not in self.dynamic]
            try:
                for name in known:
                    self._parameter(name, carrier[name])
            except ParameterError as error:
                raise StateError(f"{CARRIED}: {error}") from error
        if spec.reads_window and len(known) < len(spec.parameters) - len(self.dynamic):
            self.window, note = _window(self.ds, given, window)
        return note

    def _check_offsets(self, carrier: xr.Dataset) -> None:
        """Refuse static parameters from a run that treated the offsets otherwise."""
        own, other = (attrs.get(GAUGE_OFFSETS) for attrs in (self.attrs, carrier.attrs))
        if own is not None and other is not None and own != other:
            raise StateError(
                f"the initial state carries parameters with the model's offsets {other}, and here they are "
                f"{own}; expected the same offsets=True or False in both runs."
            )

    def _attributes(self, model: Model) -> xr.DataArray:
        given = (model.attributes, model.categories, self.missing, model.attribute_units)
        return attribute_array(self.ds, self.space, *given)

    @property
    def _spec(self) -> DeltaHBV | None:
        """The description of the model whose network gives parameters."""
        spec = None if self.model is None else self.model.description
        return spec if isinstance(spec, DeltaHBV) else None

    @property
    def state_names(self) -> tuple[str, ...]:
        """State variables that a later run needs to continue this one, besides static parameters."""
        if self.model is not None and self._spec is None:
            return LSTM_STATE
        routed = self.model is not None or f"parameter:{ROUTING[0]}" in self.arrays
        network = () if self._spec is None else self._spec.network_state
        return (*STORES, *([CHANNEL] if routed else []), *network)

    @property
    def static_parameters(self) -> list[str]:
        """Parameters that are constant over the run; the state carries them on."""
        if self._spec is not None:
            return [name for name in self._spec.parameters if name not in self.dynamic]
        return [
            name.removeprefix("parameter:")
            for name, array in self.arrays.items()
            if name.startswith("parameter:") and "time" not in array.dims
        ]

    @property
    def per_cell(self) -> tuple[str, ...]:
        """Parameters with one value per cell."""
        if self._spec is not None:
            return self._spec.per_cell
        routing = self.arrays.get(f"parameter:{ROUTING[0]}")
        return PER_CELL if routing is None or "component" not in routing.dims else CORRECTIONS

    @property
    def _hidden(self) -> int:
        return 0 if self.model is None else self.model.description.hidden

    @property
    def n_components(self) -> int:
        if self._spec is not None:
            return self._spec.components
        return max(
            (
                array.sizes.get("component", 1)
                for name, array in self.arrays.items()
                if name.startswith("parameter:")
            ),
            default=1,
        )

    def job(
        self,
        outputs: Sequence[str],
        *,
        forcing: Mapping[str, xr.DataArray],
        components: bool = False,
        missing: str = "raise",
        dtype: str = "float32",
        device: str = "auto",
        backend: str = "auto",
    ) -> Job:
        """Everything that a block needs to know, apart from its arrays."""
        prcp = forcing["prcp"]
        sizes = {"time": prcp.sizes["time"], "component": self.n_components, "lead": LEADS}
        if self.model is not None:
            sizes |= {"attribute": len(self.model.attributes), "hidden_unit": self.model.description.hidden}
            sizes["running_mean"] = RUNNING_MEANS
        input_dims = {
            name: tuple(str(dim) for dim in array.dims if dim not in self.space)
            for name, array in self.arrays.items()
        }
        carried = (
            *(f"state:{name}" for name in self.state_names),
            *(f"parameter:{name}" for name in self.static_parameters),
        )
        return Job(
            inputs=tuple(self.arrays),
            outputs=tuple(outputs),
            input_dims=input_dims,
            output_dims={
                name: core_dims(name, self.dynamic, components, self.per_cell) for name in (*outputs, CARRY)
            },
            sizes=sizes,
            days=Days(days(prcp["time"])[0], prcp.sizes["time"]),
            forcing=tuple(forcing),
            model=None if self.model is None else ModelReference(self.model),
            runoff_of=None if self.runoff_of is None else ModelReference(self.runoff_of),
            window=self.window,
            carried=layout(carried, sizes, self.per_cell),
            components=components,
            per_cell=self.per_cell,
            missing=missing,
            dtype=dtype,
            device=device,
            backend=backend,
            called=self.inputs.called,
            derived=self.inputs.derived,
            stated=stated(self.inputs, with_flow=False),
        )

    def _parameters(self, given: xr.Dataset) -> None:
        absent = [name for name in REQUIRED if name not in given]
        if absent:
            raise ParameterError(
                f"the parameters lack {', '.join(absent)}; every one of {', '.join(REQUIRED)} is needed."
            )
        unknown = [str(name) for name in given.data_vars if name not in table.ALL_PARAMETERS]
        if unknown:
            raise ParameterError(
                f"{unknown[0]!r} is not a parameter; expected {', '.join(table.ALL_PARAMETERS)}. Drop it: "
                "parameters.drop_vars(...)."
            )
        pair = [name for name in ROUTING if name in given]
        if len(pair) == 1:
            raise ParameterError(
                f"routing needs both of {' and '.join(ROUTING)}, and there is {pair[0]} only; "
                "give both, or neither for runoff without routing."
            )
        given = select_cells(given, self.ds, self.space, "the parameters")
        for name, array in given.data_vars.items():
            self._parameter(str(name), array)

    def _parameter(self, name: str, array: xr.DataArray) -> None:
        allowed = {*self.space, *(() if name in CORRECTIONS else ("component",))}
        allowed |= set() if name in STATIC else {"time"}
        strange = [str(dim) for dim in array.dims if dim not in allowed]
        if strange:
            raise DimensionError(
                f"parameter {name} has dimension {strange[0]!r}; choose from "
                f"{', '.join(sorted(map(str, allowed)))}."
            )
        if "time" in array.dims:
            if STAMPS in self.ds.coords and np.array_equal(array["time"], self.ds[STAMPS]):
                array = array.assign_coords(time=self.ds["time"])
            if "time" not in array.indexes or not array.indexes["time"].equals(self.ds.indexes["time"]):
                raise CoordinateError(
                    f"parameter {name} varies in time, but its days are not those of the forcing; select or "
                    "reindex it."
                )
            self.dynamic = (*self.dynamic, name)
        if array.sizes.get("component") == 1:
            array = array.isel(component=0, drop=True)
        if array.chunks is None:
            self._check_values(name, array)
        order = [dim for dim in self.space if dim in array.dims] + [
            dim for dim in ("time", "component") if dim in array.dims
        ]
        self.arrays[f"parameter:{name}"] = array.transpose(*order)

    def _check_values(self, name: str, array: xr.DataArray) -> None:
        """Check values in memory now; the blocks check lazy ones."""
        dtype = str(array.dtype) if array.dtype.kind == "f" else "float64"
        known = np.isfinite(array)
        mask = self.inputs.mask
        if mask is not None:
            if mask.chunks is not None:
                return  # the blocks check
            land = mask.drop_vars(mask.coords)
            known, array = known | ~land, array.where(land)
        if self.missing == "raise" and not bool(known.all()):
            raise ParameterError(f"{name} has values that are not finite; every cell needs one.")
        if bool(array.notnull().any()):
            check_bounds(name, float(array.min()), float(array.max()), dtype)

    def _state(self, state: xr.Dataset) -> None:
        absent = [name for name in self.state_names if name not in state]
        if absent:
            raise StateError(
                f"the initial state lacks {', '.join(absent)}; expected what simulate(..., "
                "return_state=True) returned for this model."
            )
        made_by, model = (attrs.get(MODEL_SHA256) for attrs in (state.attrs, self.attrs))
        if made_by is not None and model is not None and made_by != model:
            raise StateError(
                "the initial state comes from another model and carries its parameters; start from a state "
                "of this one."
            )
        state = select_cells(state, self.ds, self.space, "the initial state")
        _check_continues(state, self.ds)
        names = [*self.state_names]
        if CHANNEL in state and CHANNEL not in names and self.state_names != LSTM_STATE:
            names.append(CHANNEL)  # the physics refuses water that a run without routing would lose
        for name in names:
            (last,) = core_dims(f"state:{name}", (), False)
            if set(state[name].dims) != {*self.space, last}:
                raise StateError(
                    f"state {name!r} has dimensions {state[name].dims}; expected {(*self.space, last)}."
                )
            known = {"component": self.n_components, "lead": LEADS, "running_mean": RUNNING_MEANS}
            length = known.get(last, self._hidden)
            if state.sizes[last] != length:
                what = last if last == "lead" else f"{last}s"
                raise StateError(f"state {name!r} has {state.sizes[last]} {what}, the model {length}.")
            self.arrays[f"state:{name}"] = state[name].transpose(*self.space, last)


def _check_continues(state: xr.Dataset, ds: xr.Dataset) -> None:
    """Refuse a state that is not from the day before the run; one without a date passes."""
    if "time" not in state.coords:
        return
    stamp = state["time"] if state["time"].ndim else state["time"].expand_dims("time")
    after, first = days(stamp)[-1], days(ds["time"])[0]
    try:
        follows = first - after == timedelta(days=1)
    except TypeError:  # dates of different calendars
        follows = False
    if not follows:
        raise StateError(
            f"the initial state is from the end of {str(after)[:10]}, but the run starts on "
            f"{str(first)[:10]}; expected the day after. If you mean that, for a spin-up, drop the date of "
            "the state: state.drop_vars('time')."
        )


def _window(ds: xr.Dataset, model: Model, chosen: slice | None) -> tuple[tuple[int, int], str]:
    """Positions of the parameter window in the input, and a note on it."""
    index = ds.indexes["time"]
    if chosen is not None:
        inside = index.slice_indexer(chosen.start, chosen.stop)
        if len(index[inside]) == 0:
            raise EmptySelectionError(
                f"the parameter window {chosen} holds no day of the input, {str(index[0])[:10]} to "
                f"{str(index[-1])[:10]}."
            )
        note = f"{str(index[inside][0])[:10]} to {str(index[inside][-1])[:10]} (chosen)"
        return (inside.start, inside.stop), note
    first, last = model.training["period"]
    days = int(model.training["days"])
    try:
        inside = index.slice_indexer(first, last)
    except (TypeError, ValueError):  # this calendar lacks the date
        inside = slice(0, 0)
    if len(index[inside]) == days:
        return (inside.start, inside.stop), f"{first} to {last} (the training period)"
    if len(index) < days:
        warn(
            f"the input has {len(index)} days. It lacks the training period {first} to {last}, at the end of "
            f"which parameters are read, and is shorter than it ({days} days). So they are read at the end "
            "of the input, and change if the input gets longer. Simulate from an earlier day on, or pass "
            "ds.hbv.parameters(model) of a longer input, or a state."
        )
        days = len(index)
    used = f"{str(index[0])[:10]} to {str(index[days - 1])[:10]}"
    note = f"{used} (first days of the input, which does not hold the training period {first} to {last})"
    return (0, days), note
