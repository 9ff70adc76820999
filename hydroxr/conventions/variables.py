"""The table of variables: name, role, unit and CF attributes.

Symbols are from Table 1 of Feng et al. (2022), standard names from CF's table where it has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

FLUX = "kg m-2 day-1"  # equals mm/day
AMOUNT = "kg m-2"  # equals mm
DISCHARGE = "m3 s-1"
VOLUME = "m3"
DAILY_MEAN = "time: mean"
END_OF_DAY = "time: point (at the end of the time bounds)"
NAME_TABLE = "CF Standard Name Table v93"

_CORRECTED = "Rainfall, snowfall and the water balance are those of the corrected precipitation."
Role = Literal[
    "forcing", "observation", "flux", "state", "derived", "ensemble", "budget", "factor", "flag", "river"
]
Quantity = Literal[
    "water flux",
    "water amount",
    "temperature",
    "discharge",
    "area",
    "radiation",
    "pressure",
    "speed",
    "share",
    "length",
    "duration",
    "angle",
]


@dataclass(frozen=True)
class Variable:
    """One row of the table.

    Parameters
    ----------
    name, role, long_name, units
        Name in hydroxr, its role, a description, and its unit in the model.
    standard_name, cell_methods, symbol
        Standard name and cell methods of CF, and the symbol in the paper, if there are any.
    amount_name
        Standard name of a flux summed over time, in kg m-2.
    valid_min, valid_max
        Values outside this range, in ``units``, are errors in the data.
    quantity
        Quantity that determines the accepted units, see :mod:`hydroxr.conventions.units`.
    names, standard_names
        Names and standard names that identify an input; ``names`` take precedence.
    comment
        CF comment in files.
    """

    name: str
    role: Role
    long_name: str
    units: str
    standard_name: str | None = None
    cell_methods: str | None = None
    symbol: str | None = None
    amount_name: str | None = None
    valid_min: float | None = None
    valid_max: float | None = None
    quantity: Quantity | None = None
    names: tuple[str, ...] = ()
    standard_names: tuple[str, ...] = ()
    comment: str | None = None

    def attrs(self) -> dict[str, Any]:
        """CF attributes of the variable."""
        keys = ("standard_name", "long_name", "units", "cell_methods", "valid_min", "valid_max", "comment")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}


def _forcing(name: str, long_name: str, units: str, quantity: Quantity, **rest: Any) -> Variable:
    return Variable(name, "forcing", long_name, units, cell_methods=DAILY_MEAN, quantity=quantity, **rest)


def _flux(
    name: str, symbol: str, long_name: str, standard_name: str | None = None, amount_name: str | None = None
) -> Variable:
    return Variable(
        name, "flux", long_name, FLUX, standard_name, DAILY_MEAN, symbol, amount_name, valid_min=0.0
    )


def _derived(
    name: str, long_name: str, units: str, standard_name: str | None = None, **rest: Any
) -> Variable:
    return Variable(name, "derived", long_name, units, standard_name, **rest)


def _factor(name: str, long_name: str, comment: str | None = None) -> Variable:
    return Variable(name, "factor", long_name, "1", valid_min=0.0, comment=comment)


def _state(name: str, symbol: str | None, long_name: str, standard_name: str | None = None) -> Variable:
    return Variable(name, "state", long_name, AMOUNT, standard_name, END_OF_DAY, symbol, valid_min=0.0)


def _river(name: str, long_name: str, units: str) -> Variable:
    methods = DAILY_MEAN if units == DISCHARGE else None if name.startswith("initial") else END_OF_DAY
    return Variable(name, "river", long_name, units, cell_methods=methods, valid_min=0.0)


_ROWS = (
    _forcing(
        "prcp",
        "precipitation",
        FLUX,
        "water flux",
        standard_name="precipitation_flux",
        symbol="P",
        amount_name="precipitation_amount",
        valid_min=0.0,
        valid_max=2000.0,
        names=("prcp", "pr", "precipitation"),
        standard_names=("precipitation_flux", "lwe_precipitation_rate"),
    ),
    _forcing(
        "tmean",
        "daily mean air temperature",
        "degC",
        "temperature",
        standard_name="air_temperature",
        symbol="T",
        valid_min=-95.0,
        valid_max=70.0,
        names=("tmean", "tas", "t2m"),
        standard_names=("air_temperature",),
    ),
    Variable(
        "tmin",
        "forcing",
        "daily minimum air temperature",
        "degC",
        "air_temperature",
        "time: minimum",
        valid_min=-95.0,
        valid_max=70.0,
        quantity="temperature",
        names=("tmin", "tasmin"),
    ),
    Variable(
        "tmax",
        "forcing",
        "daily maximum air temperature",
        "degC",
        "air_temperature",
        "time: maximum",
        valid_min=-95.0,
        valid_max=70.0,
        quantity="temperature",
        names=("tmax", "tasmax"),
    ),
    _forcing(
        "pet",
        "potential evapotranspiration",
        FLUX,
        "water flux",
        standard_name="water_potential_evaporation_flux",
        symbol="Ep",
        amount_name="water_potential_evaporation_amount",
        valid_min=0.0,
        valid_max=100.0,
        names=("pet", "evspsblpot"),
        standard_names=("water_potential_evaporation_flux",),
    ),
    Variable(
        "lat",
        "forcing",
        "latitude",
        "degrees_north",
        "latitude",
        valid_min=-90.0,
        valid_max=90.0,
        quantity="angle",
        names=("lat", "latitude"),
        standard_names=("latitude",),
    ),
    Variable(
        "area",
        "observation",
        "catchment area",
        "km2",
        quantity="area",
        valid_min=0.0,
        names=("area_gages2", "area", "catchment_area"),
    ),
    # Outputs. Observed and simulated streamflow have the same name.
    Variable(
        "streamflow",
        "flux",
        "streamflow per unit area (runoff routed through the unit hydrograph)",
        FLUX,
        cell_methods=DAILY_MEAN,
        symbol="Q*",
        valid_min=0.0,
        quantity="water flux",
        names=("streamflow", "qobs", "q"),
        standard_names=("runoff_flux", "water_volume_transport_in_river_channel"),
    ),
    _flux(
        "runoff",
        "Q",
        "runoff before routing: quick flow, interflow and baseflow",
        "runoff_flux",
        "runoff_amount",
    ),
    _flux(
        "quick_flow",
        "Q0",
        "quick flow: fast runoff of the upper zone, before routing",
        "surface_runoff_flux",
        "surface_runoff_amount",
    ),
    _flux("interflow", "Q1", "interflow: slower runoff of the upper zone, before routing"),
    _flux(
        "baseflow",
        "Q2",
        "baseflow: runoff of the lower zone (groundwater), before routing",
        amount_name="baseflow_amount",
    ),
    _flux(
        "evapotranspiration",
        "ET",
        "actual evapotranspiration",
        "water_evapotranspiration_flux",
        "water_evapotranspiration_amount",
    ),
    _flux("rainfall", "Pr", "rainfall", "rainfall_flux", "rainfall_amount"),
    _flux("snowfall", "Ps", "snowfall", "snowfall_flux", "snowfall_amount"),
    _flux("snowmelt", "smelt", "snowmelt", "surface_snow_melt_flux", "surface_snow_melt_amount"),
    _flux(
        "refreezing",
        "Rfz",
        "refreezing of liquid water in the snowpack",
        "surface_snow_and_ice_refreezing_flux",
    ),
    _flux(
        "snow_infiltration",
        "Isnow",
        "liquid water that leaves the snowpack to the soil",
        "liquid_water_mass_flux_into_soil_due_to_surface_snow_melt",
    ),
    _flux("effective_rainfall", "Peff", "effective rainfall: share of rain and melt that passes by the soil"),
    _flux("excess", "Ex", "soil water above field capacity, passed to the upper zone"),
    _flux("capillary_rise", "Cap", "capillary rise from the lower zone to the soil"),
    _flux(
        "percolation",
        "Perc",
        "percolation from the upper to the lower zone",
        "downward_liquid_water_mass_flux_into_groundwater",
    ),
    _state("snowpack", "Sp", "frozen water in the snowpack"),
    _state(
        "snow_liquid_water", "Sliq", "liquid water in the snowpack", "liquid_water_content_of_surface_snow"
    ),
    _state("soil_moisture", "Ss", "soil water", "mass_content_of_water_in_soil"),
    _state("upper_zone_storage", "Suz", "water in the upper subsurface zone"),
    _state(
        "lower_zone_storage", "Slz", "water in the lower subsurface zone (groundwater)", "groundwater_amount"
    ),
    _state("channel_storage", None, "runoff still on its way through the unit hydrograph"),
    # Derived variables, see hydroxr.analysis.derived.
    _derived(
        "snow_water_equivalent",
        "snow water equivalent: frozen and liquid water of the snowpack",
        AMOUNT,
        "surface_snow_amount",
        cell_methods=END_OF_DAY,
        valid_min=0.0,
    ),
    _derived(
        "terrestrial_water_storage",
        "terrestrial water storage: snow, soil, both subsurface zones, channel",
        AMOUNT,
        "land_water_amount",
        cell_methods=END_OF_DAY,
        valid_min=0.0,
    ),
    _derived(
        "terrestrial_water_storage_anomaly",
        "terrestrial water storage less its mean over the reference period",
        AMOUNT,
        cell_methods=END_OF_DAY,
    ),
    _derived(
        "discharge",
        "discharge of the river: streamflow over the catchment area",
        DISCHARGE,
        "water_volume_transport_in_river_channel",
        cell_methods=DAILY_MEAN,
        valid_min=0.0,
    ),
    _derived(
        "baseflow_index", "baseflow index: share of baseflow in streamflow", "1", valid_min=0.0, valid_max=1.0
    ),
    Variable(
        "streamflow_spread",
        "ensemble",
        "standard deviation of streamflow over the members of the ensemble",
        FLUX,
        cell_methods=f"{DAILY_MEAN} (standard deviation over the members)",
        valid_min=0.0,
    ),
    Variable("streamflow_quantile", "ensemble", "quantile of predicted streamflow", FLUX, valid_min=0.0),
    Variable(
        "initial_storage",
        "budget",
        "all water in the model before the first day",
        AMOUNT,
        valid_min=0.0,
        comment="The sum of all storages, less initial_storage, is precipitation (rainfall + snowfall) less "
        "evapotranspiration less streamflow, summed from the first day to the end of the time bounds.",
    ),
    # Routed runs, see hydroxr.rivers; their discharge has the name of the derived variable.
    _river("lateral_inflow", "water that enters the reach from its own catchment", DISCHARGE),
    _river("river_storage", "water in the reach", VOLUME),
    _river("initial_river_storage", "water in the reach before the first day", VOLUME),
    _river("upstream_precipitation", "precipitation on all cells above the reach", DISCHARGE),
    _river("upstream_evapotranspiration", "evapotranspiration of all cells above the reach", DISCHARGE),
    _river("upstream_storage", "water in the reach and all cells and reaches above it", VOLUME),
    _river("initial_upstream_storage", "upstream_storage before the first day", VOLUME),
    _river("unassigned_inflow", "inflow of cells without a reach, which was dropped", DISCHARGE),
    Variable(
        "spinup_storage_change", "budget", "change of all water over the last round of the spin-up", AMOUNT
    ),
    _factor("precipitation_correction", "factor by which the model multiplies precipitation", _CORRECTED),
    _factor("pet_correction", "factor by which the model multiplies potential evapotranspiration"),
    _factor("component_weight", "weight of the component in the mean of the cell"),
    Variable("forcing_flag", "flag", "whether missing forcing was filled on that day", "1", "status_flag"),
    Variable(
        "attribute_flag",
        "flag",
        "whether the cell has attributes that the model was not trained on",
        "1",
        "quality_flag",
    ),
    Variable("offset_flag", "flag", "whether the parameters have the offsets learned for the cell", "1"),
)

VARIABLES: dict[str, Variable] = {row.name: row for row in _ROWS}

FORCING = ("prcp", "tmean", "pet")  # drives HBV
FLUXES = tuple(row.name for row in _ROWS if row.role == "flux")
STATES = tuple(row.name for row in _ROWS if row.role == "state")
OUTPUTS = FLUXES + STATES  # in the order of simulate
DERIVED = tuple(row.name for row in _ROWS if row.role == "derived")

# Attributes of Table A1 of Feng et al. (2022), by their names in CAMELS-US; text attributes are last.
CLIMATE_ATTRIBUTES = (
    "p_mean",
    "pet_mean",
    "p_seasonality",
    "frac_snow",
    "aridity",
    "high_prec_freq",
    "high_prec_dur",
    "low_prec_freq",
    "low_prec_dur",
)
ATTRIBUTES = (
    *CLIMATE_ATTRIBUTES,
    "elev_mean",
    "slope_mean",
    "area_gages2",
    "frac_forest",
    "lai_max",
    "lai_diff",
    "gvf_max",
    "gvf_diff",
    "dom_land_cover_frac",
    "root_depth_50",
    "soil_depth_pelletier",
    "soil_depth_statsgo",
    "soil_porosity",
    "soil_conductivity",
    "max_water_content",
    "sand_frac",
    "silt_frac",
    "clay_frac",
    "geol_class_1st_frac",
    "geol_class_2nd_frac",
    "carbonate_rocks_frac",
    "geol_porosity",
    "geol_permeability",
    "geol_class_1st",
    "geol_class_2nd",
    "dom_land_cover",
)
