"""Names of the attributes that hydroxr writes, and the form of their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

PREFIX = "hydroxr_"  # of every attribute that hydroxr reads again

# Global attributes of results. FORMAT_KEY and VERSION_KEY are also in files of models and checkpoints.
FORMAT_KEY = "hydroxr_format"  # version of the format
VERSION_KEY = "hydroxr_version"  # version of hydroxr that wrote the file
MODEL = "hydroxr_model"  # symbol of the model
MODEL_KIND = "hydroxr_model_kind"  # HBV or STREAMFLOW_ALONE
MODEL_SHA256 = "hydroxr_model_sha256"
DESCRIPTION = "hydroxr_description"  # specification of the model, JSON
TRAINING = "hydroxr_training"  # provenance of the training, JSON
PARAMETERS_TOKEN = "hydroxr_parameters_token"  # identifies parameters that a user gave
MEMBERS = "hydroxr_members"  # number of members of an ensemble
CROSS_VALIDATION = "hydroxr_cross_validation"  # summary of the folds, JSON
GAUGE_OFFSETS = "hydroxr_gauge_offsets"  # USED or LEFT_OUT, of a model that has offsets
PARAMETER_WINDOW = "hydroxr_parameter_window"  # days that the parameters were computed from
START = "hydroxr_start"  # initial state of a simulation, and its day
SPINUP = "hydroxr_spinup"  # days that were repeated before a simulation
LAST_START = "hydroxr_last_start"  # the same for the days appended last
NETWORK = "hydroxr_network"  # digest of the river network of a routed run
ROUTING = "hydroxr_routing"  # how a run was routed, JSON
DIGEST = "hydroxr_digest"  # digest of the rest of a NetCDF file
MANIFEST = "hydroxr_manifest"  # marks a Zarr store that must have a manifest

HBV, STREAMFLOW_ALONE = "hbv", "lstm_streamflow"  # values of MODEL_KIND
USED, LEFT_OUT = "used", "left out"  # values of GAUGE_OFFSETS

# Attributes of variables.
LABELS_OF = "hydroxr_labels_of"  # the dimension whose labels a file holds in this variable
PERIOD = "hydroxr_reference_period"  # of an anomaly
AREA = "hydroxr_area"  # of discharge: digest of the catchment areas
FIRST_DAY = "hydroxr_first_day"  # of initial_storage: first day of the run
# Largest errors by packing (in the units of the variable) and by rounding (relative), and the bits kept.
ABSOLUTE, RELATIVE = "packing_maximum_absolute_error", "quantization_maximum_relative_error"
BITS = "quantization_nsb"

TOKEN = "hydroxr_token"  # in the encoding of a lazy simulation: identifies inputs and model


def start_of(day: Any, *, empty: bool = True) -> str:
    """The value of START for a run that begins on ``day``, with nearly empty stores or a given state."""
    return f"{'nearly empty stores' if empty else 'state at the end of the day'} before {str(day)[:10]}"


def has_water_balance(attrs: Mapping[Any, Any]) -> bool:
    """Whether a result comes from a model that conserves water, by its global attributes.

    Results of version 0.1 lack MODEL_KIND; their DESCRIPTION tells whether the model is an LSTM.
    """
    if MODEL_KIND in attrs:
        return bool(attrs[MODEL_KIND] != STREAMFLOW_ALONE)
    return '"kind": "LSTMStreamflow"' not in str(attrs.get(DESCRIPTION, ""))


def deciding(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes by which readers decode the values of a variable."""
    names = ["scale_factor", "add_offset", "_FillValue", "missing_value", "calendar", "dtype"]
    if {"calendar", "dtype"} & attrs.keys():  # dates, and lengths of time
        names.append("units")
    return {name: attrs[name] for name in names if name in attrs}


def stated(array: xr.DataArray) -> tuple[float, float]:
    """The largest absolute and relative error of the values, as packing and rounding recorded them."""
    return float(array.attrs.get(ABSOLUTE, 0.0)), float(array.attrs.get(RELATIVE, 0.0))


def restated(attrs: Mapping[Any, Any], absolute: float, relative: float) -> dict[Any, Any]:
    """Attributes of a variable computed from packed or rounded ones, with its errors unless they are 0.

    The number of kept bits is dropped, because a sum or a mean has all bits again.
    """
    kept = {key: value for key, value in attrs.items() if key not in (ABSOLUTE, RELATIVE, BITS)}
    return kept | {key: value for key, value in ((ABSOLUTE, absolute), (RELATIVE, relative)) if value}
