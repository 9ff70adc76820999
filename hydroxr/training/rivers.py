"""Read what a training through rivers needs: the gauges, and the reaches between them and the cells."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    MissingObservationError,
    MissingVariableError,
    warn,
)
from ..inputs.resolve import Inputs, inputs_of, observed_streamflow
from ..inputs.time_axis import select_days
from ..models.specs import DeltaHBV, Spec
from ..physics.rivers.topology import accumulate, routing_order
from ..rivers.catchments import assign
from ..rivers.learnt import attributes_of, start_of
from ..rivers.network import RiverNetwork

if TYPE_CHECKING:
    from .loop.arrays import RiverData, TrainingData
    from .loop.protocol import Protocol
    from .reading.checks import Validation

_BELOW = "streamflow_of_the_gauge_below"


@dataclass(frozen=True)
class Rivers:
    """A training through rivers, as it is asked for; see :meth:`hydroxr.accessor.HBVAccessor.fit`.

    Parameters
    ----------
    network : RiverNetwork
    gauges : mapping
        Reach of each gauge.
    target : str or DataArray
        Observed streamflow or discharge of the gauges.
    weights : Dataset or DataArray, optional
        As for ``route``.
    attributes : sequence of str
        Of the reaches.
    """

    network: RiverNetwork
    gauges: Mapping[Hashable, Hashable]
    target: str | xr.DataArray
    weights: xr.Dataset | xr.DataArray | None
    attributes: Sequence[str]

    def check(self, spec: Spec, protocol: Protocol, validation: Validation | None, missing: str) -> None:
        """Refuse what cannot be trained through rivers."""
        if not isinstance(self.network, RiverNetwork):
            raise DescriptionError(f"rivers is {type(self.network).__name__}; expected a hx.RiverNetwork.")
        if not isinstance(self.gauges, Mapping) or not self.gauges:
            raise DescriptionError(
                f"gauges is {self.gauges!r}; expected the reach of each gauge: gauges={{'gauge': 'reach'}}."
            )
        reasons = {
            "an LSTM of streamflow": not isinstance(spec, DeltaHBV),
            "validation": validation is not None,
            "missing='drop'": missing != "raise",
            "warmup_gradient=False": not protocol.warmup_gradient,
        }
        refused = [what for what, is_so in reasons.items() if is_so]
        if refused:
            raise DescriptionError(f"a training through rivers has no {refused[0]}; leave it out.")

    def prepared(
        self, data: xr.Dataset | Inputs, spec: Spec, time: slice | None, warmup: int
    ) -> tuple[Inputs, RiverData]:
        """Inputs in which each cell has the streamflow of the gauge next below, and the rivers."""
        from .loop.arrays import RiverData

        plain = inputs_of(data, spec.forcing)
        ds = plain.ds
        cells = assign(plain.required("prcp").isel(time=0), ds, self.network, self.weights, "raise")
        cell = _renumbered(cells.cell, cells.space, plain)
        below, places = self.network.below, self.network.positions(self.gauges.values())
        area = np.bincount(cells.reach, cells.area, minlength=len(below))
        above = accumulate(area, below)[places]
        observed = self._observed(ds, above)
        period = select_days(observed.to_dataset(name="observed"), time)["observed"]
        useful = np.isfinite(period.values[warmup:]).any(axis=0)
        names = np.array([str(name) for name in self.gauges])
        _check_useful(names, useful, above)
        observed, names, places = observed[:, useful], names[useful], places[useful]
        nearest = _nearest(below, places)[cells.reach]
        series = np.full((len(observed), plain.cell_count), np.nan, dtype="float32")
        drained = nearest >= 0
        series[:, cell[drained]] = observed.values[:, nearest[drained]]
        space = plain.space
        flat = xr.DataArray(
            series.reshape(-1, *(ds.sizes[dim] for dim in space)),
            dims=("time", *space),
            attrs={"units": "mm/day"},
        )
        pairs = (cell[drained], cells.reach[drained], cells.area[drained])
        period = select_days(observed.to_dataset(name="observed"), time)["observed"]
        rivers = RiverData(
            below,
            *start_of(self.network),
            attributes_of(self.network, self.attributes),
            *pairs,
            places,
            period.values.astype("float32"),
            tuple(names),
        )
        return inputs_of(ds.assign({_BELOW: flat}), spec.forcing, target=_BELOW), rivers

    def _observed(self, ds: xr.Dataset, area: np.ndarray) -> xr.DataArray:
        """mm/day over the area above (m2), (time, gauge), on the days of ``ds``."""
        target = self.target
        if isinstance(target, str):
            if target not in ds:
                raise MissingVariableError(
                    f"the Dataset lacks {target!r}, the target; it has other variables."
                )
            target = ds[target]
        dims = [dim for dim in target.dims if dim != "time"]
        if len(dims) != 1 or "time" not in target.dims or dims[0] not in target.indexes:
            raise DimensionError(
                f"the target has the dimensions {target.dims}; expected time, and one with labels of gauges."
            )
        index = target.indexes[dims[0]]
        absent = [name for name in self.gauges if name not in index]
        if absent:
            raise CoordinateError(
                f"the target lacks gauge {absent[0]!r} ({len(absent)} of {len(self.gauges)}); it has labels "
                f"such as {index[0]!r}."
            )
        series = target.sel({dims[0]: list(self.gauges)}).rename({dims[0]: "gauge"})
        series = series.reset_coords(drop=True).transpose("time", "gauge").reindex(time=ds.indexes["time"])
        gauges = xr.Dataset({"observed": series, "area": ("gauge", area, {"units": "m2"})})
        return observed_streamflow(gauges, "observed").transpose("time", "gauge").load()

    def facts(self) -> dict[str, Any]:
        """What the model remembers of it, in plain values."""
        return {
            "network": self.network.digest,
            "reaches": len(self.network),
            "attributes": list(self.attributes),
            "gauges": [str(name) for name in self.gauges],
        }


def rivers_of(
    network: RiverNetwork | None,
    gauges: Mapping[Hashable, Hashable] | None,
    target: str | xr.DataArray,
    weights: xr.Dataset | xr.DataArray | None,
    attributes: Sequence[str],
) -> Rivers | None:
    """What is asked for, or None; options of rivers without rivers are refused."""
    if network is not None:
        return Rivers(network, gauges or {}, target, weights, attributes)
    given = {
        "gauges": gauges is not None,
        "weights": weights is not None,
        "reach_attributes": bool(attributes),
        "a DataArray as target": not isinstance(target, str),
    }
    for name, is_so in given.items():
        if is_so:
            raise DescriptionError(f"{name} belongs to a training through rivers; give rivers=network too.")
    return None


def of_cells(rivers: RiverData, inputs: Inputs, data: TrainingData) -> TrainingData:
    """The training data with the rivers of the cells that are trained on."""
    number = {name: place for place, name in enumerate(data.names)}
    place = np.array([number.get(name, -1) for name in inputs.cell_names])[rivers.cell]
    kept = place >= 0
    return replace(
        data,
        rivers=replace(rivers, cell=place[kept], reach=rivers.reach[kept], area=rivers.area[kept]),
    )


def _renumbered(cell: np.ndarray, space: tuple[str, ...], inputs: Inputs) -> np.ndarray:
    """Numbers of cells in the order of dimensions that the inputs have."""
    if space == tuple(map(str, inputs.space)):
        return cell
    sizes = [inputs.ds.sizes[dim] for dim in space]
    places = dict(zip(space, np.unravel_index(cell, sizes), strict=True))
    return np.ravel_multi_index(
        [places[str(dim)] for dim in inputs.space], [inputs.ds.sizes[dim] for dim in inputs.space]
    )


def _nearest(below: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Number of the gauge at or next below each reach, -1 where there is none."""
    found = np.full(len(below), -1)
    found[places] = np.arange(len(places))
    for reach in routing_order(below)[::-1]:
        if found[reach] < 0 and below[reach] >= 0:
            found[reach] = found[below[reach]]
    return found


def _check_useful(names: np.ndarray, useful: np.ndarray, area: np.ndarray) -> None:
    """Refuse gauges that no cell drains to; name those without observations that count."""
    dry = np.flatnonzero(area <= 0)
    if len(dry):
        raise CoordinateError(
            f"no cell drains to gauge {names[dry[0]]} ({len(dry)} such gauges); expected cells above "
            "each gauge."
        )
    if not useful.any():
        raise MissingObservationError(
            "the target is missing on every day after the warm-up at every gauge; nothing can be learned."
        )
    if not useful.all():
        warn(f"gauges without observations after the warm-up are left out: {', '.join(names[~useful][:5])}.")
