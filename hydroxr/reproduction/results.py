"""The results of the reproduction that come with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..models import pretrained

if TYPE_CHECKING:
    import xarray as xr

RESULTS = "results.nc"


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

    path = pretrained.FOLDER / RESULTS
    if not path.is_file():
        raise DataFileError(
            "no results come with this hydroxr; `python -m hydroxr reproduce` makes them from CAMELS."
        )
    with xr.open_dataset(path) as file:
        results = file.load()
    results = results.assign_coords(run=results["run_id"].values).drop_vars("run_id")
    return results if ds is None else _with_data(results, ds)


def _with_data(results: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Beside what the data tell of the same catchments."""
    from ..inputs.cells import select_cells
    from .scores import observed_indices, observed_means

    chosen = select_cells(ds, results, ("basin",), "the Dataset")
    test = slice(*results.attrs["test_period"].split(" to "))
    own = {**observed_indices(chosen), **observed_means(chosen.sel(time=test))}
    places = {name: chosen[name] for name in ("lat", "lon") if name in chosen}
    variables = {name: array.variable for name, array in own.items()}
    return results.assign(variables).assign_coords({name: array.variable for name, array in places.items()})
