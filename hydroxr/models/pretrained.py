"""Models that come with hydroxr: trained on CAMELS-US, ready to simulate catchments of the contiguous US.

Each is a folder as ``model.save`` writes it, with a model card (``card.md``: data, periods, scores,
limits, licence) and the scores of each catchment (``scores.csv``) beside it. Beside them all are the
scores of every model of the paper (``results.nc``), of which these are a part.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

FOLDER = Path(__file__).parent / "pretrained_models"
CARD = "card.md"
SCORES = "scores.csv"
RESULTS = "results.nc"


def pretrained_names() -> tuple[str, ...]:
    """What ``hx.load_model`` knows by name."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}")))


def pretrained_folder(name: str) -> Path | None:
    """Where the model of that name is; None where there is none."""
    return FOLDER / name if name in pretrained_names() else None


def model_card(name: str) -> str:
    """The card of a model that comes with hydroxr, as Markdown.

    Parameters
    ----------
    name : str
        One of :func:`pretrained_names`.

    Raises
    ------
    ModelFileError
        Where there is no such model.
    """
    from ..errors import ModelFileError

    folder = pretrained_folder(name)
    if folder is None:
        raise ModelFileError(
            f"no model {name!r} comes with hydroxr; expected one of {', '.join(pretrained_names())}."
        )
    return (folder / CARD).read_text(encoding="utf-8")


def open_results(ds: xr.Dataset | None = None) -> xr.Dataset:
    """The scores of the models of Feng et al. (2022), trained and tested by hydroxr on CAMELS-US.

    Parameters
    ----------
    ds : Dataset, optional
        Your copy of CAMELS (:func:`hydroxr.open_camels`), for what is CAMELS' own and does not come with
        hydroxr: positions, observed baseflow indices, mean precipitation and observed streamflow.

    Returns
    -------
    Dataset
        (run, basin): NSE, KGE and other metrics, baseflow index, mean fluxes of each run in each catchment;
        what a run is, as coordinates of ``run``; ``r_bfi_l13``, ``r_bfi_usgs`` and ``r_et_water_balance``
        (run), the correlations over the catchments with what was observed.

    Raises
    ------
    DataFileError
        Where this hydroxr has none.
    CoordinateError
        Where ``ds`` does not have all of its catchments.
    """
    import xarray as xr

    from ..errors import DataFileError

    if not (FOLDER / RESULTS).is_file():
        raise DataFileError(
            "no results come with this hydroxr; `python -m hydroxr reproduce` makes them from CAMELS."
        )
    with xr.open_dataset(FOLDER / RESULTS) as file:
        results = file.load()
    results = results.assign_coords(run=results["run_id"].values).drop_vars("run_id")
    return results if ds is None else _with_data(results, ds)


def _with_data(results: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Beside what the data tell of the same catchments."""
    from ..inputs.cells import select_cells
    from ..reproduction.scores import observed_indices, observed_means

    chosen = select_cells(ds, results, ("basin",), "the Dataset")
    test = slice(*results.attrs["test_period"].split(" to "))
    own = {**observed_indices(chosen), **observed_means(chosen.sel(time=test))}
    places = {name: chosen[name] for name in ("lat", "lon") if name in chosen}
    variables = {name: array.variable for name, array in own.items()}
    return results.assign(variables).assign_coords({name: array.variable for name, array in places.items()})
