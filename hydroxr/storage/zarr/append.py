"""Adding later days to a run in a Zarr store while others read it.

All chunks are written first, then the longer shapes in the metadata of the arrays, and last, in
one step, the metadata of the root: whoever opens the store with its consolidated metadata, as
xarray does, finds the days before, or all of them. Where a chunk has room for later days it is
replaced by one with the same values for the days that are published.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import lcm
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import xarray as xr
from xarray.conventions import decode_cf_variable, encode_cf_variable

from ..._version import __version__
from ...conventions import acdd
from ...conventions.attributes import LAST_START, START
from ...conventions.cf import for_file, timestamp
from ...conventions.labels import in_same_terms
from ...errors import (
    CoordinateError,
    DescriptionError,
    DimensionError,
    MissingVariableError,
    StateError,
    StoreError,
    TimeAxisError,
)
from ...support.atomic import only_writer
from ..packing import to_write
from .blocks import chunks_of
from .continuity import check_seam, check_start, check_written_seam
from .identity import fingerprint, graph_names, model_and_cells, source_of
from .layout import NUMERIC, is_lazy, prepare
from .location import Place
from .manifest import (
    LOCK,
    ROOT_KEYS,
    BlockGrid,
    Manifest,
    WritePlan,
    differences,
    entry,
    plans,
    read_manifest,
    read_root,
)
from .run import ZarrRun, publish, tidy, write_missing

_GREGORIAN = ("standard", "gregorian", "proleptic_gregorian")  # the same from 1582-10-15 on


def append(ds: xr.Dataset, place: Place, dim: str, *, as_it_is: bool, progress: bool) -> None:
    """Add the days of ``ds`` to the store; see :func:`hydroxr.storage.to_zarr.to_zarr`."""
    check_append(dim, as_it_is=as_it_is)
    with _locked(place):
        root = read_root(place)
        manifest = read_manifest(place, root) if root else None
        if manifest is None:
            raise _noappend_run(place)
        old = xr.open_zarr(place.store, consolidated=True, chunks=None, mask_and_scale=False)
        check_start(old, ds, place.name)  # before anything lazy is computed, coordinates too
        options = {name: manifest.options[name] for name in ("packed", "keep_bits")}
        out = prepare(to_write(ds, **options))
        same = fingerprint(out, BlockGrid({}, {}), {}, {}, source_of(ds))
        same["lazy values"] = graph_names(ds)  # other values for the same days are no repetition
        if same in manifest.written(place):  # a call that was ended after the last step, or a script again
            tidy(place, manifest)
            return
        check_continues(old, out, place.name)
        if not is_lazy(ds):
            check_seam(place, for_file(ds))
        run = append_run(out, old, place, manifest.options, same, progress)
        _write(run, old, place, root, manifest)


def check_append(dim: str, *, as_it_is: bool) -> None:
    """Refuse what cannot be chosen of an append.

    Raises
    ------
    DimensionError, DescriptionError
    """
    if dim != "time":
        raise DimensionError(f"append_dim is {dim!r}; expected 'time': only days are added to a run.")
    if not as_it_is:
        raise DescriptionError(
            "append_dim cannot be combined with overwrite, layout, shards, zarr_format, packed or keep_bits: "
            "days are added with the layout and the encoding of the store."
        )


def _write(run: ZarrRun, old: xr.Dataset, place: Place, root: dict[str, bytes], manifest: Manifest) -> None:
    """Write all that is missing, and publish."""
    start = old.sizes["time"]
    pending = longer(place, root, old, run.ds)
    begun = [plan for plan in plans(place) if plan.fingerprint == run.fingerprint and plan.grid == run.grid]
    head = chunks_of(place, pending, coordinates(run.ds, old))
    if begun:
        plan = begun[0]
    else:
        plan = WritePlan(
            uuid4().hex[:12],
            run.fingerprint,
            run.grid,
            root={key: raw.decode() for key, raw in pending.items() if key in ROOT_KEYS},
            pending={key: raw.decode() for key, raw in pending.items() if key not in ROOT_KEYS},
            files={key: entry(raw) for key, raw in head.items()},
            options=manifest.options,
        )
        place.put({plan.key: plan.sealed()})
    place.put(head)
    metadata = {key: text.encode() for key, text in plan.pending.items()}
    write_missing(run, place, plan, metadata)
    if is_lazy(run.ds):  # its values are known only now
        try:
            check_written_seam(place, plan, start)
        except StateError:
            place.delete(place.sizes(f"{plan.folder}/"))
            raise
    publish(place, plan, manifest)
    place.sweep()


def check_continues(old: xr.Dataset, new: xr.Dataset, name: str) -> None:
    """The same model, cells and variables, and days that follow.

    Raises
    ------
    CoordinateError, MissingVariableError, TimeAxisError, StoreError
    """
    before = {str(key) for key, array in old.data_vars.items() if "time" in array.dims}
    after = {str(key) for key, array in new.data_vars.items() if "time" in array.dims}
    if before != after:
        texts = [
            f"{what} {', '.join(sorted(names))}"
            for what, names in (
                ("the store alone has", before - after),
                ("the run alone has", after - before),
            )
            if names
        ]
        raise MissingVariableError(
            f"{name} and the run to append have different variables: {'; '.join(texts)}. Simulate the same "
            "variables."
        )
    there, here = (model_and_cells(ds.attrs, ds) for ds in in_same_terms(old, new))
    text = differences(there, here)
    if "coordinate" in text:
        raise CoordinateError(f"{name} has other cells than the run to append; they differ in {text}.")
    if text:
        raise StoreError(
            f"{name} holds a run of another model or with other variables than the run to append; they "
            f"differ in {text}. Expected later days of the same model, from the state at the end of the "
            "store: simulate(model, initial_state=state)."
        )
    calendars = [_calendar(ds) for ds in (old, new)]
    if calendars[0] != calendars[1]:
        raise TimeAxisError(f"{name} has the calendar {calendars[0]}, the run to append {calendars[1]}.")
    _check_days(old, new, name, gregorian=calendars[0] == _GREGORIAN[0])


def _check_days(old: xr.Dataset, new: xr.Dataset, name: str, *, gregorian: bool) -> None:
    """Days, or the bounds of months, years and composites, follow each other."""
    lengths = [ds.attrs.get("time_coverage_resolution", "P1D") for ds in (old, new)]
    if lengths[0] != lengths[1]:
        raise TimeAxisError(f"{name} has steps of {lengths[0]}, the run to append of {lengths[1]}.")
    last = old.sizes["time"] - 1
    index = _joined([ds["time"].values for ds in (old, new)], gregorian)
    if lengths[0] != "P1D" and "time_bnds" in old.coords and "time_bnds" in new.coords:
        bounds = [ds["time_bnds"].transpose("time", ...).values for ds in (old, new)]
        starts, ends = (_joined([part[:, end] for part in bounds], gregorian) for end in (0, 1))
        wrong = np.flatnonzero(starts[last + 1 :] != ends[last:-1])
    else:
        steps = np.diff(index)
        wrong = np.flatnonzero(steps[last:] != (steps[0] if last else np.timedelta64(1, "D")))
    if len(wrong):
        place = last + int(wrong[0])
        days = (str(day)[:10] for day in (index[last], index[place + 1], index[place]))
        raise TimeAxisError(
            "{} ends on {}, and in the run to append {} follows {}; expected the next day, or step, without "
            "gap or overlap.".format(name, *days)
        )


def _joined(parts: list[np.ndarray], gregorian: bool) -> Any:
    """Stamps of the store and of the run as one; in the standard calendar one may be of cftime."""
    indexes: list[Any] = [
        xr.CFTimeIndex(part) if part.dtype.kind == "O" else pd.DatetimeIndex(part) for part in parts
    ]
    if gregorian:
        indexes = [
            index.to_datetimeindex(time_unit="us") if isinstance(index, xr.CFTimeIndex) else index
            for index in indexes
        ]
    return indexes[0].append(indexes[1])


def _calendar(ds: xr.Dataset) -> str:
    """Its name; one name for those that agree on all days of the run."""
    calendar = str(ds["time"].dt.calendar)
    early = int(ds["time"].dt.year[0]) <= 1582
    return calendar if early or calendar not in _GREGORIAN else _GREGORIAN[0]


def append_run(
    out: xr.Dataset,
    old: xr.Dataset,
    place: Place,
    options: dict[str, Any],
    same: dict[str, str],
    progress: bool,
) -> ZarrRun:
    """The new days in blocks of whole chunks of the store."""
    import zarr

    group = zarr.open_group(place.store, mode="r")
    names = [str(name) for name, array in old.data_vars.items() if "time" in array.dims]
    variables = {name: [str(dim) for dim in old[name].dims] for name in names}
    chunks: dict[str, int] = {}
    for name, dims in variables.items():
        out[name] = out[name].transpose(*dims)
        if out[name].dtype.kind not in NUMERIC:
            out[name] = (dims, _as_stored(out[name], old[name]))
        array = group[name]
        assert isinstance(array, zarr.Array)
        for dim, chunk in zip(dims, array.shards or array.chunks, strict=True):
            chunks[dim] = lcm(chunks.get(dim, 1), chunk)
    edges: dict[str, list[int]] = {}
    for dim, chunk in chunks.items():
        start = old.sizes["time"] if dim == "time" else 0
        stop = start + out.sizes[dim]
        block = out.chunksizes[dim][0] if dim in out.chunksizes else stop - start
        step = max(1, block // chunk) * chunk
        first = (start // chunk + 1) * chunk
        edges[dim] = [start, *range(first if start else step, stop, step), stop]
    if is_lazy(out):
        sizes = {dim: tuple(np.diff(places).tolist()) for dim, places in edges.items()}
        for name, dims in variables.items():
            out[name] = out[name].chunk({dim: sizes[dim] for dim in dims})
    return ZarrRun(out, BlockGrid(edges, variables), {}, options, same, progress)


def coordinates(new: xr.Dataset, old: xr.Dataset) -> Iterator[tuple[str, tuple[slice, ...], np.ndarray]]:
    """Coordinates over time, as the store has them: name, where they go, values."""
    days = slice(old.sizes["time"], old.sizes["time"] + new.sizes["time"])
    for name in map(str, old.coords):
        if "time" not in old[name].dims:
            continue
        if name not in new.coords:
            raise MissingVariableError(
                f"the run to append lacks the coordinate {name!r}, which the store has."
            )
        region = tuple(days if dim == "time" else slice(None) for dim in old[name].dims)
        yield name, region, _as_stored(new[name].transpose(*old[name].dims), old[name])


def _as_stored(new: xr.DataArray, old: xr.DataArray) -> np.ndarray:
    """Values with the units, calendar and type of the store, from which they are read as they are.

    Raises
    ------
    TimeAxisError, CoordinateError
        Where the store's units or type cannot express them.
    """
    coding = {key: old.encoding[key] for key in ("units", "calendar") if key in old.encoding}
    dtype = np.dtype(old.encoding.get("dtype", old.dtype)) if coding else old.dtype
    given = new.variable.copy(deep=False)
    given.attrs, given.encoding = {}, {**coding, "dtype": dtype} if coding else {}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Time.* can't be serialized faithfully")
            values = encode_cf_variable(given).values if coding else given.values
            stored = xr.Variable(given.dims, values.astype(dtype), coding)
            dates = xr.coders.CFDatetimeCoder(use_cftime=given.dtype.kind == "O" or None)
            how: Any = {"decode_times": dates, "decode_timedelta": True}
            read = decode_cf_variable(str(old.name), stored, **how) if coding else stored
        floats = given.dtype.kind == read.dtype.kind == "f"  # these may be rounded
        exact = read.equals(given.astype(read.dtype) if floats else given)
    except (ValueError, TypeError, OverflowError):
        exact = False
    if not exact:
        kind = " of ".join(filter(None, [str(dtype), coding.get("units")]))
        raise (TimeAxisError if old.name in ("time", "time_bnds") else CoordinateError)(
            f"the store has {old.name!r} as {kind}, which cannot express the values of the run to append, "
            f"such as {np.ravel(given.values)[0]}; expected the same type, calendar and time of the day."
        )
    return stored.values


def longer(place: Place, root: dict[str, bytes], old: xr.Dataset, new: xr.Dataset) -> dict[str, bytes]:
    """The metadata of all arrays over time, and of the root, with the days of ``new`` as well."""
    stop = old.sizes["time"] + new.sizes["time"]
    axes = {str(name): [str(dim) for dim in array.dims] for name, array in old.variables.items()}
    axes = {name: dims for name, dims in axes.items() if "time" in dims}
    now = timestamp()
    note = f"{now}: {_period(new)} appended with hydroxr {__version__}"
    root = {key: raw for key, raw in root.items() if key in ROOT_KEYS}
    out: dict[str, bytes] = {}
    kind = "zarr.json" if "zarr.json" in root else ".zarray"
    for name, dims in axes.items():
        key = f"{name}/{kind}"
        content = json.loads(place.get(key) or b"{}")
        content["shape"][dims.index("time")] = stop
        out[key] = _as_bytes(content)
    contents = {key: json.loads(raw) for key, raw in root.items()}
    if kind == "zarr.json":
        nodes = (contents[kind].get("consolidated_metadata") or {}).get("metadata", {})
        places: list[Any] = [contents[kind]["attributes"]]
    else:
        nodes = {
            key.removesuffix("/.zarray"): node for key, node in contents[".zmetadata"]["metadata"].items()
        }
        places = [contents[".zattrs"], contents[".zmetadata"]["metadata"][".zattrs"]]
    for name, dims in axes.items() if nodes else ():
        nodes[name]["shape"][dims.index("time")] = stop
    for attributes in places:
        attributes |= acdd.after_append(attributes, new.attrs, now)
        attributes |= {LAST_START: new.attrs[START]} if START in new.attrs else {}
        attributes["history"] = f"{attributes.get('history', '')}\n{note}".strip()
    return out | {key: _as_bytes(content) for key, content in contents.items()}


def _period(ds: xr.Dataset) -> str:
    """Its first and last day, of months too."""
    keys = ("time_coverage_start", "time_coverage_end")
    ends = [str(ds.indexes["time"][place])[:10] for place in (0, -1)]
    return " to ".join(str(ds.attrs.get(key, end)) for key, end in zip(keys, ends, strict=True))


def _as_bytes(content: Any) -> bytes:
    return json.dumps(content, indent=2).encode()


def _noappend_run(place: Place) -> StoreError:
    return StoreError(
        f"{place.name} is not a complete store with a manifest; days can only be added to a store that "
        "to_zarr wrote."
    )


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    if place.folder is None:
        yield
        return
    lock = place.folder / LOCK
    if not lock.parent.is_dir():
        raise _noappend_run(place)
    with only_writer(lock, place.name):
        yield
