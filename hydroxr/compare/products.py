"""Simulated evapotranspiration, snow and stored water against products of them."""

from __future__ import annotations

import xarray as xr

from ..analysis.derived import STORAGE, SWE, daily_sum
from ..analysis.periods import days_of, months, with_bounds
from ..analysis.time_means import over_periods
from ..conventions.units import convert
from ..conventions.variables import AMOUNT, FLUX, VARIABLES
from ..errors import EmptySelectionError, MissingVariableError, warn
from ..inputs.find import find
from ..inputs.resolve import observed_streamflow
from .series import find_in_product, in_time, over_space, simulated
from .steps import amounts, depth, periods_of

_ET_NAMES = ("evapotranspiration", "ET_500m", "ET", "et", "E", "ETa", "aet", "evspsbl")
_ET_STANDARD_NAMES = (
    "water_evapotranspiration_flux",
    "water_evaporation_flux",
    "lwe_water_evaporation_rate",
    "water_evaporation_amount",
    "water_evapotranspiration_amount",
)
_SWE_NAMES = (SWE, "swe", "SWE", "snw", "WTEQ")
_SWE_STANDARD_NAMES = ("surface_snow_amount", "lwe_thickness_of_surface_snow_amount")
_STORAGE_NAMES = (STORAGE, "total_water_storage", "lwe_thickness", "tws", "TWS", "twsa")
_STORAGE_STANDARD_NAMES = ("land_water_amount", "liquid_water_equivalent_thickness")


def evapotranspiration(
    sim: xr.Dataset | xr.DataArray, product: xr.Dataset | xr.DataArray, time: slice | None = None
) -> xr.Dataset:
    """Evapotranspiration of a simulation against a product, as in Feng et al. (2022), section 3.2.

    The simulated days are summed over each period of the product that the simulation has all of.

    Parameters
    ----------
    sim : Dataset or DataArray
        A simulation with ``evapotranspiration``, daily, kg m-2 day-1; components are averaged.
    product : Dataset or DataArray
        In the same cells (:func:`hydroxr.analysis.area_means.aggregate` brings it there), of any time step:
        :func:`open_mod16`, GLEAM, FLUXCOM, SSEBop, or :func:`water_balance_evapotranspiration`.
        ``time_bnds`` say what a step stands for; without them daily, 8-day (as MODIS), monthly and yearly
        dates are understood (years only as calendar years). In a rate (mm/day) or as sums over the steps
        (mm, kg/m^2/8day, mm/month).
    time
        The part of the simulation to look at; by default all.

    Returns
    -------
    Dataset
        A cell ``r`` (in time), ``bias`` and ``rmse`` (kg m-2 a period: mm per 8 days for MODIS; its short
        last composite enters as it is), ``n_periods``, and the long-term means ``simulated`` and
        ``reference`` (kg m-2 day-1, over the same periods); over all cells ``spatial_r``, ``spatial_bias``
        and ``spatial_rmse`` of these. Attribute ``period``. The product is an estimate too: a difference is
        not always the model's error.

    Raises
    ------
    MissingVariableError, AmbiguousVariableError, UnitsError, TimeAxisError, DimensionError, CoordinateError,
    EmptySelectionError
    """
    array = convert(simulated(sim, "evapotranspiration"), VARIABLES["prcp"])  # a flux in all its spellings
    estimate = find_in_product(product, _ET_NAMES, _ET_STANDARD_NAMES)
    periods = periods_of(product)
    estimate = amounts(estimate, periods)
    _warn_where_negative(estimate)
    out, first, second = in_time(array, estimate, periods, "sum", ("r", "bias", "rmse"), time)
    for name in ("bias", "rmse"):
        out[name].attrs["comment"] = "of sums over the periods of the product"
    out = out.assign(over_space(first, second, FLUX))
    return _described(out, "evapotranspiration", "long-term mean evapotranspiration")


def _warn_where_negative(estimate: xr.DataArray) -> None:
    """Water that leaves the land is negative in ERA5; looked for in what is in memory only."""
    if estimate.chunks is None and estimate.size and float(estimate.quantile(0.95)) < 0.0:
        warn(
            f"{estimate.name!r} of the product is negative nearly everywhere; expected evapotranspiration "
            "to be positive. Where the product counts fluxes downward, as ERA5 does, give -product."
        )


def water_balance_evapotranspiration(ds: xr.Dataset, first_month: int = 10) -> xr.Dataset:
    """Evapotranspiration as precipitation less streamflow over whole hydrologic years.

    Storage at the end of a year is taken as that at its start; a year with a missing day is missing.

    Parameters
    ----------
    ds : Dataset
        Daily precipitation (as for a simulation, or ``rainfall`` and ``snowfall``) and observed streamflow
        for the same cells.
    first_month
        In which years begin; 10 for those of the USGS.

    Returns
    -------
    Dataset
        ``evapotranspiration`` ``(..., time)``, kg m-2 a year, stamped with its first day, and ``time_bnds``:
        a product for :func:`evapotranspiration`.

    Raises
    ------
    MissingVariableError, UnitsError, TimeAxisError, EmptySelectionError
    """
    precipitation = _precipitation(ds)
    streamflow = observed_streamflow(ds)
    days = days_of(precipitation, "the Dataset")
    firsts = days[(days.month == first_month) & (days.day == 1)]
    if len(firsts) == 0:
        raise EmptySelectionError(
            f"the Dataset ({str(days[0])[:10]} to {str(days[-1])[:10]}) has no first day of month "
            f"{first_month}; expected a whole year from there."
        )
    periods = months(firsts, 12)
    sums, left = over_periods((precipitation - streamflow).astype(float), periods, "sum", "the Dataset")
    sums.attrs = {
        "long_name": "evapotranspiration as precipitation less streamflow, sum over a year",
        "units": AMOUNT,
        "cell_methods": "time: sum",
    }
    return with_bounds(sums.to_dataset(name="evapotranspiration"), left)


def snow(
    sim: xr.Dataset | xr.DataArray, product: xr.Dataset | xr.DataArray, time: slice | None = None
) -> xr.Dataset:
    """Snow water equivalent of a simulation against a product such as SNODAS or series of SNOTEL.

    Parameters
    ----------
    sim : Dataset or DataArray
        A simulation with ``snowpack`` and ``snow_liquid_water``, or snow water equivalent.
    product : Dataset or DataArray
        In the same cells, kg m-2, mm, cm or m of water. Of steps longer than a day it is taken to
        be the mean, as the simulation's is. The simulation's values are those at the end of a day: a product
        that is measured as a day begins is shifted by one before.
    time
        As for :func:`evapotranspiration`.

    Returns
    -------
    Dataset
        As :func:`evapotranspiration`, all in kg m-2.

    Raises
    ------
    As :func:`evapotranspiration`.
    """
    array = simulated(daily_sum(sim, SWE) if isinstance(sim, xr.Dataset) else sim, SWE)
    estimate = find_in_product(product, _SWE_NAMES, _SWE_STANDARD_NAMES)
    periods = periods_of(product)
    out, first, second = in_time(depth(array), depth(estimate), periods, "mean", ("r", "bias", "rmse"), time)
    out = out.assign(over_space(first, second, AMOUNT))
    return _described(out, "snow water equivalent", "mean snow water equivalent")


def storage(
    sim: xr.Dataset | xr.DataArray, product: xr.Dataset | xr.DataArray, time: slice | None = None
) -> xr.Dataset:
    """Anomalies of the terrestrial water storage of a simulation against those of GRACE or the like.

    Both are taken less their mean over the periods that both have, so that no baseline matters.

    Parameters
    ----------
    sim : Dataset or DataArray
        A simulation with all its states, or terrestrial water storage.
    product : Dataset or DataArray
        In the same cells, monthly as a rule (months may be missing), kg m-2, mm, cm or m of water.
    time
        As for :func:`evapotranspiration`.

    Returns
    -------
    Dataset
        A cell ``r``, ``alpha`` (ratio of the standard deviations, simulated over the product's), ``rmse`` of
        the anomalies (kg m-2), ``n_periods``. Attribute ``period``.

    Raises
    ------
    As :func:`evapotranspiration`.
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


def _precipitation(ds: xr.Dataset) -> xr.DataArray:
    name = find(ds, "prcp")
    if name is not None:
        return convert(ds[name], VARIABLES["prcp"])
    if "rainfall" in ds and "snowfall" in ds:
        return simulated(ds, "rainfall") + simulated(ds, "snowfall")
    raise MissingVariableError(
        "there is no precipitation in the Dataset, nor rainfall and snowfall; it has "
        f"{', '.join(map(str, ds.data_vars)) or 'nothing'}."
    )


def _described(out: xr.Dataset, what: str, mean: str) -> xr.Dataset:
    for name, text in (("simulated", "simulation"), ("reference", "product")):
        out[name].attrs["long_name"] = f"{mean} of the {text}"
    out.attrs = {"title": f"Comparison of {what}", **out.attrs}
    return out
