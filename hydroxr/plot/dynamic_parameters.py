"""Parameters that vary from day to day, component by component."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import DimensionError, EmptySelectionError, MissingVariableError
from ..physics.parameters import PARAMETERS
from .series import cell_title, displayed, stamps_of
from .style import FAINT, PAGE, fonts, matplotlib_part, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"BETA": "#0072B2", "BETAET": "#D55E00"}  # the paper's two; blue and red there
_OTHER = "#009E73"
_MOST = 6  # cells that fit on a page
_HEIGHT = 1.5  # inches of a panel


def dynamic_parameters(
    parameters: xr.Dataset,
    *,
    time: slice | str | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """Draw the parameters that vary in time: all components in grey, the middle one in colour.

    The middle one is the component whose mean over the days drawn is the median of these means; where the
    number of components is even, the lower of the two in the middle.

    Parameters
    ----------
    parameters
        Of one or a few cells, as :meth:`ds.hbv.parameters` gives them; those with the dimensions ``time``
        and ``component`` are drawn.
    time
        The period to draw: ``slice("2001-10-01", "2003-09-30")`` or ``"2002"``. All if None.
    axes
        Where to draw ``(cell, parameter)``; by default a new figure, 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(cell, parameter)``.

    Raises
    ------
    MissingVariableError
        No parameter varies in time.
    DimensionError
        There are more cells than fit on a page.
    EmptySelectionError
        There are no days in the period.
    TimeAxisError
        Time has no dates that can be drawn.
    ValueError
        The shape of ``axes`` is not that of the panels.
    ImportError
        There is no matplotlib.

    Examples
    --------
    >>> chosen = ds.isel(basin=[3, 70, 400])  # doctest: +SKIP
    >>> dynamic_parameters(chosen.hbv.parameters(model), time="2002")  # doctest: +SKIP
    """
    names = [name for name in PARAMETERS if name in parameters and "time" in parameters[name].dims]
    if not names:
        raise MissingVariableError(
            "no parameter has the dimension 'time', so none is dynamic; expected some of a model such as "
            "hx.DeltaHBV(dynamic=('BETA', 'BETAET'))."
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
        axes = np.asarray(axes, dtype=object)
        if axes.size != len(cells) * len(names):
            raise ValueError(f"'axes' has the shape {axes.shape}; expected {shape}, (cell, parameter).")
        axes = axes.reshape(shape)
        for row, cell in enumerate(cells):
            for column, name in enumerate(names):
                _draw(axes[row, column], cell, name)
            axes[row, 0].set_title(cell_title(cell), loc="left")
        _legend(axes, own=own)
    return axes


def _legend(axes: np.ndarray, *, own: bool) -> None:
    """One for all panels: above a figure of ours, within the first of others' Axes."""
    grey, middles = axes[0, 0].lines[0], [each.lines[-1] for each in axes[0]]
    entries = {"the others": grey} if len(axes[0, 0].lines) > 1 else {}
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
    """The component ``(time, component)`` whose temporal mean is the (lower) median of all."""
    order = np.argsort(values.mean(axis=0), kind="stable")
    return int(order[(order.size - 1) // 2])


def _cells(parameters: xr.Dataset, time: slice | str | None) -> list[xr.Dataset]:
    """A Dataset a cell ``(time, component)``, in memory."""
    parameters = parameters if "component" in parameters.dims else parameters.expand_dims("component")
    space = [dim for dim in parameters.dims if dim not in ("time", "component")]
    sizes = {dim: parameters.sizes[dim] for dim in space}
    count = int(np.prod(list(sizes.values()), dtype=int))
    if not 0 < count <= _MOST:
        raise DimensionError(
            f"the parameters are of {count} cells, {sizes}; expected 1 to {_MOST}. Select some: "
            f"parameters.isel({space[0]}=[...])."
        )
    if time is not None:
        parameters = parameters.sel(time=time if isinstance(time, slice) else slice(time, time))
    if parameters.sizes["time"] == 0:
        raise EmptySelectionError(f"the parameters have no days in {time!r}; select a period they cover.")
    parameters = parameters.transpose(*space, "time", "component").compute()
    places = [dict(zip(space, place, strict=True)) for place in np.ndindex(*sizes.values())]
    return [parameters.isel(place) for place in places]


def _draw(axes: Axes, cell: xr.Dataset, name: str) -> None:
    dates = matplotlib_part("dates")
    stamps, values = stamps_of(cell, "parameters"), cell[name].values
    middle = middle_component(values)
    others = np.delete(values, middle, axis=1)
    if others.size:
        lines = axes.plot(stamps, others, color=FAINT, linewidth=0.5, alpha=0.7)
        lines[0].set_label("the others")
    colour = _COLOURS.get(name, _OTHER)
    axes.plot(
        stamps,
        values[:, middle],
        color=colour,
        linewidth=1.1,
        label=f"middle of {values.shape[1]} components",
    )
    row = PARAMETERS[name]
    symbol = row.symbol.replace("θ_", "")
    units = displayed(row.units)
    text = f"{symbol}  ({name})" if symbol != name else name
    axes.set_ylabel(text if units == "1" else f"{text}\n({units})")
    axes.set_xlim(stamps[0], stamps[-1] if len(stamps) > 1 else stamps[0] + np.timedelta64(1, "D"))
    locator = dates.AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    tidy(axes)
