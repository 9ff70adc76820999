"""Where other projects document what our docstrings name, so that the site links there without a fetch.

Each line of ``inventories.txt`` is ``project role name page``. From it this module writes inventories that
intersphinx reads.
"""

from __future__ import annotations

import zlib
from pathlib import Path

ADDRESSES = {
    "python": "https://docs.python.org/3/",
    "numpy": "https://numpy.org/doc/stable/",
    "pandas": "https://pandas.pydata.org/docs/",
    "xarray": "https://docs.xarray.dev/en/stable/",
    "distributed": "https://distributed.dask.org/en/stable/",
    "torch": "https://docs.pytorch.org/docs/stable/",
    "matplotlib": "https://matplotlib.org/stable/",
}

# Words of our docstrings, and what they mean.
ALIASES = {
    "Dataset": "xarray.Dataset",
    "Datasets": "xarray.Dataset",
    "DataArray": "xarray.DataArray",
    "Path": "pathlib.Path",
    "Axes": "matplotlib.axes.Axes",
    "Figure": "matplotlib.figure.Figure",
    "ndarray": "numpy.ndarray",
    "Tensor": "torch.Tensor",
    "DataFrame": "pandas.DataFrame",
    "Client": "distributed.Client",
    "dask.distributed.Client": "distributed.Client",
    "slice": "slice",
    "timedelta": "datetime.timedelta",
}
# A full name stands for itself; numpydoc takes no notice of one that is spelled alike.
ALIASES |= {name: f".{name}" for name in set(ALIASES.values())}


def entries() -> dict[str, list[tuple[str, str, str]]]:
    """Role, name and page of each object, by project."""
    found: dict[str, list[tuple[str, str, str]]] = {project: [] for project in ADDRESSES}
    for line in Path(__file__).with_name("inventories.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            project, role, name, page = line.split()
            found[project].append((role, name, page))
    return found


def written(folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory per project into ``folder``; what ``intersphinx_mapping`` wants."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, objects in entries().items():
        head = (
            f"# Sphinx inventory version 2\n# Project: {project}\n# Version: stable\n"
            "# The remainder of this file is compressed using zlib.\n"
        )
        lines = "".join(f"{name} {role} 1 {page} -\n" for role, name, page in objects)
        path = folder / f"{project}.inv"
        path.write_bytes(head.encode() + zlib.compress(lines.encode()))
        mapping[project] = (ADDRESSES[project], str(path))
    return mapping
