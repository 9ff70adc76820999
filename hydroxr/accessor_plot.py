"""``ds.hbv.plot``: the pictures of :mod:`hydroxr.plot` that need one Dataset. Each method delegates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from .conventions.variables import FLUX, FLUXES
from .errors import MissingVariableError
from .inputs.time_axis import select_days

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy import ndarray


class Plots:
    """Pictures of a simulation (or, of :meth:`dynamic_parameters`, of parameters)."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def hydrograph(self, observed: xr.Dataset | None = None, **options: Any) -> ndarray:
        """Precipitation, streamflow and storages of one cell; see :func:`hydroxr.plot.hydrograph`."""
        from .plot import hydrograph

        return hydrograph(self._ds, observed, **options)

    def hydrographs(self, observed: xr.Dataset, **options: Any) -> ndarray:
        """Streamflow of several basins; see :func:`hydroxr.plot.hydrographs`."""
        from .plot import hydrographs

        return hydrographs(self._ds, observed, **options)

    def storages(self, **options: Any) -> ndarray:
        """Storages of one cell; see :func:`hydroxr.plot.storages`."""
        from .plot import storages

        return storages(self._ds, **options)

    def cdf(self, observed: xr.Dataset, metric: str = "nse", **options: Any) -> Axes:
        """Distribution of a metric of streamflow over the cells; see :func:`hydroxr.plot.cdf`.

        ``time`` selects the days that count.
        """
        from .plot import cdf

        scores = self._ds.hbv.evaluate(observed, time=options.pop("time", None))
        return cdf(scores.assign_attrs(self._ds.attrs), metric, **options)

    def map(self, name: str, *, time: slice | None = None, **options: Any) -> Axes:
        """Mean of a variable over time, where the cells lie; see :func:`hydroxr.plot.map`.

        ``time`` selects the days that count.

        Raises
        ------
        MissingVariableError
            The Dataset has no variable ``name``.
        """
        from .plot import map as draw_map

        if name not in self._ds:
            raise MissingVariableError(
                f"there is no variable {name!r}, only {sorted(str(each) for each in self._ds.data_vars)}; "
                "simulate it, or name one of these."
            )
        values = self._ds[name]
        if "time" in values.dims:
            values = select_days(self._ds[[name]], time, "the simulation")[name]
            words = str(values.attrs.get("long_name", name)).split(":")[0].split(" (")[0]
            units = values.attrs.get("units", FLUX if name in FLUXES else "1")
            attrs = {"long_name": f"mean {words}", "units": units}
            values = values.mean("time", skipna=False).assign_attrs(attrs)
        return draw_map(values.compute(), **options)

    def baseflow_index(self, observed: xr.Dataset, index: str = "baseflow_index", **options: Any) -> ndarray:
        """Simulated against observed baseflow index; see :func:`hydroxr.plot.baseflow_index`.

        ``observed`` has the streamflow, of which the NSE is, and as the variable ``index`` what a baseflow
        separation made of it. The simulated index is of whole years, those from the first day.

        Raises
        ------
        MissingVariableError
            The simulation lacks ``baseflow`` or ``runoff``, or ``observed`` the index.
        EmptySelectionError
            The simulation has no whole year.
        """
        from .analysis.derived import derive
        from .plot import baseflow_index as draw

        absent = [name for name in ("baseflow", "runoff") if name not in self._ds]
        if absent:
            raise MissingVariableError(
                f"the baseflow index is of 'baseflow' and 'runoff', and the simulation lacks {absent}; "
                "simulate them. An LSTM has none."
            )
        if index not in observed:
            raise MissingVariableError(
                f"the observations have no variable {index!r}; add one, or name it: index=..."
            )
        simulated = derive(self._ds[["baseflow", "runoff"]], "baseflow_index")["baseflow_index"]
        scores = self._ds.hbv.evaluate(observed)[["nse"]]
        results = scores.assign(baseflow_index=simulated).assign_attrs(self._ds.attrs).compute()
        return draw(results, observed[index], **options)

    def evapotranspiration(
        self, product: xr.Dataset | xr.DataArray, *, time: slice | None = None, **options: Any
    ) -> ndarray:
        """Against a product of it, in time and in space; see :func:`hydroxr.plot.evapotranspiration`.

        ``product`` and ``time`` are those of :func:`hydroxr.compare.evapotranspiration`.
        """
        from .compare import evapotranspiration
        from .plot import evapotranspiration as draw

        compared = evapotranspiration(self._ds, product, time).compute()
        model = self._ds.attrs.get("hydroxr_model", "")
        return draw(compared.assign_attrs(hydroxr_model=model), **options)

    def dynamic_parameters(self, **options: Any) -> ndarray:
        """Parameters that vary from day to day; see :func:`hydroxr.plot.dynamic_parameters`."""
        from .plot import dynamic_parameters

        return dynamic_parameters(self._ds, **options)
