"""The public names of hydroxr.compare."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hydroxr as hx


def test_every_public_name_is_there() -> None:
    for name in hx.compare.__all__:
        assert callable(getattr(hx.compare, name)), name
    assert sorted(hx.compare.__all__) == dir(hx.compare)
    with pytest.raises(AttributeError, match="gleam"):
        hx.compare.gleam  # noqa: B018


def test_importing_it_loads_no_library_of_an_extra() -> None:
    """Nor numba, which only the filters need, nor pint, which reads units."""
    code = (
        "import sys, hydroxr.compare as c; [getattr(c, name) for name in c.__all__]; "
        "heavy = ('rasterio', 'shapely', 'pyproj', 'numba', 'torch', 'matplotlib', 'pint'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_library_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import xarray as xr

    for module in ("shapely", "rasterio"):
        monkeypatch.setitem(sys.modules, module, None)
    grid = xr.Dataset(coords={"lat": np.arange(3.0), "lon": np.arange(3.0)})
    with pytest.raises(ImportError, match=r"hydroxr\[basins\]"):
        hx.compare.area_weights(grid, {"a": object()})
    with pytest.raises(ImportError, match=r"hydroxr\[modis\]"):
        hx.compare.open_mod16(["MOD16A2GF.061_ET_500m_doy2010001_aid0001.tif"])
