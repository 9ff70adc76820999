"""The folders of the published CAMELS-US set, and a Dataset of their files."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..errors import DataFileError
from .camels_text import FORCING_VARIABLES, AttributeRows, read_attributes, read_forcing, read_streamflow

_FORCING_SUFFIX = "_forcing_leap.txt"
_STREAMFLOW_SUFFIX = "_streamflow_qc.txt"

# Name of an attribute in hydroxr -> its published name, if different ("porostiy" is not a typo here).
_PUBLISHED = {
    "lat": "gauge_lat",
    "lon": "gauge_lon",
    "basin_name": "gauge_name",
    "geol_class_1st": "geol_1st_class",
    "geol_class_1st_frac": "glim_1st_class_frac",
    "geol_class_2nd": "geol_2nd_class",
    "geol_class_2nd_frac": "glim_2nd_class_frac",
    "geol_porosity": "geol_porostiy",
}

# Depth in mm of 1 ft3/s over a day on 1 km2.
_MM_KM2_PER_CUBIC_FOOT = 0.3048**3 * 86400.0 / 1e6 * 1e3


@dataclass(frozen=True)
class Layout:
    """The three folders of the published set."""

    forcing: Path
    streamflow: Path
    attributes: Path

    def table(self, name: str) -> Path:
        """Path of an attribute table."""
        return self.attributes / f"camels_{name}.txt"


def find_layout(path: Path) -> Layout | None:
    """Find the published set in a folder; None if there is no folder of forcing.

    Parameters
    ----------
    path
        The folder with ``basin_mean_forcing``, or one above it: the archive of the series unpacks to
        ``basin_dataset_public_v1p2``, and that of the attributes to a folder next to it.
    """
    nested = "basin_dataset_public_v1p2"
    bases = (path, path / nested, path / "basin_timeseries_v1p2_metForcing_obsFlow" / nested)
    base = next((base for base in bases if (base / "basin_mean_forcing").is_dir()), None)
    if base is None:
        return None
    streamflow = base / "usgs_streamflow"
    if not streamflow.is_dir():
        raise DataFileError(
            f"{streamflow}: is absent; expected this folder next to basin_mean_forcing, as in the archive "
            "with both. Put it there."
        )
    name = "camels_attributes_v2.0"
    # The tables are published separately, in an archive that repeats the name of the folder inside.
    places = [folder / sub for folder in (base, path) for sub in (name, f"{name}/{name}", ".")]
    attributes = next((place for place in places if (place / "camels_name.txt").is_file()), None)
    if attributes is None:
        raise DataFileError(
            f"{path / name / 'camels_name.txt'}: is absent; expected the attribute tables of CAMELS-US in "
            f"the folder {name}. Download them and put them there."
        )
    return Layout(base / "basin_mean_forcing", streamflow, attributes)


def open_published(
    layout: Layout,
    folder: str,
    product: str,
    columns: Mapping[str, Mapping[str, bool]],
    wanted: set[str] | None,
) -> xr.Dataset:
    """Read forcing, streamflow and catchment attributes into a Dataset; its variables have no metadata.

    Parameters
    ----------
    layout
        See :func:`find_layout`.
    folder, product
        Folder and title of the forcing product.
    columns
        Attribute table -> attribute -> whether it is text.
    wanted
        Gauges to read; None: all with a forcing file.
    """
    tables = _read_tables(layout, columns)
    gauges = list(tables["name"])
    forcing_files = _forcing_files(layout, folder, product)
    if wanted is not None:
        check_known(wanted, gauges, layout.table("name"))
        check_known(wanted, forcing_files, layout.forcing / folder)
    chosen = [gauge for gauge in gauges if gauge in (forcing_files if wanted is None else wanted)]
    if not chosen:
        raise DataFileError(
            f"{layout.forcing / folder}: holds no file of a gauge of {layout.table('name')}; expected names "
            f"such as {gauges[0]}_...{_FORCING_SUFFIX}. Check that both belong to CAMELS-US."
        )
    series = _read_series({gauge: forcing_files[gauge] for gauge in chosen}, tables["topo"], layout)
    ds = xr.Dataset(series, coords={"basin_id": ("basin", np.array(chosen))})
    if np.array_equal(ds["tmin"], ds["tmax"], equal_nan=True):
        ds = ds.drop_vars("tmax").rename(tmin="tmean")
        ds["tmean"].attrs["comment"] = "published as tmin and tmax, which are equal throughout"
    for table, names in columns.items():
        for name in names:
            ds[name] = ("basin", np.array([tables[table][gauge][name] for gauge in chosen]))
    without = sum(gauge not in forcing_files for gauge in gauges)
    ds.attrs = {
        "title": f"CAMELS-US, {product} forcing, {len(chosen)} basins",
        "source": f"CAMELS-US as published: {product} forcing, USGS streamflow, attributes 2.0",
        "comment": f"{without} of the {len(gauges)} basins of the attribute tables have no forcing file here",
    }
    return ds.set_coords(["basin_name", "lat", "lon"])


def check_known(wanted: set[str], known: Iterable[str], where: Path) -> None:
    """Raise a DataFileError if some of the wanted gauges are unknown."""
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise DataFileError(
            f"{where}: has no basin {', '.join(unknown)}; expected gauges of this set, with eight digits. "
            "Correct basins=, or add the missing file."
        )


def _gauge_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Files of a folder by gauge, with or without a subfolder per region.

    The region is ignored, since it may differ between forcing, streamflow and tables.
    """
    found: dict[str, Path] = {}
    for file in (*sorted(folder.glob(f"*{suffix}")), *sorted(folder.glob(f"*/*{suffix}"))):
        first = found.setdefault(file.name.partition("_")[0], file)
        if first is not file and not filecmp.cmp(first, file, shallow=False):
            raise DataFileError(
                f"{file}: differs from {first}, which belongs to the same gauge; expected one file per "
                "gauge. Remove the wrong one."
            )
    return found


def _forcing_files(layout: Layout, folder: str, product: str) -> dict[str, Path]:
    found = _gauge_files(layout.forcing / folder, _FORCING_SUFFIX)
    if not found:
        held = ", ".join(sorted(sub.name for sub in layout.forcing.iterdir() if sub.is_dir())) or "no folder"
        raise DataFileError(
            f"{layout.forcing / folder}: holds no *{_FORCING_SUFFIX}, and {layout.forcing} holds {held}; "
            f"expected one file per basin. Put the {product} files there, or choose another forcing."
        )
    return found


def _read_tables(layout: Layout, columns: Mapping[str, Mapping[str, bool]]) -> dict[str, AttributeRows]:
    """Attribute tables, with the names of hydroxr for the columns."""
    tables: dict[str, AttributeRows] = {}
    for table, kinds in columns.items():
        path = layout.table(table)
        published = {name: _PUBLISHED.get(name, name) for name in kinds}
        rows = read_attributes(path, {published[name]: is_text for name, is_text in kinds.items()})
        absent = [gauge for gauge in tables.get("name", {}) if gauge not in rows]
        if absent or not rows:
            found = f"{len(absent)} gauges of camels_name.txt (first {absent[0]})" if absent else "any gauge"
            raise DataFileError(
                f"{path}: has no line for {found}; expected one line per gauge. Download the file again."
            )
        tables[table] = {gauge: {name: row[published[name]] for name in kinds} for gauge, row in rows.items()}
    return tables


def _read_series(
    chosen: Mapping[str, Path], topo: AttributeRows, layout: Layout
) -> dict[str, tuple[tuple[str, ...], npt.NDArray[Any]]]:
    """Read forcing and streamflow of the chosen gauges (gauge -> forcing file)."""
    streamflow_files = _gauge_files(layout.streamflow, _STREAMFLOW_SUFFIX)
    for gauge, path in chosen.items():
        if gauge not in streamflow_files:
            raise DataFileError(
                f"{layout.streamflow / (gauge + _STREAMFLOW_SUFFIX)}: is absent, also in the folders of "
                f"regions, while {path} exists; expected a streamflow file for each forcing file. Download "
                "it, or leave the basin out with basins=."
            )
    forcings = {gauge: read_forcing(path) for gauge, path in chosen.items()}
    # The files are stamped 12 h. Stamp days 00:00, like streamflow and other products, since series stamped
    # 00 h and 12 h have no time in common.
    time = np.unique(np.concatenate([days for days, _ in forcings.values()]))
    shape = (len(chosen), time.size)
    # Fill row by row and free each series that was read, so that memory never holds both in full. Types
    # are those of the compact file.
    data = {name: np.empty(shape) for name in FORCING_VARIABLES}
    data["streamflow"] = np.empty(shape, np.float32)
    flags = np.zeros(shape, np.int8)  # "missing" where a file has no line
    for k, gauge in enumerate(chosen):
        for values in data.values():
            values[k] = np.nan
        days, forcing = forcings.pop(gauge)
        for name, series in forcing.items():
            data[name][k, np.searchsorted(time, days)] = series
        days, discharge, codes = read_streamflow(streamflow_files[gauge], gauge)
        area = float(topo[gauge]["area_gages2"])
        if not area > 0:
            raise DataFileError(
                f"{layout.table('topo')}: has {area} km2 as area_gages2 of gauge {gauge}; expected a "
                "positive number, to divide streamflow by. Download the file again."
            )
        within = np.isin(days, time)
        at = np.searchsorted(time, days[within])
        data["streamflow"][k, at] = discharge[within] * (_MM_KM2_PER_CUBIC_FOOT / area)
        flags[k, at] = codes[within]
    dims = ("basin", "time")
    return {
        "time": (("time",), time.astype("datetime64[ns]")),
        **{name: (dims, values) for name, values in data.items()},
        "streamflow_flag": (dims, flags),
    }
