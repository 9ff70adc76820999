"""Simulated evapotranspiration against products of it, and against the water balance."""

from __future__ import annotations

import xarray as xr

from ..analysis.periods import days_of, months, with_bounds
from ..analysis.time_means import over_periods
from ..conventions.missing_values import stated_missing
from ..conventions.units import convert
from ..conventions.variables import AMOUNT, FLUX, VARIABLES
from ..errors import EmptySelectionError, MissingVariableError, warn
from ..inputs.find import find
from ..inputs.ranges import checked_values
from ..inputs.resolve import observed_streamflow
from .matching import described, in_time, over_space, simulated
from .products import amounts, find_in_product, periods_of

_ET_NAMES = ("evapotranspiration", "ET_500m", "ET", "et", "E", "ETa", "aet", "evspsbl")
_ET_STANDARD_NAMES = (
    "water_evapotranspiration_flux",
    "water_evaporation_flux",
    "lwe_water_evaporation_rate",
    "water_evaporation_amount",
    "water_evapotranspiration_amount",
)


def evapotranspiration(
    sim: xr.Dataset | xr.DataArray, product: xr.Dataset | xr.DataArray, time: slice | None = None
) -> xr.Dataset:
    """Compare simulated evapotranspiration with a product, as Feng et al. (2022), section 3.2, do.

    Simulated days are summed over each period of the product that the simulation covers. The product is an
    estimate too: differences are not always errors of the model.

    Parameters
    ----------
    sim : Dataset or DataArray
        Daily ``evapotranspiration`` ``(..., time)``, kg m-2 day-1; components are averaged.
    product : Dataset or DataArray
        ``(..., time)`` for the same cells (see :func:`~hydroxr.compare.aggregate`), as rates (mm/day) or sums
        over the time steps (mm, kg/m^2/8day, mm/month): :func:`~hydroxr.compare.open_mod16`, GLEAM, FLUXCOM,
        SSEBop or :func:`water_balance_evapotranspiration`. Periods come from ``time_bnds``; without
        them, steps may be daily, 8-day composites of MODIS, months or calendar years.
    time : slice, optional
        Days of the simulation that count; default: all.

    Returns
    -------
    Dataset
        - ``r`` (in time), ``bias``, ``rmse`` ``(...)``: metrics of the sums, kg m-2 per period (mm per 8 days
          for MODIS, including its short last composite); ``n_periods`` ``(...)``.
        - ``simulated``, ``reference`` ``(...)``: long-term means over the same periods, kg m-2 day-1.
        - ``spatial_r``, ``spatial_bias``, ``spatial_rmse``: metrics of these means over all cells.

        The attribute ``period`` gives the first and last day.

    Raises
    ------
    MissingVariableError
        If the simulation or the product has no evapotranspiration.
    AmbiguousVariableError
        If several variables of the product match.
    UnitsError
        If units are unknown, or name a period other than that of the time steps.
    TimeAxisError
        If the dates of the product are not unique and sorted, or do not tell its periods; or the simulation
        is not daily.
    DimensionError
        If the product has other dimensions of space than the simulation.
    CoordinateError
        If the product lacks cells of the simulation, or has another calendar.
    DescriptionError
        If ``time`` is not a period.
    EmptySelectionError
        If the simulation covers no period of the product.
    """
    array = convert(simulated(sim, "evapotranspiration"), VARIABLES["prcp"])
    estimate = find_in_product(product, _ET_NAMES, _ET_STANDARD_NAMES)
    periods = periods_of(product)
    estimate = amounts(estimate, periods)
    _warn_where_negative(estimate)
    out, first, second = in_time(array, estimate, periods, "sum", ("r", "bias", "rmse"), time)
    for name in ("bias", "rmse"):
        out[name].attrs["comment"] = "of sums over the periods of the product"
    out = out.assign(over_space(first, second, FLUX))
    return described(out, "evapotranspiration", "long-term mean evapotranspiration")


def _warn_where_negative(estimate: xr.DataArray) -> None:
    """Warn if values in memory have the sign of ERA5, where evapotranspiration is negative."""
    if estimate.chunks is None and estimate.size and float(estimate.quantile(0.95)) < 0.0:
        warn(
            f"{estimate.name!r} of the product is negative nearly everywhere; expected positive "
            "evapotranspiration. If the product counts downward fluxes, as ERA5 does, pass -product."
        )


def water_balance_evapotranspiration(ds: xr.Dataset, first_month: int = 10) -> xr.Dataset:
    """Estimate evapotranspiration as precipitation less streamflow in whole hydrologic years.

    The change of storage within a year is neglected. A year with a missing day is missing.

    Parameters
    ----------
    ds : Dataset
        Daily precipitation (as for a simulation, or ``rainfall`` and ``snowfall``) and observed streamflow
        of the same cells, ``(..., time)``.
    first_month : int
        First month of a year, 1 to 12; 10 for hydrologic years of the USGS.

    Returns
    -------
    Dataset
        ``evapotranspiration`` ``(..., time)``, kg m-2 per year, stamped with the first day of each year, and
        ``time_bnds``: a product for :func:`evapotranspiration`.

    Raises
    ------
    MissingVariableError
        If precipitation or streamflow is absent.
    UnitsError
        If their units are missing or unknown.
    ValueRangeError
        If their values are impossible.
    TimeAxisError
        If ``time`` has no sorted dates, one per day.
    EmptySelectionError
        If there is no whole year.
    """
    precipitation = _precipitation(ds)
    streamflow = checked_values(observed_streamflow(ds), "streamflow")
    days = days_of(precipitation, "the Dataset")
    firsts = days[(days.month == first_month) & (days.day == 1)]
    if len(firsts) == 0:
        raise EmptySelectionError(
            f"the Dataset ({str(days[0])[:10]} to {str(days[-1])[:10]}) has no first day of month "
            f"{first_month}; expected a whole year that begins with it."
        )
    periods = months(firsts, 12)
    sums, left = over_periods((precipitation - streamflow).astype(float), periods, "sum", "the Dataset")
    sums.attrs = {
        "long_name": "evapotranspiration as precipitation less streamflow, sum over a year",
        "units": AMOUNT,
        "cell_methods": "time: sum",
    }
    return with_bounds(sums.to_dataset(name="evapotranspiration"), left)


def _precipitation(ds: xr.Dataset) -> xr.DataArray:
    """Precipitation, kg m-2 day-1: the input, else simulated rainfall and snowfall."""
    name = find(ds, "prcp")
    if name is not None:
        return checked_values(convert(stated_missing(ds[name]), VARIABLES["prcp"]), "prcp")
    if "rainfall" in ds and "snowfall" in ds:
        return simulated(ds, "rainfall") + simulated(ds, "snowfall")
    raise MissingVariableError(
        "the Dataset has no precipitation and no rainfall and snowfall; it has "
        f"{', '.join(map(str, ds.data_vars)) or 'nothing'}. Add 'prcp' with units."
    )
