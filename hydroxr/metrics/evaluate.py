"""All metrics of simulated against observed streamflow at once."""

from __future__ import annotations

import xarray as xr

from ..conventions.stamps import by_day
from ..errors import DescriptionError, MissingVariableError
from ..inputs import resolve, time_axis
from ..inputs.cells import select_cells
from ..inputs.ranges import checked_values
from .alignment import require_arrays
from .formulas import EVALUATED, metrics
from .selection import Dims, dimensions


def evaluate_simulation(
    sim: xr.Dataset,
    observed: xr.Dataset,
    time: slice | None = None,
    *,
    dim: Dims = "time",
    mask: xr.DataArray | None = None,
    target: str = "streamflow",
) -> xr.Dataset:
    """Metrics of a simulation against observations; see :meth:`hydroxr.accessor.HBVAccessor.evaluate`."""
    if "streamflow" not in sim:
        raise MissingVariableError(
            "the simulation has no 'streamflow', which metrics need; simulate with variables=None, or with "
            "'streamflow' among them."
        )
    if not isinstance(observed, xr.Dataset):
        raise DescriptionError(
            f"the observations are a {type(observed).__name__}; expected a Dataset with observed streamflow: "
            "sim.hbv.evaluate(ds). Of two DataArrays: hx.metrics.evaluate(sim['streamflow'], observed)."
        )
    sim, observed = by_day(sim), by_day(observed)
    simulated = time_axis.select_days(sim, time, "the simulation")["streamflow"]
    space = tuple(dim for dim in simulated.dims if dim != "time")
    counted = time_axis.select_days(observed, time, "the observations")
    flow = checked_values(resolve.observed_streamflow(counted, target).rename("streamflow"), "streamflow")
    flow = select_cells(flow.to_dataset(), sim, space, "the observations")["streamflow"]
    scores = evaluate(simulated, flow, dim, mask=mask)
    return scores.assign_attrs(title="Metrics of simulated against observed streamflow")


def evaluate(
    simulated: xr.DataArray,
    observed: xr.DataArray,
    dim: Dims = "time",
    *,
    time: slice | None = None,
    mask: xr.DataArray | None = None,
) -> xr.Dataset:
    """All metrics of streamflow at once, lazy if one of the series is lazy.

    Parameters
    ----------
    simulated, observed, dim, time, mask
        As for :func:`nse`, with the same errors; in mm/day (kg m-2 day-1).

    Returns
    -------
    xarray.Dataset
        ``nse``, ``kge``, ``rmse``, ``pbias``, ``flv``, ``fhv``, ``log_nse``, ``kge_2012`` and
        ``peak_timing`` ``(...)``, float64, as the functions of these names return them; ``r``, ``alpha``,
        ``beta`` and ``gamma`` of :func:`kge_parts` and :func:`kge_2012_parts`; and ``n_days``, the number
        of pairs. ``peak_timing`` requires that ``time`` is reduced. Each variable has the attributes
        ``long_name`` and ``units``.

    Examples
    --------
    >>> scores = evaluate(simulation["streamflow"], observations["streamflow"])  # doctest: +SKIP
    >>> scores["nse"].median("basin")  # doctest: +SKIP
    """
    require_arrays(simulated, observed)
    timed = "time" in dimensions(dim, simulated)
    names = tuple(name for name in EVALUATED if timed or name != "peak_timing")
    return metrics(names, simulated, observed, dim, time, mask)
