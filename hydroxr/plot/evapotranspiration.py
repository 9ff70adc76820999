"""Simulated evapotranspiration against an estimate of it that the model did not see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..conventions.variables import FLUX
from ..errors import EmptySelectionError, MissingVariableError
from ..metrics.alignment import require_same_units
from .runs import Group, groups, need, one_run, same_cells
from .scatter import scatter
from .series import displayed
from .style import MODEL_COLOURS, PAGE, fonts, lines_of, matplotlib_part, printed_length, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTERS = 34  # that fit beneath the boxes
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
    """Draw how the simulated evapotranspiration agrees with another estimate, in time and in space.

    On the left, a box a model, the correlation in time over the cells: median, quartiles, and whiskers to 5
    and 95 %; of a model's seeds the mean in each cell is taken. On the right the long-term means of one model
    against those of the estimate. The left is left out where the results have no ``et_correlation``.

    Parameters
    ----------
    results
        With ``et_correlation`` (in time, of 8-day sums with MOD16A2) and ``evapotranspiration`` (long-term
        mean), ``(run, basin)`` or ``(basin,)``. Or what :func:`hydroxr.compare.evapotranspiration` returns,
        of which ``reference`` then is the estimate; or several such by name of the model.
    reference
        The long-term mean of the other estimate ``(basin,)``, as a variable of the results or a DataArray
        in the units of the simulated; by default what the observed water balance leaves:
        ``precipitation`` less ``streamflow_observed``, of the results.
    run
        Whose long-term means to draw: a label of ``run``, or a model, of which the mean over its seeds is
        drawn; needed where there are several models.
    axes
        Where to draw, as many as there are panels; by default a new figure, 17 cm wide.

    Returns
    -------
    numpy.ndarray
        The Axes ``(panel,)``, from left to right.

    Raises
    ------
    MissingVariableError
        A variable is not there.
    DimensionError, CoordinateError
        There are several models and ``run`` names none, or one that is not there.
    UnitsError
        The two estimates have different units.
    EmptySelectionError
        Fewer than two cells have both: an LSTM has no evapotranspiration.
    ValueError
        The number of ``axes`` is not that of the panels.
    ImportError
        There is no matplotlib.
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
        axes = np.ravel(np.asarray(axes, dtype=object))
        if axes.size != 1 + bool(boxes):
            raise ValueError(f"'axes' has {axes.size} Axes; expected {1 + bool(boxes)}.")
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
    """Comparisons, one or several by name, with the names and the dimension ``run`` of results."""
    if isinstance(results, xr.Dataset):
        known = "simulated" in results and "evapotranspiration" not in results
        return results.rename(_COMPARED) if known else results
    if not results:
        raise EmptySelectionError("there is no comparison to draw; give one or more by name.")
    parts = [_named(each)[[*_COMPARED.values(), "reference"]] for each in results.values()]
    parts = [part.drop_vars([name for name in part.coords if part[name].ndim == 0]) for part in parts]
    runs = xr.concat(parts, "run", join="exact", combine_attrs="override", data_vars="all", coords="minimal")
    return runs.assign_coords(run=list(results))


def _reference(
    results: xr.Dataset, reference: str | xr.DataArray | None, run: str | None
) -> tuple[xr.DataArray, str]:
    """Long-term means ``(basin,)`` that the simulated ones are compared with, and how they are called."""
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
            f"evapotranspiration is compared with precipitation less observed streamflow, and the results "
            f"have no {' and '.join(map(repr, absent))}. Give another estimate: reference=..."
        )
    balance = results[list(_WATER_BALANCE)]
    if any(_runs(array) for array in balance.data_vars.values()):
        balance = one_run(balance, run)[0]
    left = balance["precipitation"] - balance["streamflow_observed"]
    left.attrs = {"units": balance["precipitation"].attrs.get("units", FLUX)}
    return left, "precipitation less observed streamflow"


def _runs(array: xr.DataArray) -> bool:
    return "run" in array.dims


def _with_values(results: xr.Dataset) -> list[Group]:
    """The models that have evapotranspiration at all."""
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
    axes.set_ylabel("correlation of ET (median beneath)")
    axes.set_ylim(top=1)
    tidy(axes)
