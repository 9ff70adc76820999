"""Names of the attributes that hydroxr writes for itself, and how their values are spelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

PERIOD = "hydroxr_reference_period"  # in the attributes of an anomaly

TOKEN = "hydroxr_token"  # of a lazy simulation, in the encoding of the Dataset

START = "hydroxr_start"  # global attribute: with what a simulation began, and when

LAST_START = "hydroxr_last_start"  # the same of the days that were appended last

MODEL_KIND = "hydroxr_model_kind"  # global attribute: what kind of model made the result
HBV, STREAMFLOW_ALONE = "hbv", "lstm_streamflow"  # its values

FIRST_DAY = "hydroxr_first_day"  # attribute of initial_storage: the day that it is of


def start_of(day: Any, *, empty: bool = True) -> str:
    """The attribute of a simulation that began on that day with empty stores, or with a state."""
    return f"{'nearly empty stores' if empty else 'state at the end of the day'} before {str(day)[:10]}"


# What of the original a variable may be off by: kg m-2 day-1 or whatever its units are, and a share.
ABSOLUTE, RELATIVE = "packing_maximum_absolute_error", "quantization_maximum_relative_error"

_BITS = "quantization_nsb"


def has_water_balance(attrs: Mapping[Any, Any]) -> bool:
    """Whether a result is of a model that conserves water, by its global attributes.

    Results of version 0.1 do not name the kind of their model; their description tells an LSTM.
    """
    if MODEL_KIND in attrs:
        return bool(attrs[MODEL_KIND] != STREAMFLOW_ALONE)
    return '"kind": "LSTMStreamflow"' not in str(attrs.get("hydroxr_description", ""))


def stated(array: xr.DataArray) -> tuple[float, float]:
    """The largest absolute and the largest relative error that packing and rounding have written with it."""
    return float(array.attrs.get(ABSOLUTE, 0.0)), float(array.attrs.get(RELATIVE, 0.0))


def restated(attrs: Mapping[Any, Any], absolute: float, relative: float) -> dict[Any, Any]:
    """Attributes of what was computed from packed or rounded variables: with those errors, none where 0.

    The number of bits goes, as a sum or a mean has all of them again.
    """
    kept = {key: value for key, value in attrs.items() if key not in (ABSOLUTE, RELATIVE, _BITS)}
    return kept | {key: value for key, value in ((ABSOLUTE, absolute), (RELATIVE, relative)) if value}


DIGEST = "hydroxr_digest"  # global attribute: what the digest of the rest is
ATTRIBUTE = "hydroxr_manifest"  # of the root: a copy without the folder is not taken for whole
