"""Simulated snow and terrestrial water storage against products of them."""

from __future__ import annotations

import xarray as xr

from ..analysis.derived import STORAGE, SWE, daily_sum
from ..conventions.variables import AMOUNT
from .matching import described, in_time, over_space, simulated
from .products import depth, find_in_product, periods_of

_SWE_NAMES = (SWE, "swe", "SWE", "snw", "WTEQ")
_SWE_STANDARD_NAMES = ("surface_snow_amount", "lwe_thickness_of_surface_snow_amount")
_STORAGE_NAMES = (STORAGE, "total_water_storage", "lwe_thickness", "tws", "TWS", "twsa")
_STORAGE_STANDARD_NAMES = ("land_water_amount", "liquid_water_equivalent_thickness")


def snow(
    sim: xr.Dataset | xr.DataArray, product: xr.Dataset | xr.DataArray, time: slice | None = None
) -> xr.Dataset:
    """Compare simulated snow water equivalent with a product such as SNODAS or SNOTEL.

    Parameters
    ----------
    sim : Dataset or DataArray
        Daily ``snowpack`` and ``snow_liquid_water``, or snow water equivalent, ``(..., time)``, kg m-2.
    product : Dataset or DataArray
        ``(..., time)`` for the same cells, kg m-2, mm, cm or m of water. Steps longer than a day are compared
        with means of the simulation. Simulated values are those at the end of a day: shift a product
        measured at the start of a day back by one day.
    time : slice, optional
        Days of the simulation that count; default: all.

    Returns
    -------
    Dataset
        As :func:`~hydroxr.compare.evapotranspiration`, in kg m-2.

    Raises
    ------
    HydroxrError
        As :func:`~hydroxr.compare.evapotranspiration`.
    """
    array = simulated(daily_sum(sim, SWE) if isinstance(sim, xr.Dataset) else sim, SWE)
    estimate = find_in_product(product, _SWE_NAMES, _SWE_STANDARD_NAMES)
    periods = periods_of(product)
    out, first, second = in_time(depth(array), depth(estimate), periods, "mean", ("r", "bias", "rmse"), time)
    out = out.assign(over_space(first, second, AMOUNT))
    return described(out, "snow water equivalent", "mean snow water equivalent")


def storage(
    sim: xr.Dataset | xr.DataArray, product: xr.Dataset | xr.DataArray, time: slice | None = None
) -> xr.Dataset:
    """Compare anomalies of simulated terrestrial water storage with a product such as GRACE.

    Anomalies are differences from the mean over the common periods, so the baseline of the product does not
    matter.

    Parameters
    ----------
    sim : Dataset or DataArray
        All daily storages, or terrestrial water storage, ``(..., time)``, kg m-2.
    product : Dataset or DataArray
        ``(..., time)`` for the same cells, usually monthly (months may be missing), kg m-2, mm, cm or m of
        water.
    time : slice, optional
        Days of the simulation that count; default: all.

    Returns
    -------
    Dataset
        ``r``, ``alpha`` (simulated standard deviation over that of the product), ``rmse`` of the anomalies
        (kg m-2) and ``n_periods``, ``(...)``. The attribute ``period`` gives the first and last day.

    Raises
    ------
    HydroxrError
        As :func:`~hydroxr.compare.evapotranspiration`.
    """
    array = simulated(daily_sum(sim, STORAGE) if isinstance(sim, xr.Dataset) else sim, STORAGE)
    estimate = find_in_product(product, _STORAGE_NAMES, _STORAGE_STANDARD_NAMES)
    out, _, _ = in_time(
        depth(array),
        depth(estimate),
        periods_of(product),
        "mean",
        ("r", "alpha", "rmse"),
        time,
        anomalies=True,
    )
    out.attrs = {"title": "Comparison of anomalies of terrestrial water storage", **out.attrs}
    return out
