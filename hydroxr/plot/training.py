"""The course of a training: loss, validation, learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import DimensionError, MissingVariableError
from .series import displayed
from .style import COLOURS, WIDTH, fonts, matplotlib_part, panels_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SMOOTH = 50  # the running mean of the loss spans this fraction of the training, 1/50


def loss(history: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw the loss of a training.

    Parameters
    ----------
    history
        Dataset with ``loss`` ``(iteration,)``, such as ``model.history``.
    axes
        Axes to draw on. Default: a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingVariableError
        If there is no ``loss``.
    DimensionError
        If ``loss`` has other dimensions than ``iteration``.
    ImportError
        If matplotlib is not installed.
    """
    values = _series(history, "loss")
    plt = matplotlib_part("pyplot")
    with fonts():
        if axes is None:
            axes = plt.subplots(figsize=(WIDTH, WIDTH / 2.2), layout="constrained")[1]
        assert axes is not None
        axes.plot(_iterations(values), values.values, color=COLOURS["snow_liquid_water"], linewidth=1.0)
        axes.set_xlabel("iteration")
        axes.set_ylabel(_loss_label(values))
        axes.margins(x=0)
        tidy(axes)
    return axes


def history(history: xr.Dataset, *, axes: Sequence[Axes] | np.ndarray | None = None) -> np.ndarray:
    """Draw the loss of a training above its validation or, without one, its learning rate.

    The loss differs from batch to batch, so a second line shows its running mean over a fiftieth of the
    training. A marker shows the best validation, from which the model has its weights.

    Parameters
    ----------
    history
        ``model.history``: a Dataset with ``loss`` and ``validation_nse`` or ``learning_rate``.
    axes
        Two Axes to draw on. Default: a new figure.

    Returns
    -------
    numpy.ndarray
        The Axes ``(2,)``, from top to bottom.

    Raises
    ------
    MissingVariableError
        If there is no ``loss``, or neither ``validation_nse`` nor ``learning_rate``.
    DimensionError
        If a variable has other dimensions than ``iteration``.
    ValueError
        If the number of ``axes`` is not two.
    ImportError
        If matplotlib is not installed.

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
        axes = panels_of(axes, 2)
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
    """Draw the loss of each batch and the running mean; skipped batches have no loss."""
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
    axes.set_ylabel(_loss_label(values))
    axes.legend(loc="upper right", frameon=False, ncols=2)


def _draw_validation(axes: Axes, values: xr.DataArray) -> None:
    """Draw one point per validation; -inf marks a failed simulation and is left out."""
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


def _loss_label(values: xr.DataArray) -> str:
    units = values.attrs.get("units", "1")
    return "loss" if units == "1" else f"loss ({displayed(units)})"


def _series(history: xr.Dataset, name: str) -> xr.DataArray:
    """The values of one training ``(iteration,)``."""
    if name not in history:
        raise MissingVariableError(
            f"the history has no variable {name!r}, only {sorted(map(str, history.data_vars))}; "
            "expected the history of a model: model.history."
        )
    values = history[name].squeeze()
    if values.dims != ("iteration",):
        raise DimensionError(
            f"{name!r} has dimensions {history[name].dims}; expected ('iteration',). Select one training."
        )
    return values
