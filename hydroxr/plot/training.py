"""Pictures of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import DimensionError, MissingVariableError
from .series import displayed
from .style import COLOURS, WIDTH, fonts, matplotlib_part, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMOOTH = 50  # parts of a training over which the loss is averaged, so that its course is seen


def loss(history: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw the loss of a training over its iterations.

    Parameters
    ----------
    history
        With ``loss`` ``(iteration,)``.
    axes
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingVariableError
        There is no ``loss``.
    DimensionError
        ``loss`` has other dimensions than ``iteration``.
    ImportError
        There is no matplotlib.
    """
    values = _series(history, "loss")
    plt = matplotlib_part("pyplot")
    with fonts():
        if axes is None:
            axes = plt.subplots(figsize=(WIDTH, WIDTH / 2.2), layout="constrained")[1]
        assert axes is not None
        axes.plot(
            values["iteration"].values, values.values, color=COLOURS["snow_liquid_water"], linewidth=1.0
        )
        axes.set_xlabel("iteration")
        units = values.attrs.get("units", "1")
        axes.set_ylabel("loss" if units == "1" else f"loss ({displayed(units)})")
        axes.margins(x=0)
        tidy(axes)
    return axes


def history(history: xr.Dataset, *, axes: Sequence[Axes] | np.ndarray | None = None) -> np.ndarray:
    """Draw the course of a training: its loss, and below the validation or else the learning rate.

    A line through the loss, which differs from batch to batch, is its mean over a fiftieth of the
    training. The best validation, whose weights the model has, is marked.

    Parameters
    ----------
    history
        Of a model: ``model.history``.
    axes
        Where to draw, two; by default a new figure.

    Returns
    -------
    numpy.ndarray
        The Axes ``(2,)``, from top to bottom.

    Raises
    ------
    MissingVariableError
        There is no ``loss``, or neither ``validation_nse`` nor ``learning_rate``.
    DimensionError
        They have other dimensions than ``iteration``.
    ValueError
        The number of ``axes`` is not two.
    ImportError
        There is no matplotlib.

    Examples
    --------
    >>> history(model.history)  # doctest: +SKIP
    """
    values = _series(history, "loss")
    below = _series(history, "validation_nse" if "validation_nse" in history else "learning_rate")
    plt = matplotlib_part("pyplot")
    with fonts():
        if axes is None:
            size = (WIDTH, WIDTH / 1.7)
            axes = plt.subplots(2, figsize=size, sharex=True, height_ratios=(3, 2), layout="constrained")[1]
        axes = np.ravel(np.asarray(axes, dtype=object))
        if axes.size != 2:
            raise ValueError(f"'axes' has {axes.size} Axes, but 2 panels are to be drawn; give as many.")
        _draw_loss(axes[0], values)
        if below.name == "validation_nse":
            _draw_validation(axes[1], below)
        else:
            axes[1].plot(_iterations(below), below.values, color=COLOURS["upper_zone_storage"], linewidth=1.2)
            axes[1].set_ylabel("learning rate")
        axes[1].set_xlabel("iteration")
        for each in axes:
            each.margins(x=0.01)
            tidy(each)
        axes[0].figure.align_ylabels()
    return axes


def _draw_loss(axes: Axes, values: xr.DataArray) -> None:
    """Each batch's, faint, and their running mean; batches that were left out have none."""
    iterations, numbers = _iterations(values), values.values.astype(float)
    axes.plot(iterations, numbers, color=COLOURS["snowfall"], linewidth=0.7, label="each batch")
    width = max(1, len(numbers) // _SMOOTH)
    valid = np.isfinite(numbers)
    sums = np.convolve(np.where(valid, numbers, 0.0), np.ones(width), "valid")
    counts = np.convolve(valid, np.ones(width), "valid")
    mean = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    label = f"mean of {width}" if width > 1 else "loss"
    place = (width - 1) // 2
    axes.plot(
        iterations[place : place + len(mean)],
        mean,
        color=COLOURS["snow_liquid_water"],
        linewidth=1.4,
        label=label,
    )
    units = values.attrs.get("units", "1")
    axes.set_ylabel("loss" if units == "1" else f"loss ({displayed(units)})")
    axes.legend(loc="upper right", frameon=False, ncols=2)


def _draw_validation(axes: Axes, values: xr.DataArray) -> None:
    """A point a validation; -inf, of a simulation that failed, has none."""
    known = np.isfinite(values.values)
    iterations, numbers = _iterations(values)[known], values.values[known]
    axes.plot(
        iterations, numbers, color=COLOURS["lower_zone_storage"], linewidth=1.2, marker="o", markersize=3
    )
    if len(numbers):
        best = int(np.argmax(numbers))
        label = f"best: {numbers[best]:.3f} after {iterations[best]} iterations"
        axes.plot(
            iterations[best],
            numbers[best],
            color=COLOURS["streamflow"],
            linestyle="none",
            marker="o",
            markersize=6,
            label=label,
        )
        axes.legend(loc="lower right", frameon=False)
    axes.set_ylabel("validation: median NSE")


def _iterations(values: xr.DataArray) -> np.ndarray:
    numbers: np.ndarray = values["iteration"].values
    return numbers


def _series(history: xr.Dataset, name: str) -> xr.DataArray:
    """One training's values over the iterations."""
    if name not in history:
        raise MissingVariableError(
            f"the history has no variable {name!r}, only {sorted(map(str, history.data_vars))}; "
            "give the Dataset that the training wrote."
        )
    values = history[name].squeeze()
    if values.dims != ("iteration",):
        raise DimensionError(
            f"{name!r} has dimensions {history[name].dims}; expected ('iteration',). Select one training."
        )
    return values
