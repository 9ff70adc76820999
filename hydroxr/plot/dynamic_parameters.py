"""Daily values of dynamic parameters, per component."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..conventions.dimensions import space_of
from ..errors import DimensionError, MissingVariableError
from ..physics.parameters import ALL_PARAMETERS
from .series import cell_title, displayed, select_period, stamps_of
from .style import FAINT, PAGE, date_axis, fonts, matplotlib_part, panels_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"BETA": "#0072B2", "BETAET": "#D55E00"}  # the paper's two dynamic parameters, blue and red there
_OTHER = "#009E73"
_MOST = 6  # cells per page
_HEIGHT = 1.5  # inches per panel


def dynamic_parameters(
    parameters: xr.Dataset,
    *,
    time: slice | str | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the parameters that vary in time: one component in colour, the others in grey.

    The coloured component is the median one: its mean over the days drawn is the median of the components'
    means, or the lower of the two middle ones.

    Parameters
    ----------
    parameters
        Parameters of one or a few cells, as :meth:`ds.hbv.parameters` returns them. Those with the dimension
        ``time`` are drawn.
    time
        Period to draw: ``slice("2001-10-01", "2003-09-30")`` or ``"2002"``. Default: all days.
    axes
        Axes to draw on ``(cell, parameter)``. Default: a new figure 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(cell, parameter)``.

    Raises
    ------
    MissingVariableError
        If no parameter varies in time.
    DimensionError
        If there are no cells, or more than 6.
    EmptySelectionError
        If there are no days in the period.
    TimeAxisError
        If time has no dates, or dates that the standard calendar lacks.
    ValueError
        If the number of ``axes`` differs from the number of panels.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> chosen = ds.isel(basin=[3, 70, 400])  # doctest: +SKIP
    >>> dynamic_parameters(chosen.hbv.parameters(model), time="2002")  # doctest: +SKIP
    """
    names = [name for name in ALL_PARAMETERS if name in parameters and "time" in parameters[name].dims]
    if not names:
        raise MissingVariableError(
            "no parameter has the dimension 'time', so none is dynamic; expected parameters of a model "
            "such as hx.DeltaHBV(dynamic=('BETA', 'BETAET'))."
        )
    cells = _cells(parameters[names], time)
    plt = matplotlib_part("pyplot")
    shape = (len(cells), len(names))
    with fonts():
        own = axes is None
        if axes is None:
            size = (PAGE, _HEIGHT * shape[0] + 0.5)
            options = {"figsize": size, "sharex": True, "squeeze": False, "layout": "constrained"}
            axes = plt.subplots(*shape, **options)[1]
        axes = panels_of(axes, *shape)
        for row, cell in enumerate(cells):
            for column, name in enumerate(names):
                _draw(axes[row, column], cell, name)
            axes[row, 0].set_title(cell_title(cell), loc="left")
        _legend(axes, own=own)
    return axes


def _legend(axes: np.ndarray, *, own: bool) -> None:
    """Draw one legend for all panels: above a new figure, or inside the first of the given Axes."""
    grey, middles = axes[0, 0].lines[0], [each.lines[-1] for each in axes[0]]
    entries = {"other components": grey} if len(axes[0, 0].lines) > 1 else {}
    labels = [*entries, middles[0].get_label()]
    tuples = {tuple: matplotlib_part("legend_handler").HandlerTuple(ndivide=None, pad=0.2)}
    place = {"loc": "outside upper right"} if own else {"loc": "upper right"}
    where = axes[0, 0].get_figure() if own else axes[0, 0]
    where.legend(
        *([*entries.values(), tuple(middles)], labels),
        handler_map=tuples,
        frameon=False,
        ncols=2,
        handlelength=1.5 * len(middles),
        **place,
    )


def middle_component(values: np.ndarray) -> int:
    """Index of the component with the median temporal mean (the lower of two), for ``(time, component)``."""
    order = np.argsort(values.mean(axis=0), kind="stable")
    return int(order[(order.size - 1) // 2])


def _cells(parameters: xr.Dataset, time: slice | str | None) -> list[xr.Dataset]:
    """One computed Dataset ``(time, component)`` per cell."""
    parameters = parameters if "component" in parameters.dims else parameters.expand_dims("component")
    # Each member of an ensemble is drawn like a cell.
    space = [dim for dim in parameters.dims if dim == "member" or dim in space_of(parameters)]
    sizes = {dim: parameters.sizes[dim] for dim in space}
    count = int(np.prod(list(sizes.values()), dtype=int))
    if not 0 < count <= _MOST:
        raise DimensionError(
            f"the figure has room for 1 to {_MOST} cells, but there are {count} cells: {sizes}. Select some: "
            f"parameters.isel({space[0]}=[...])."
        )
    parameters = select_period(parameters, time, "parameters")
    parameters = parameters.transpose(*space, "time", "component").compute()
    places = [dict(zip(space, place, strict=True)) for place in np.ndindex(*sizes.values())]
    return [parameters.isel(place) for place in places]


def _draw(axes: Axes, cell: xr.Dataset, name: str) -> None:
    stamps, values = stamps_of(cell, "parameters"), cell[name].values
    middle = middle_component(values)
    others = np.delete(values, middle, axis=1)
    if others.size:
        lines = axes.plot(stamps, others, color=FAINT, linewidth=0.5, alpha=0.7)
        lines[0].set_label("other components")
    colour = _COLOURS.get(name, _OTHER)
    axes.plot(
        stamps,
        values[:, middle],
        color=colour,
        linewidth=1.1,
        label=f"median of {values.shape[1]} components",
    )
    row = ALL_PARAMETERS[name]
    symbol = row.symbol.replace("θ_", "")
    units = displayed(row.units)
    text = f"{symbol}  ({name})" if symbol != name else name
    axes.set_ylabel(text if units == "1" else f"{text}\n({units})")
    last = stamps[-1] if len(stamps) > 1 else stamps[0] + np.timedelta64(1, "D")
    date_axis(axes, stamps[0], last, least=3, most=7)
    tidy(axes)
