"""The table of results, with the values of the paper."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from .runs import MODELS, OWN, SPLITS, chosen_runs, of_paper

# Feng et al. (2022), Table 2: median NSE, spatial correlation of Q2/Q with the BFI of Ladson et al.
# (2013), median temporal correlation of ET with MOD16A2. 671 catchments, test period 1995-2010, Daymet.
PUBLISHED: dict[str, tuple[float | None, float | None, float | None]] = {
    "d1": (0.640, 0.560, 0.770),
    "dn": (0.714, 0.739, 0.779),
    "dn-bt": (0.729, 0.725, 0.801),
    "dn-gt": (0.716, 0.731, 0.842),
    "dn-bt-gt": (0.732, 0.760, 0.844),
    "dn-nnr": (0.723, 0.774, 0.817),
    "lstm": (0.748, None, None),
}
_TITLES = {
    "time": "Trained and tested on the same catchments",
    "ensemble": "Ensembles: the mean of the models of several seeds, on the same catchments",
    "pub": "Ungauged basins: each catchment by a model that was trained without its fold",
    "pur": "Ungauged regions: each catchment by a model that was trained without its region",
}
_SEVERAL_MODELS = "Iterations are those of each model, minutes those of all together."
_PAPER_HIDDEN = 256
_OF_PAPER = (
    " The paper's values are of 671 catchments, these of those with observations in the training period."
)
_NO_ET = (
    "ET: the temporal correlation with MOD16A2 needs that product, which is not part of CAMELS. "
    "`reproduce(..., et=...)`, or `--et FILE`, fills the column."
)
_NO_NLDAS = (
    "NLDAS (the paper's Figure A1) is not done: PET is computed from the range of temperatures, and CAMELS' "
    "NLDAS files have the same temperature as minimum and maximum."
)
# Correlations over the cells with observations, which README and model cards cite:
# name -> simulated variable, observed variable, description.
CORRELATIONS = {
    "r_bfi_l13": ("baseflow_index", "bfi_l13", "ΣQ2/ΣQ with the baseflow index of Ladson et al. (2013)"),
    "r_bfi_usgs": ("baseflow_index", "bfi_usgs", "ΣQ2/ΣQ with the baseflow index of the USGS (GAGES-II)"),
    "r_et_water_balance": (
        "evapotranspiration",
        "et_water_balance",
        "mean evapotranspiration with precipitation less observed streamflow",
    ),
}
_HEADER = (
    "model",
    "seeds",
    "NSE",
    "NSE 25 %",
    "NSE 10 %",
    "KGE",
    "log-NSE",
    "bias %",
    "FLV %",
    "FHV %",
    "r(BFI L13)",
    "r(BFI USGS)",
    "r(ET, P - Q)",
    "r(ET)",
    "iterations",
    "minutes",
)
_PAPER = ("paper: NSE", "paper: r(BFI L13)", "paper: r(ET)")


def summary(results: xr.Dataset) -> xr.Dataset:
    """Medians and correlations over the cells for each run.

    Parameters
    ----------
    results : Dataset, (run, cell)
        Of :func:`hydroxr.reproduction.reproduce`.

    Returns
    -------
    Dataset, (run,)
        ``nse``, ``kge``, ``log_nse``, ``flv``, ``fhv``, ``et_correlation`` (medians, NaN where there is
        none), ``nse_25``, ``nse_10`` (NSE that a quarter, or a tenth, of the cells does not reach), ``bias``
        (median, %),
        ``r_bfi_l13``, ``r_bfi_usgs`` (correlation of ΣQ2/ΣQ with the observed index),
        ``r_et_water_balance`` (of mean evapotranspiration with precipitation less observed streamflow);
        NaN where nothing says what was observed.
    """
    dim = _cell_dimension(results)
    out = {name: results[name].median(dim) for name in ("nse", "kge", "log_nse", "flv", "fhv")}
    for percent in (25, 10):
        out[f"nse_{percent}"] = results["nse"].quantile(percent / 100, dim).drop_vars("quantile")
    out["bias"] = 100 * (results["beta"].median(dim) - 1)
    nothing = xr.full_like(results["nse"].isel({dim: 0}, drop=True), np.nan)
    out["et_correlation"] = results["et_correlation"].median(dim) if "et_correlation" in results else nothing
    with_water_balance = results
    if "streamflow_observed" in results:
        left = results["precipitation"] - results["streamflow_observed"]
        with_water_balance = results.assign(et_water_balance=left)
    for name, (own, other, _) in CORRELATIONS.items():
        if other in with_water_balance:
            out[name] = xr.corr(results[own], with_water_balance[other], dim)
        else:  # shipped results have the correlations over all cells
            known = name in results and results[name].attrs.get("cells") == results.sizes[dim]
            out[name] = results[name] if known else nothing
    return xr.Dataset(out)


def markdown(results: xr.Dataset) -> str:
    """The table of the paper in Markdown: these results and the published values."""
    numbers = summary(results)
    with_paper = of_paper(results["model"].values)
    lines = _head(results, with_paper)
    for split, title in _TITLES.items():
        part = numbers.isel(run=np.flatnonzero(results["split"].values == split))
        if not part.sizes["run"]:
            continue
        published = with_paper and split == "time"  # the paper has this split alone
        header = _HEADER + _PAPER if published else _HEADER
        lines += ["", f"## {title}", *([] if split == "time" else ["", _SEVERAL_MODELS])]
        lines += ["", _row(header), _row("---" for _ in header)]
        for name in (name for name in (*MODELS, *OWN) if name in part["model"].values):
            lines.append(_model_row(part.isel(run=part["model"].values == name), name, published))
    protocols = _protocols(results)
    lines += ["", *protocols] if protocols else []
    done = set(map(str, results["run"].values))
    absent = [run.name for run in chosen_runs(splits=tuple(SPLITS)) if with_paper and run.name not in done]
    notes = [f"Not done: {', '.join(absent)}."] if absent else []
    delta = numbers["model"].values != "lstm"  # an LSTM has none
    if bool(numbers["et_correlation"].isnull().values[delta].any()):
        notes.append(_NO_ET)
    notes += [
        *([_NO_NLDAS] if with_paper else []),
        f"Hardware: {_all_of(results, 'hardware')}.",
        f"Versions: {_all_of(results, 'versions')}.",
    ]
    return "\n".join(lines + [line for note in notes for line in ("", note)]) + "\n"


def _head(results: xr.Dataset, with_paper: bool) -> list[str]:
    """Title, periods and catchments."""
    dim = _cell_dimension(results)
    tested = results["nse"].notnull().any("run")
    zero = int((tested & ~results["flv"].notnull().any("run")).sum())
    without = f" (FLV: without {zero}, whose lowest flows are 0)" if zero else ""
    return [
        f"# {results.attrs.get('title', 'Results')}",
        "",
        f"Trained on {results.attrs.get('training_period', '?')}, tested on "
        f"{results.attrs.get('test_period', '?')}, {results.sizes[dim]} catchments; medians over the "
        f"catchments{without}, correlations over the catchments; several seeds: their mean, and the standard "
        "deviation over them." + (_OF_PAPER if with_paper else ""),
    ]


def _protocols(results: xr.Dataset) -> list[str]:
    """The training protocols, each with its runs."""
    if "protocol" not in results.coords:  # of an earlier version
        return []
    runs: dict[str, list[str]] = {}
    for name, text, hidden in zip(
        *(results[key].values for key in ("run", "protocol", "hidden")), strict=True
    ):
        how = f"{hidden} hidden units (the paper: {_PAPER_HIDDEN}), {text}"
        runs.setdefault(how, []).append(str(name))
    return [f"- {', '.join(names)}: {how}." for how, names in runs.items()]


def _all_of(results: xr.Dataset, name: str) -> str:
    return "; ".join(sorted(set(map(str, results[name].values))))


def _cell_dimension(results: xr.Dataset) -> str:
    (dim,) = (str(name) for name in results["nse"].dims if name != "run")
    return dim


def _model_row(part: xr.Dataset, name: str, published: bool) -> str:
    symbol = str(part["symbol"].values[0]) + (f", {name}" if name in OWN else "")
    names = part["members"] if "members" in part.coords else part["seed"]
    seeds = ", ".join(str(seed) for seed in names.values)
    cells = [symbol, seeds]
    cells += [_number(part[key].values, 3) for key in ("nse", "nse_25", "nse_10", "kge", "log_nse")]
    cells += [_number(part[key].values, 1) for key in ("bias", "flv", "fhv")]
    cells += [_number(part[key].values, 3) for key in (*CORRELATIONS, "et_correlation")]
    done = sorted({int(number) for number in part["iterations"].values})
    cells += [" to ".join(str(number) for number in dict.fromkeys([done[0], done[-1]]))]
    cells += [f"{part['seconds'].values.mean() / 60:.0f}"]
    if published:
        cells += [
            "" if value is None else f"{value:.3f}" for value in PUBLISHED.get(name, [None] * len(_PAPER))
        ]
    return _row(cells)


def _number(values: np.ndarray, digits: int) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    text = f"{np.mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {np.std(values, ddof=1):.{digits}f}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
