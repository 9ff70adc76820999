"""What tests read from maps, and a region that is higher than wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    import matplotlib.collections
    import matplotlib.transforms


def drawn_values(axes) -> matplotlib.collections.Collection:
    (collection,) = [each for each in axes.collections if each.get_array() is not None]
    return collection


def boxes_of(texts) -> list[matplotlib.transforms.Bbox]:
    return [text.get_window_extent() for text in texts if text.get_text()]


def tall(values: xr.DataArray | xr.Dataset) -> xr.DataArray | xr.Dataset:
    """In a region 5 degrees wide and 22 high."""
    return values.assign_coords(lon=-78 + 5 * (values["lon"] + 96) / 52)
