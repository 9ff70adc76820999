"""River networks: reaches, the reach below each, and what routing wants to know of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ..errors import CoordinateError, DimensionError
from ..physics.rivers import topology
from ..support.checksums import array_digest, sha256
from .checks import COLUMNS, REACH, check_values, in_units, positions_below
from .grids import dataset_of_directions
from .tables import dataset_of

if TYPE_CHECKING:
    from ..models.model import Model


class RiverNetwork:
    """A labelled, checked and immutable network of river reaches, each with at most one reach below.

    Parameters
    ----------
    table : Dataset, DataFrame, GeoDataFrame or path
        With the dimension ``reach``, whose labels are text or whole numbers, and the variables

        - ``downstream``: label of the reach below; at an outlet ``""`` or -1, or 0 if no reach is called so.
        - ``length`` (m or km), ``travel_time`` (days, h or s: Muskingum's K), ``x`` (Muskingum's X, 0 to
          0.5), ``slope`` (1), ``width`` (m), ``manning`` (s m-1/3), ``area`` of the reach's own
          catchment (km2 or m2), ``reference_discharge`` (m3 s-1), each where a method wants it.

        A DataFrame, or the path of a CSV file, has these columns, or those of NHDPlus, MERIT-Basins
        (``COMID``, ``NextDownID``, ``lengthkm``, ``unitarea``), HydroRIVERS (``HYRIV_ID``, ``NEXT_DOWN``,
        ``LENGTH_KM``, ``CATCH_SKM``) or HydroBASINS. Coordinates along ``reach`` are kept.
    units : mapping, optional
        Units of the columns of a DataFrame or file, such as ``{"length": "km"}``.

    Raises
    ------
    NetworkError
        If there is a loop (the message names its reaches), no outlet, or a reach flows into itself, into two
        reaches, or into one that is not there.
    CoordinateError
        If a label occurs twice, or labels are of different types.
    UnitsError, ValueRangeError
        If units are missing, or a value is missing or out of range.
    DimensionError, MissingVariableError, DataFileError, DescriptionError
        If the table lacks ``reach`` or ``downstream``, or is of another kind.

    Examples
    --------
    >>> table = xr.Dataset({"downstream": ("reach", ["c", "c", ""])}, {"reach": ["a", "b", "c"]})
    >>> network = RiverNetwork(table)
    >>> list(network.upstream("c"))
    ['a', 'b']
    """

    def __init__(self, table: Any, units: Mapping[str, str] | None = None) -> None:
        given = dataset_of(table, units)
        self._below = positions_below(given)
        check_values(given)
        self._table = given.load().copy(deep=True)
        for array in self._table.variables.values():
            if isinstance(array.data, np.ndarray):
                array.data.flags.writeable = False

    @classmethod
    def from_directions(cls, directions: Any, kind: str | None = None) -> RiverNetwork:
        """A network with a reach per cell of a map of flow directions.

        Parameters
        ----------
        directions : DataArray, pyflwdir.FlwdirRaster or earthkit.hydro RiverNetwork
            Of a DataArray the coordinates are ``lat`` and ``lon``, or ``y`` and ``x``; it needs the extra
            ``rivers`` (pyflwdir).
        kind : {"d8", "ldd", "nextxy"}, optional
            Code of a DataArray: D8 of ESRI, HydroSHEDS and MERIT Hydro; LDD of PCRaster; CaMa-Flood's.

        Returns
        -------
        RiverNetwork
            Reaches are labelled by the numbers of their cells, row by row from the north. ``length`` is the
            distance to the centre of the cell below, 0 at pits, which are outlets.

        Raises
        ------
        DescriptionError
            If the object or the kind is not known.
        NetworkError
            If cells flow into two others.
        ImportError
            If the extra ``rivers`` is needed and not installed.
        """
        return cls(dataset_of_directions(directions, kind))

    @property
    def table(self) -> xr.Dataset:
        """The table as it was given, as a Dataset whose arrays cannot be changed."""
        return self._table.copy()

    @property
    def reaches(self) -> pd.Index:
        """Labels of all reaches, in the order of the table."""
        return self._table.indexes[REACH]

    @property
    def below(self) -> np.ndarray:
        """Position of the reach below each, -1 at an outlet, ``(reach,)``."""
        return self._below.copy()

    @property
    def outlets(self) -> pd.Index:
        """Labels of the reaches that leave the network."""
        return self.reaches[self._below < 0]

    @property
    def headwaters(self) -> pd.Index:
        """Labels of the reaches without a reach above."""
        return self.reaches[self._counts == 0]

    @property
    def confluences(self) -> pd.Index:
        """Labels of the reaches with several reaches directly above."""
        return self.reaches[self._counts > 1]

    @property
    def levels(self) -> xr.DataArray:
        """Number of reaches on the longest way from a headwater, 0 at headwaters, ``(reach)``."""
        return self._labelled(topology.levels(self._below), "levels")

    @cached_property
    def order(self) -> np.ndarray:
        """Positions of the reaches, each after those above it, ``(reach,)``."""
        return topology.routing_order(self._below)

    @cached_property
    def digest(self) -> str:
        """Digest of labels, connections and values, by which two networks can be compared."""
        parts = [array_digest(np.asarray(self.reaches.astype(str))), array_digest(self._below)]
        parts += [f"{name} {array_digest(self.values(name))}" for name in COLUMNS if name in self._table]
        return sha256(*parts)[:32]

    def upstream(self, reach: Hashable) -> pd.Index:
        """Labels of all reaches above ``reach``, itself not included, in the order of the table.

        Raises
        ------
        CoordinateError
            If there is no such reach.
        """
        place = self.positions([reach])
        found = topology.upstream_of(place, self._below)
        found[place] = False
        return self.reaches[found]

    def subnetwork(self, reach: Hashable | Iterable[Hashable]) -> RiverNetwork:
        """The network of some reaches and of all above them; these reaches become outlets.

        Raises
        ------
        CoordinateError
            If there is no such reach.
        """
        some = [reach] if isinstance(reach, str) or not isinstance(reach, Iterable) else list(reach)
        found = topology.upstream_of(self.positions(some), self._below)
        return self._part(np.flatnonzero(found))

    def sorted(self) -> RiverNetwork:
        """The same network in routing order: each reach after those above it, subtrees in one piece.

        Networks in this order can be routed in parts, see ``ds.hbv.route``.
        """
        return self._part(self.order)

    def accumulate(self, values: xr.DataArray) -> xr.DataArray:
        """Sum of values over each reach and all reaches above it, such as drainage areas.

        Parameters
        ----------
        values : DataArray, (reach, ...)
            By label, for all reaches of the network.

        Raises
        ------
        DimensionError, CoordinateError
            If the values have no ``reach``, or lack a reach.
        """
        if REACH not in values.dims or REACH not in values.indexes:
            raise DimensionError(
                f"the values have the dimensions {values.dims}; expected 'reach' with labels."
            )
        absent = self.reaches[~self.reaches.isin(values.indexes[REACH])]
        if len(absent):
            raise CoordinateError(f"the values lack reach {absent[0]} ({len(absent)} are missing).")
        ordered = values.sel({REACH: self.reaches}).transpose(REACH, ...)
        total = topology.accumulate(ordered.values.astype(float), self._below)
        return ordered.copy(data=total).transpose(*values.dims)

    def learnt(self, model: Model) -> RiverNetwork:
        """The same network with the ``travel_time`` and ``x`` that a model has learnt.

        Parameters
        ----------
        model : Model
            Of ``ds.hbv.fit(..., rivers=network)``. If it reads K and X from attributes, the network can be
            another one that has them.

        Raises
        ------
        DescriptionError
            If the model was not trained through rivers.
        NetworkError
            If it has learnt numbers for the reaches of another network.
        MissingVariableError
            If the network lacks an attribute.
        """
        from .learnt import learnt

        k, x = learnt(self, model)
        table = self._table.assign(travel_time=(REACH, k, {"units": "days"}), x=(REACH, x))
        return RiverNetwork(table)

    def positions(self, labels: Iterable[Hashable]) -> np.ndarray:
        """Positions of reaches by their labels; a CoordinateError if one is not there."""
        wanted = list(labels)
        found = self.reaches.get_indexer(pd.Index(wanted, dtype=object))
        absent = np.flatnonzero(found < 0)
        if len(absent):
            raise CoordinateError(
                f"there is no reach {wanted[absent[0]]!r} in the network ({len(absent)} of {len(wanted)} are "
                f"missing); its labels are {self.reaches.dtype}, such as {self.reaches[0]!r}."
            )
        return found

    def values(self, name: str) -> np.ndarray:
        """A known variable as float64: lengths in m, times in days, areas in km2, ``(reach,)``."""
        return in_units(self._table, name)

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __len__(self) -> int:
        return len(self._below)

    def __repr__(self) -> str:
        known = ", ".join(str(name) for name in self._table.data_vars)
        outlets = f"{len(self.outlets)} outlet{'s' * (len(self.outlets) != 1)}"
        return (
            f"<RiverNetwork: {len(self)} reaches, {outlets}, {len(self.headwaters)} headwaters, "
            f"{len(self.confluences)} confluences; {known}>"
        )

    @property
    def _counts(self) -> np.ndarray:
        return np.bincount(self._below[self._below >= 0], minlength=len(self))

    def _labelled(self, values: np.ndarray, name: str) -> xr.DataArray:
        return xr.DataArray(values, {REACH: self._table[REACH]}, (REACH,), name=name)

    def _part(self, places: np.ndarray) -> RiverNetwork:
        table = self._table.isel({REACH: places})
        outlet = "" if self._table["downstream"].dtype.kind in "OUT" else -1
        table["downstream"] = table["downstream"].where(np.isin(self._below[places], places), outlet)
        return RiverNetwork(table)
