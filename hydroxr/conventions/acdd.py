"""Global attributes of ACDD 1.3, by which catalogues find a file.

Attributes about the data come from coordinates and attributes at the time of writing. The user states
authorship and rights: ``sim.assign_attrs(creator_name=..., license=...)``. hydroxr neither invents these
nor copies them from the input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import xarray as xr

from ..support.checksums import text_without_secrets, without_secrets
from .variables import NAME_TABLE

_TIME = tuple(f"time_coverage_{part}" for part in ("start", "end", "duration", "resolution"))
_FORCING = "forcing_provenance"
_INPUT = ("title", "id", "doi", "institution", "creator_name", "source", "references", "license")
_BOX = tuple(f"geospatial_{part}_{end}" for part in ("lat", "lon") for end in ("min", "max", "units"))
# Shortest and longest step in days, and its name in ISO 8601.
_STEPS = ((1, 1, "P1D"), (5, 8, "P8D"), (28, 31, "P1M"), (360, 366, "P1Y"))


def describe(ds: xr.Dataset, now: str) -> dict[str, Any]:
    """Global attributes of a file: those of ``ds``, and those of ACDD that its coordinates tell.

    Parameters
    ----------
    ds : Dataset
        The content of the file.
    now : str
        Time of writing.

    Returns
    -------
    dict
        Coverage in time and space comes from the coordinates alone, because attributes of ``ds`` may
        describe a longer run or more cells. Without such coordinates there is no coverage.
    """
    attrs = dict(ds.attrs)
    own = {"date_created": now, "standard_name_vocabulary": NAME_TABLE}
    if "title" in attrs:
        own["summary"] = attrs["title"]
    attrs = {**own, **attrs}
    if "keywords" not in attrs or attrs.get("keywords_vocabulary") == NAME_TABLE:
        attrs = _without(attrs, ("keywords", "keywords_vocabulary")) | _keywords(ds)
    return _without(attrs, (*_TIME, *_BOX)) | _time_coverage(ds) | _place(ds)


def after_append(old: Mapping[str, Any], new: Mapping[str, Any], now: str) -> dict[str, Any]:
    """Changes of the global attributes of a store when days are appended to it.

    Parameters
    ----------
    old, new : mapping
        Attributes of the store, and of the appended days (:func:`describe`).
    now : str
        Time of writing.

    Returns
    -------
    dict
        Updates of ``old``. If the forcing comes from another source, "appended" lists it.
    """
    out = {"date_modified": now}
    if {*_TIME[:3]} <= old.keys() & new.keys():
        days = sum(int(str(part["time_coverage_duration"])[1:-1]) for part in (old, new))
        out |= {"time_coverage_end": new["time_coverage_end"], "time_coverage_duration": f"P{days}D"}
    if _FORCING in old and _FORCING in new:
        told, added = (_object(part[_FORCING]) for part in (old, new))
        later = told.pop("appended", [])
        last = {key: value for key, value in (later or [told])[-1].items() if key != "from"}
        if added != last:
            later = [*later, {"from": new.get("time_coverage_start"), **added}]
            out[_FORCING] = json.dumps({**told, "appended": later}, ensure_ascii=False)
    return out


def _object(text: str) -> dict[str, Any]:
    """Parse JSON of :func:`provenance`; other text, which a user may have put there, is wrapped."""
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {"text": found}


def provenance(ds: xr.Dataset, used: Mapping[str, str]) -> dict[str, str]:
    """Provenance of the forcing as an attribute with JSON text: file, attributes and variables of the input.

    Parameters
    ----------
    ds : Dataset
        The input.
    used : mapping
        The name of the variable for each role, as in messages.
    """
    source = without_secrets(str(ds.encoding.get("source", "")))
    file = {"file": source if "://" in source else source.rstrip("/").rpartition("/")[2]} if source else {}
    told = {key: text_without_secrets(str(ds.attrs[key])) for key in _INPUT if key in ds.attrs}
    variables = {role: name.strip("'") if name.startswith("'") else name for role, name in used.items()}
    return {_FORCING: json.dumps({**told, **file, "variables": variables}, ensure_ascii=False)}


def _without(attrs: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in attrs.items() if key not in keys}


def _keywords(ds: xr.Dataset) -> dict[str, str]:
    names = {
        str(array.attrs["standard_name"]) for array in ds.data_vars.values() if "standard_name" in array.attrs
    }
    if not names:
        return {"keywords": "hydrology"}
    return {"keywords": ", ".join(sorted(names)), "keywords_vocabulary": NAME_TABLE}


def _time_coverage(ds: xr.Dataset) -> dict[str, str]:
    """First and last day (both included), duration and length of a step."""
    if "time" not in ds.coords or ds["time"].dtype.kind not in "MO":
        return {}
    bounds = ds.coords.get(str(ds["time"].attrs.get("bounds")))
    if bounds is None or bounds.size == 0:
        stamps = ds["time"].values.ravel()
        starts, ends = stamps, stamps
    else:
        starts, ends = bounds.transpose(..., bounds.dims[-1]).values.reshape(-1, 2).T
        ends = ends - _like(ends, timedelta(microseconds=1))
    first, last = _days(np.array([starts.min(), ends.max()]))
    out = {"time_coverage_start": str(first)[:10], "time_coverage_end": str(last)[:10]}
    if "time" in ds.dims:
        days = np.asarray(last - first).astype("timedelta64[D]").astype(int) + 1
        out["time_coverage_duration"] = f"P{days}D"
        resolution = _resolution(starts, ends)
        out |= {"time_coverage_resolution": resolution} if resolution else {}
    return out


def _resolution(starts: np.ndarray, ends: np.ndarray) -> str | None:
    """Length of a step in ISO 8601 if all steps are alike: day, eight days, month or year."""
    first, last = _days(starts), _days(ends)
    alone = len(starts) > 1 and starts is ends  # without bounds
    lengths = np.asarray(first[1:] - first[:-1] if alone else last - first)
    lengths = lengths.astype("timedelta64[D]").astype(int) + (0 if alone else 1)
    for least, most, name in _STEPS:
        if least <= lengths.min() and lengths.max() <= most:
            return name
    return None


def _place(ds: xr.Dataset) -> dict[str, Any]:
    """Bounding box in latitude and longitude; reads the values of these coordinates."""
    out: dict[str, Any] = {}
    for part, standard_name in (("lat", "latitude"), ("lon", "longitude")):
        found = [array for array in ds.coords.values() if array.attrs.get("standard_name") == standard_name]
        if len(found) != 1 or found[0].dtype.kind != "f":
            continue
        values = found[0].values
        known = values[np.isfinite(values)]
        if known.size:
            out |= {
                f"geospatial_{part}_min": float(known.min()),
                f"geospatial_{part}_max": float(known.max()),
            }
            out[f"geospatial_{part}_units"] = str(found[0].attrs.get("units", "degrees"))
    return out


def _like(values: np.ndarray, step: timedelta) -> Any:
    return np.timedelta64(step) if values.dtype.kind == "M" else step


def _days(stamps: np.ndarray) -> np.ndarray:
    """Midnight of time stamps, in their calendar."""
    if stamps.dtype.kind == "M":
        return stamps.astype("datetime64[D]")
    return np.array([stamp.replace(hour=0, minute=0, second=0, microsecond=0) for stamp in stamps])
