"""``ds.hbv.plot``: the plots of :mod:`hydroxr.plot` for one Dataset. Each method delegates."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import xarray as xr

from . import compare, plot
from .conventions.attributes import MODEL
from .metrics.evaluate import evaluate_simulation
from .plot.baseflow import baseflow_results
from .plot.maps import time_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy import ndarray

    from .plot.geography import Outlines

P = ParamSpec("P")
R = TypeVar("R")


def _as_method(draw: Callable[Concatenate[xr.Dataset, P], R]) -> Callable[Concatenate[Plots, P], R]:
    """A method that draws the accessor's Dataset, with the other parameters and the docstring of ``draw``."""

    def method(self: Plots, *args: P.args, **kwargs: P.kwargs) -> R:
        return draw(self._ds, *args, **kwargs)

    signature = inspect.signature(draw)
    first, *others = signature.parameters.values()
    method.__signature__ = signature.replace(parameters=[first.replace(name="self"), *others])  # type: ignore[attr-defined]
    method.__name__ = draw.__name__
    method.__qualname__ = f"Plots.{draw.__name__}"
    # Remove the entry of the first parameter: its lines up to the next name or section.
    entry = rf"(?<=----------\n){first.name}\n(?:    .*\n|\n(?=    ))+"
    method.__doc__ = re.sub(entry, "", inspect.getdoc(draw) or "", count=1)
    return method


class Plots:
    """Plots of a simulation, or of parameters: ``sim.hbv.plot.hydrograph(ds)``."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    hydrograph = _as_method(plot.hydrograph)
    hydrographs = _as_method(plot.hydrographs)
    storages = _as_method(plot.storages)
    dynamic_parameters = _as_method(plot.dynamic_parameters)

    def cdf(
        self,
        observed: xr.Dataset,
        metric: str = "nse",
        *,
        time: slice | None = None,
        limits: tuple[float, float] | None = None,
        axes: Axes | None = None,
    ) -> Axes:
        """Draw the cumulative distribution of a metric of streamflow over the cells.

        Parameters
        ----------
        observed
            Dataset with observed streamflow.
        metric
            A metric of :meth:`ds.hbv.evaluate`: ``"nse"``, ``"kge"``, ``"flv"``, ...
        time
            Period to evaluate. Default: all days with simulation and observation.
        limits, axes
            See :func:`hydroxr.plot.cdf`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        HydroxrError
            As :meth:`ds.hbv.evaluate` and :func:`hydroxr.plot.cdf`.
        """
        scores = evaluate_simulation(self._ds, observed, time)
        return plot.cdf(scores.assign_attrs(self._ds.attrs), metric, limits=limits, axes=axes)

    def map(
        self,
        name: str,
        *,
        time: slice | None = None,
        borders: Outlines | None = None,
        polygons: Outlines | None = None,
        limits: tuple[float, float] | None = None,
        cmap: str | None = None,
        colourbar: bool = True,
        axes: Axes | None = None,
    ) -> Axes:
        """Draw a map of a variable's mean over time.

        Parameters
        ----------
        name
            Variable to draw, such as ``"evapotranspiration"``.
        time
            Period of the mean. Default: all days.
        borders, polygons, limits, cmap, colourbar, axes
            See :func:`hydroxr.plot.map`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingVariableError
            If the Dataset has no variable ``name``.
        EmptySelectionError
            If there are no days in the period.
        HydroxrError
            As :func:`hydroxr.plot.map`.
        """
        values = time_mean(self._ds, name, time)
        return plot.map(
            values,
            borders=borders,
            polygons=polygons,
            limits=limits,
            cmap=cmap,
            colourbar=colourbar,
            axes=axes,
        )

    def baseflow_index(
        self,
        observed: xr.Dataset,
        index: str = "baseflow_index",
        *,
        run: str | None = None,
        threshold: float | None = 0.5,
        borders: Outlines | None = None,
        polygons: Outlines | None = None,
        axes: ndarray | None = None,
    ) -> ndarray:
        """Draw maps of the observed and the simulated baseflow index, and a scatter plot of both.

        The simulated index is that of whole years, counted from the first day.

        Parameters
        ----------
        observed
            Dataset with observed streamflow, for NSE, and the baseflow index of a separation of it.
        index
            The variable of ``observed`` with this index.
        run, threshold, borders, polygons, axes
            See :func:`hydroxr.plot.baseflow_index`.

        Returns
        -------
        numpy.ndarray
            The Axes ``(row, column)``.

        Raises
        ------
        MissingVariableError
            If the simulation lacks ``baseflow`` or ``runoff``, or ``observed`` the index.
        EmptySelectionError
            If the simulation has no whole year.
        HydroxrError
            As :func:`hydroxr.plot.baseflow_index`.
        """
        results = baseflow_results(self._ds, observed, index)
        return plot.baseflow_index(
            results,
            observed[index],
            run=run,
            threshold=threshold,
            borders=borders,
            polygons=polygons,
            axes=axes,
        )

    def evapotranspiration(
        self,
        product: xr.Dataset | xr.DataArray,
        *,
        time: slice | None = None,
        run: str | None = None,
        axes: ndarray | None = None,
    ) -> ndarray:
        """Compare simulated evapotranspiration with a product, in time and in space.

        Parameters
        ----------
        product, time
            See :func:`hydroxr.compare.evapotranspiration`.
        run, axes
            See :func:`hydroxr.plot.evapotranspiration`.

        Returns
        -------
        numpy.ndarray
            The Axes ``(panel,)``.

        Raises
        ------
        HydroxrError
            As :func:`hydroxr.compare.evapotranspiration` and :func:`hydroxr.plot.evapotranspiration`.
        """
        compared = compare.evapotranspiration(self._ds, product, time).compute()
        model = self._ds.attrs.get(MODEL, "")
        return plot.evapotranspiration(compared.assign_attrs({MODEL: model}), run=run, axes=axes)
