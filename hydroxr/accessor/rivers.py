"""Methods of ``ds.hbv`` for rivers: route."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import xarray as xr

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from ..rivers.network import RiverNetwork

    class _Options(TypedDict, total=False):
        """Options of ``route`` that do not change the type of the result."""

        unassigned: Literal["raise", "drop"]
        inflow: Literal["streamflow", "runoff"]
        balance: bool | None


Gauges = Iterable[Hashable] | Mapping[Hashable, Hashable]
Method = Literal["linear", "muskingum", "muskingum-cunge"]


class RiverMethods:
    """Route a simulation through rivers."""

    _ds: xr.Dataset

    @overload
    def route(
        self,
        network: RiverNetwork,
        method: Method = "muskingum",
        weights: xr.Dataset | xr.DataArray | None = None,
        gauges: Gauges | None = None,
        initial_state: xr.Dataset | None = None,
        return_state: Literal[False] = False,
        **options: Unpack[_Options],
    ) -> xr.Dataset: ...

    @overload
    def route(
        self,
        network: RiverNetwork,
        method: Method = "muskingum",
        weights: xr.Dataset | xr.DataArray | None = None,
        gauges: Gauges | None = None,
        initial_state: xr.Dataset | None = None,
        *,
        return_state: Literal[True],
        **options: Unpack[_Options],
    ) -> tuple[xr.Dataset, xr.Dataset]: ...

    def route(
        self,
        network: RiverNetwork,
        method: Method = "muskingum",
        weights: xr.Dataset | xr.DataArray | None = None,
        gauges: Gauges | None = None,
        initial_state: xr.Dataset | None = None,
        return_state: bool = False,
        *,
        unassigned: Literal["raise", "drop"] = "raise",
        inflow: Literal["streamflow", "runoff"] = "streamflow",
        balance: bool | None = None,
    ) -> Any:
        """Route a simulation through a river network, ``(reach, time)``; lazy if the simulation is.

        The water of a cell enters at the upper end of its reach. A reach without cells has no inflow of its
        own. Missing values stay missing in all reaches below. Computed in double precision.

        Parameters
        ----------
        network : RiverNetwork
            Reaches with what the method needs, see :class:`hydroxr.RiverNetwork`. A lazy run of a large
            network is computed in parts if its reaches are in the order of flow: ``network.sorted()``.
        method : {"muskingum", "linear", "muskingum-cunge"}
            Muskingum with constant ``travel_time`` (K) and ``x`` (X); linear reservoirs with ``travel_time``;
            or Muskingum with K and X from ``length``, ``slope``, ``width``, ``manning`` and
            ``reference_discharge``. Long reaches are cut into sections, and short ones take sub-steps, so
            that no coefficient is negative; where X is too near 0.5 for that, it is lowered. A reach with K
            = 0 passes its water on at once. The attribute ``hydroxr_routing`` counts all of these.
        weights : Dataset or DataArray, optional
            Areas that cells of a grid share with the catchments of reaches, as
            :func:`hydroxr.compare.area_weights` gives them with ``dim="reach"``; or the label of the reach of
            each cell, for response units. Default: each catchment has the label of its reach, and the area
            is that of the network or of the simulation.
        gauges : list of labels or mapping of gauge to label, optional
            Reaches to return; default: all. A mapping adds the coordinate ``gauge``.
        initial_state : Dataset, optional
            State of the network at the end of the day before. Default: no water in the reaches.
        return_state : bool
            Return the pair ``(routed, state)``; a run that goes on from the state equals one without a break.
        unassigned : {"raise", "drop"}
            What to do with cells that drain to no reach. "drop" returns what they lose as
            ``unassigned_inflow``, and :meth:`water_balance` its sum.
        inflow : {"streamflow", "runoff"}
            Routed by the unit hydrograph on the hillslopes first, or not.
        balance : bool, optional
            Whether to sum up what :meth:`water_balance` needs. Default: if the simulation has all of it.

        Returns
        -------
        Dataset, or (Dataset, Dataset) if ``return_state``
            ``discharge`` at the lower end of each reach, mean of the day, and ``lateral_inflow`` (m3 s-1);
            ``river_storage`` at the end of the day and ``initial_river_storage`` (m3). With a balance,
            ``upstream_precipitation``, ``upstream_evapotranspiration`` (m3 s-1), ``upstream_storage`` and
            ``initial_upstream_storage`` (m3) of all cells and reaches whose water passes the reach.

        Raises
        ------
        MissingVariableError
            If the network or the simulation lacks a variable, or there is no area.
        CoordinateError
            If a cell has no reach, a gauge is not in the network, or labels are of another type.
        StateError
            If the state is of another network, method or day.
        DescriptionError, DimensionError, UnitsError, TimeAxisError
            If an option is unknown, or the simulation or the weights do not fit.
        MemoryLimitError
            If a lazy run must be cut and the reaches are not in the order of flow.

        Examples
        --------
        >>> network = hx.RiverNetwork("reaches.csv")  # doctest: +SKIP
        >>> routed = sim.hbv.route(network, gauges=["12", "30"])  # doctest: +SKIP
        """
        from ..rivers.route import route

        options = (weights, gauges, initial_state, return_state, unassigned, inflow, balance)
        return route(self._ds, network, method, *options)
