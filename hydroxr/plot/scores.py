"""Distributions of metrics over the cells, skill by lead, and reliability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..errors import DimensionError
from .runs import Group, Results, axis_label, groups
from .style import COLUMN, OTHER_COLOURS, fonts, lines_of, matplotlib_part, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Metrics with a best value of 1, of which values below 0 matter little.
UP_TO_ONE = ("nse", "kge", "kge_2012", "log_nse", "r")
IN_PERCENT = ("flv", "fhv", "pbias")  # the best value is 0
_ROW = 0.19  # inches per row of the legend
_LETTERS = 34  # per row of the legend
_SHARES = np.linspace(0, 1, 501)


def cdf(
    results: Results,
    metric: str = "nse",
    *,
    limits: tuple[float, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the cumulative distribution of a metric over the cells, one line per model.

    The legend states each model's median. Runs of one model with several seeds give one line, the mean of
    their distributions at each share of the cells, on a band from the lowest to the highest; the legend then
    states the mean of their medians. With several splits, lines are solid in time, dashed in ungauged basins
    (PUB) and dotted in ungauged regions (PUR).

    Parameters
    ----------
    results
        Dataset with the metric ``(run, basin)``, and ``model``, ``symbol`` and ``split`` as optional
        coordinates of ``run``; or the metrics of one simulation, as :meth:`ds.hbv.evaluate` returns them; or
        a dict of these by name. A DataArray is the metric itself.
    metric
        Variable to draw: ``"nse"``, ``"kge"``, ``"flv"``, ...
    limits
        Limits of the horizontal axis. Default: 0 to 1 for NSE and similar metrics, where lines begin at the
        share of cells below 0; -100 to 100 % for biases; otherwise the range of the middle 96 %.
    axes
        Axes to draw on. Default: a new figure as wide as a journal's column, 8.5 cm.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingVariableError
        If ``results`` has no variable ``metric``.
    EmptySelectionError
        If there are no runs, or a model has no value in any cell.
    TypeError
        If ``results`` is none of the types above.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> cdf({"δn": delta.hbv.evaluate(ds), "LSTM": lstm.hbv.evaluate(ds)}, "kge")  # doctest: +SKIP
    """
    found = groups(results, metric)
    plt = matplotlib_part("pyplot")
    with fonts():
        new = None
        if axes is None:
            new, axes = plt.subplots(figsize=(COLUMN, COLUMN), layout="constrained")
        assert axes is not None
        for group in found:
            _draw_group(axes, group, ".1f" if metric in IN_PERCENT else ".3f")
        axes.set_xlim(limits if limits is not None else _limits(found, metric))
        axes.set_ylim(0, 1)
        axes.set_xlabel(_label(results, metric))
        counts = {int(np.isfinite(group.values).sum(axis=1).max()) for group in found}
        axes.set_ylabel("share of the cells" + (f" (of {counts.pop()})" if len(counts) == 1 else ""))
        legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2)
        if new is not None:
            rows = sum(text.get_text().count("\n") + 1 for text in legend.get_texts())
            new.set_figheight(COLUMN * 0.85 + _ROW * rows)
        tidy(axes)
        axes.grid(axis="x", color="0.88", linewidth=0.6)
    return axes


def skill_by_lead(skill: xr.DataArray | Mapping[str, xr.DataArray], *, axes: Axes | None = None) -> Axes:
    """Draw a score of forecasts against their lead: the median over the cells, and the middle half as a band.

    Parameters
    ----------
    skill
        A score ``(lead, ...)``, such as ``hx.metrics.nse(ahead["streamflow"], observed, dim="init")``; or a
        dict of these by name, for a legend.
    axes
        Axes to draw on. Default: a new figure as wide as a journal's column, 8.5 cm.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DimensionError
        If a score has no dimension ``lead``.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> skill_by_lead({"analysed": with_analysis, "plain": without})  # doctest: +SKIP
    """
    by_name = dict(skill) if isinstance(skill, Mapping) else {"": skill}
    axes = _column(axes)
    with fonts():
        for score in by_name.values():
            if "lead" not in score.dims:
                raise DimensionError(f"the score has dimensions {score.dims}; expected 'lead' among them.")
        leads = _draw_medians(axes, by_name, "lead", markersize=3.5, alpha=0.15)
        if any(by_name):
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderaxespad=0.2)
        axes.set_xticks(leads)
        axes.set_xlabel("lead (days)")
        axes.set_ylabel(axis_label(next(iter(by_name.values()))))
        tidy(axes)
    return axes


def _draw_medians(
    axes: Axes, by_name: Mapping[str, xr.DataArray], dim: str, markersize: float, alpha: float
) -> np.ndarray:
    """Draw medians against ``dim``, and the middle half as a band; return the last positions drawn."""
    for (name, array), colour in zip(by_name.items(), OTHER_COLOURS, strict=False):
        values = array.transpose(dim, ...).values.reshape(array.sizes[dim], -1)
        low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=1)
        at = array[dim].values
        axes.plot(at, middle, color=colour, marker="o", markersize=markersize, linewidth=1.4, label=name)
        if values.shape[1] > 1:
            axes.fill_between(at, low, high, color=colour, alpha=alpha, linewidth=0)
    return np.asarray(at)


def reliability(
    observed_share: xr.DataArray | Mapping[str, xr.DataArray], *, axes: Axes | None = None
) -> Axes:
    """Draw a reliability diagram of quantiles: the share of observations below each, against its probability.

    A calibrated distribution lies on the diagonal. A line below it at low and above it at high probabilities
    is that of a distribution that is too wide; the other way round, it is too narrow.

    Parameters
    ----------
    observed_share
        ``(quantile, ...)``, from :func:`hydroxr.metrics.reliability`; or a dict of these by name. The median
        over all other dimensions is drawn, and the middle half as a band.
    axes
        Axes to draw on. Default: a new figure as wide as a journal's column, 8.5 cm.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DimensionError
        If there is no dimension ``quantile``.
    ImportError
        If matplotlib is not installed.
    """
    by_name = dict(observed_share) if isinstance(observed_share, Mapping) else {"": observed_share}
    axes = _column(axes)
    with fonts():
        axes.plot([0, 1], [0, 1], color="0.4", linewidth=0.8, linestyle="--", label="calibrated")
        for share in by_name.values():
            if "quantile" not in share.dims:
                raise DimensionError(f"dimensions are {share.dims}; expected 'quantile' among them.")
        _draw_medians(axes, by_name, "quantile", markersize=3, alpha=0.2)
        axes.legend(frameon=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_xlabel("forecast probability of a lower value")
        axes.set_ylabel("observed share of lower values")
        tidy(axes)
    return axes


def _column(axes: Axes | None) -> Axes:
    """The given Axes, or those of a new figure as wide as a column."""
    if axes is not None:
        return axes
    with fonts():
        made: Axes = matplotlib_part("pyplot").subplots(figsize=(COLUMN, 0.8 * COLUMN), layout="constrained")[
            1
        ]
    return made


def _distribution(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorted values, and the share of values not above each; both ``(value,)``."""
    known = np.sort(values[np.isfinite(values)])
    return known, np.arange(1, known.size + 1) / known.size


def _draw_group(axes: Axes, group: Group, digits: str) -> None:
    runs = [row for row in group.values if np.isfinite(row).any()]
    median = np.mean([np.nanmedian(row) for row in runs])
    label = f"{group.label}: median {median:{digits}}" if group.label else f"median {median:{digits}}"
    label = lines_of(label + (f" ({len(runs)} seeds)" if len(runs) > 1 else ""), _LETTERS)
    if len(runs) == 1:
        places, shares = _distribution(runs[0])
        if places.size == 1:  # a step is visible only with both ends
            places, shares = np.repeat(places, 2), np.array([0.0, 1.0])
        axes.plot(
            *(places, shares),
            color=group.colour,
            linestyle=group.line,
            drawstyle="steps-post",
            linewidth=1.4,
            label=label,
        )
        return
    curves = np.array([np.nanquantile(row, _SHARES) for row in runs])
    axes.fill_betweenx(
        _SHARES, curves.min(axis=0), curves.max(axis=0), color=group.colour, alpha=0.25, linewidth=0
    )
    axes.plot(
        *(curves.mean(axis=0), _SHARES), color=group.colour, linestyle=group.line, linewidth=1.4, label=label
    )


def _limits(found: list[Group], metric: str) -> tuple[float, float]:
    if metric in UP_TO_ONE:
        return 0.0, 1.0
    if metric in IN_PERCENT:
        return -100.0, 100.0
    everything = np.concatenate([group.values.ravel() for group in found])
    low, high = np.nanquantile(everything, [0.02, 0.98])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)


def _label(results: Results, metric: str) -> str:
    first = results if isinstance(results, xr.Dataset | xr.DataArray) else next(iter(results.values()))
    return axis_label(first[metric] if isinstance(first, xr.Dataset) else first)
