"""Simulated evapotranspiration against an independent estimate, in time and in space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..conventions.variables import FLUX
from ..errors import EmptySelectionError, MissingVariableError
from ..metrics.alignment import require_same_units
from .runs import Group, groups, need, one_run, same_cells
from .series import displayed
from .style import (
    MODEL_COLOURS,
    PAGE,
    fonts,
    lines_of,
    matplotlib_part,
    panels_of,
    printed_length,
    scatter,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTERS = 34  # per line below the boxes
_WATER_BALANCE = ("precipitation", "streamflow_observed")
_COMPARED = {"simulated": "evapotranspiration", "r": "et_correlation"}
_HEIGHT = 3.3  # inches


def evapotranspiration(
    results: xr.Dataset | Mapping[str, xr.Dataset],
    reference: str | xr.DataArray | None = None,
    *,
    run: str | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """Compare simulated evapotranspiration with another estimate, in time and in space.

    The left panel has one box per model for the correlation in time over the cells: median, quartiles, and
    whiskers at 5 and 95 %. Correlations of a model's seeds are averaged per cell. The right panel compares
    long-term means of one model with the estimate. Without ``et_correlation`` there is no left panel.

    Parameters
    ----------
    results
        Dataset with ``evapotranspiration`` (long-term mean) and ``et_correlation`` (in time),
        ``(run, basin)`` or ``(basin,)``; or the result of :func:`hydroxr.compare.evapotranspiration`, which
        includes the estimate; or a dict of several of these by model.
    reference
        Long-term mean of the other estimate ``(basin,)``: a variable of the results, or a DataArray in the
        units of the simulation. Default: the estimate of the comparison, or else the observed water balance,
        ``precipitation`` minus ``streamflow_observed`` of the results.
    run
        A label of ``run``, or a model, of which the mean over its seeds is drawn on the right. Required if
        there are several models.
    axes
        Axes to draw on, one per panel. Default: a new figure 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``, from left to right.

    Raises
    ------
    MissingVariableError
        If the results lack a variable.
    DimensionError
        If there are several models and ``run`` does not choose one.
    CoordinateError
        If no run or model has the name ``run``, or ``reference`` lacks a basin.
    UnitsError
        If the two estimates have different units.
    EmptySelectionError
        If fewer than two cells have both estimates. An LSTM simulates no evapotranspiration.
    ValueError
        If the number of ``axes`` differs from the number of panels.
    ImportError
        If matplotlib is not installed.
    """
    results = _named(results)
    if reference is None and "reference" in results:
        reference = "reference"
    need(results, ["evapotranspiration"], "the figure of evapotranspiration")
    chosen, symbol = one_run(results[["evapotranspiration"]], run)
    simulated = chosen["evapotranspiration"]
    estimate, called = _reference(results, reference, run)
    if isinstance(reference, xr.DataArray):
        estimate = same_cells(estimate, simulated)
    require_same_units(simulated, estimate)
    x, y = (np.ravel(each.values).astype(float) for each in (estimate, simulated))
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 2:
        raise EmptySelectionError(
            f"{known.sum()} cells have a simulated evapotranspiration and another estimate; expected at "
            "least two. An LSTM has none: choose a δ model, run=..."
        )
    boxes = _with_values(results) if "et_correlation" in results else []
    units = displayed(str(simulated.attrs.get("units", FLUX)))
    plt = matplotlib_part("pyplot")
    with fonts():
        if axes is None:
            share = (1 + bool(boxes)) / 2
            options = {"squeeze": False, "layout": "constrained"}
            axes = plt.subplots(1, 1 + bool(boxes), figsize=(PAGE * share, _HEIGHT), **options)[1]
        axes = panels_of(axes, 1 + bool(boxes))
        if boxes:
            _draw_boxes(axes[0], boxes)
            axes[0].set_title("(a) correlation in time", loc="left")
        labels = (
            f"{lines_of(called, 30)}\n({units})",
            f"simulated ET{f' of {symbol}' if symbol else ''}\n({units})",
        )
        title = ("(b) " if boxes else "") + "long-term means"
        scatter(axes[-1], x[known], y[known], *labels, title=title, colour=MODEL_COLOURS["dn-nnr"])
        axes[-1].set_title(axes[-1].get_title(loc="left").replace("means: ", "means:\n"), loc="left")
    return axes


def _named(results: xr.Dataset | Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Bring one comparison, or several by name, to the names and dimensions of results."""
    if isinstance(results, xr.Dataset):
        known = "simulated" in results and "evapotranspiration" not in results
        return results.rename(_COMPARED) if known else results
    if not results:
        raise EmptySelectionError("no comparison was given; expected at least one.")
    parts = [_named(each)[[*_COMPARED.values(), "reference"]] for each in results.values()]
    parts = [part.drop_vars([name for name in part.coords if part[name].ndim == 0]) for part in parts]
    runs = xr.concat(parts, "run", join="exact", combine_attrs="override", data_vars="all", coords="minimal")
    return runs.assign_coords(run=list(results))


def _reference(
    results: xr.Dataset, reference: str | xr.DataArray | None, run: str | None
) -> tuple[xr.DataArray, str]:
    """The other estimate's long-term means ``(basin,)``, and their label."""
    if isinstance(reference, xr.DataArray):
        return reference, str(reference.attrs.get("long_name", reference.name or "estimated ET"))
    if isinstance(reference, str):
        need(results, [reference], "the figure of evapotranspiration")
        estimate = (
            one_run(results[[reference]], run)[0][reference]
            if _runs(results[reference])
            else results[reference]
        )
        return estimate, str(estimate.attrs.get("long_name", reference)).replace("_", " ")
    absent = [name for name in _WATER_BALANCE if name not in results]
    if absent:
        raise MissingVariableError(
            f"the water balance needs precipitation and observed streamflow, but the results have no "
            f"{' and '.join(map(repr, absent))}. Add them, or give another estimate: reference=..."
        )
    balance = results[list(_WATER_BALANCE)]
    if any(_runs(array) for array in balance.data_vars.values()):
        balance = one_run(balance, run)[0]
    left = balance["precipitation"] - balance["streamflow_observed"]
    left.attrs = {"units": balance["precipitation"].attrs.get("units", FLUX)}
    return left, "precipitation minus observed streamflow"


def _runs(array: xr.DataArray) -> bool:
    return "run" in array.dims


def _with_values(results: xr.Dataset) -> list[Group]:
    """The groups of runs with any evapotranspiration."""
    values = results["et_correlation"]
    if _runs(values):
        values = values.isel(run=np.flatnonzero(values.notnull().any([d for d in values.dims if d != "run"])))
    return groups(values, "et_correlation")


def _draw_boxes(axes: Axes, boxes: list[Group]) -> None:
    samples = [group.values.mean(axis=0) for group in boxes]
    samples = [sample[np.isfinite(sample)] for sample in samples]
    drawn = axes.boxplot(
        samples,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        widths=0.6,
        medianprops={"color": "black", "linewidth": 1.2},
    )
    for group, patch in zip(boxes, drawn["boxes"], strict=True):
        patch.set(facecolor=group.colour, alpha=0.8, linewidth=0.7)
    crowded = max(printed_length(group.label) for group in boxes) > _LETTERS // len(boxes)
    labels = [
        lines_of(f"{group.label} {np.median(sample):.2f}", 20)
        if crowded
        else f"{group.label}\n{np.median(sample):.2f}".strip()
        for group, sample in zip(boxes, samples, strict=True)
    ]
    turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    axes.set_xticks(range(1, len(boxes) + 1), labels, **turned)
    axes.set_ylabel("correlation of ET (median below)")
    axes.set_ylim(top=1)
    tidy(axes)
