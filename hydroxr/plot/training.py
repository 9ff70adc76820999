"""The course of a training: loss, validation, learning rate; and what a search found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..errors import DimensionError, MissingVariableError
from .series import displayed
from .style import COLOURS, FAINT, OTHER_COLOURS, WIDTH, fonts, lines_of, matplotlib_part, panels_of, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3  # panels of a search beside each other
_LOGARITHMIC = 20  # an option whose values span this factor has a logarithmic axis
_LETTERS = 12  # in a line of a label of a choice
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


def search(
    trials: xr.Dataset, score: str = "nse", *, axes: Sequence[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Draw a score of the trials of a search against each option that differs between them.

    Each trial has one point per period. Those that ended early are hollow; the best trial has a ring.

    Parameters
    ----------
    trials
        What :func:`hydroxr.search` returns.
    score
        Variable ``(trial, period)`` to draw.
    axes
        As many Axes as there are options that differ. Default: a new figure.

    Returns
    -------
    numpy.ndarray
        The Axes ``(option,)``, in the order of the options.

    Raises
    ------
    MissingVariableError
        If there is no such score, or no rank of the trials.
    DimensionError
        If it has other dimensions than ``trial`` and ``period``.
    ValueError
        If the number of ``axes`` is not that of the options that differ.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> search(hx.search(ds, {"hidden": [64, 128]}, time=..., periods=...))  # doctest: +SKIP
    """
    for name in (score, "rank", "ended_early"):
        if name not in trials:
            raise MissingVariableError(
                f"the trials have no {name!r}, only {sorted(map(str, trials.variables))}; expected what "
                "hx.search returns."
            )
    if set(trials[score].dims) != {"trial", "period"}:
        raise DimensionError(f"{score!r} has dimensions {trials[score].dims}; expected ('trial', 'period').")
    options = [str(name) for name, values in trials.coords.items() if values.dims == ("trial",)]
    differ = [name for name in options if name not in ("trial", "rank") and len(np.unique(trials[name])) > 1]
    differ = differ or ["trial"]
    plt = matplotlib_part("pyplot")
    with fonts():
        if axes is None:
            columns = min(_COLUMNS, len(differ))
            rows = -(-len(differ) // columns)
            panels = plt.subplots(
                rows,
                columns,
                figsize=(WIDTH, WIDTH / 3 * rows),
                sharey=True,
                squeeze=False,
                layout="constrained",
            )[1].ravel()
            for empty in panels[len(differ) :]:
                empty.remove()
            axes = panels[: len(differ)]
        axes = panels_of(axes, len(differ))
        for each, name in zip(axes, differ, strict=True):
            _draw_option(each, trials, name, score)
        axes[0].set_ylabel(f"median {score.replace('_', ' ').upper()}")
        axes[0].legend(loc="best", frameon=False)
    return axes


def _draw_option(axes: Axes, trials: xr.Dataset, name: str, score: str) -> None:
    """Draw a score against one option: numbers along an axis, other values as choices side by side."""
    values = trials[name].values
    is_number = values.dtype.kind in "iuf"
    if is_number:
        places = values.astype(float)
        if places.min() > 0 and places.max() >= _LOGARITHMIC * places.min():
            axes.set_xscale("log")
    else:
        choices, places = np.unique(values, return_inverse=True)
        axes.set_xticks(range(len(choices)), [lines_of(str(each) or "none", _LETTERS) for each in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
    early = trials["ended_early"].values
    for place, period in enumerate(trials["period"].values):
        colour = OTHER_COLOURS[place % len(OTHER_COLOURS)]
        scores = trials[score].sel(period=period).values
        look: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "markersize": 4,
            "markeredgecolor": colour,
        }
        axes.plot(places[~early], scores[~early], color=colour, label=str(period), **look)
        axes.plot(places[early], scores[early], color="none", **look)
    best = trials["rank"].values == 1
    ring: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 9, "markerfacecolor": "none"}
    axes.plot(
        np.repeat(places[best], trials.sizes["period"]),
        trials[score].values[best].ravel(),
        color=FAINT,
        **ring,
    )
    axes.set_xlabel(name.replace("_", " "))
    tidy(axes)


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
