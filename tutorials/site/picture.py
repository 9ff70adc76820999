"""Draw ``tutorials/hydrograph.png``, the picture of the README: ``python tutorials/site/picture.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib

import hydroxr as hx

matplotlib.use("Agg")

ds = hx.open_sample("Baskatong")
model = ds.hbv.fit(
    hx.DeltaHBV(components=16, network="constant"), time=slice("1980-01-01", "2002-10-19"), progress=False
)
axes = ds.hbv.simulate(model).hbv.plot.hydrograph(ds, time=slice("2004-10-01", "2006-02-12"))
axes[0].figure.savefig(Path(__file__).parents[1] / "hydrograph.png", dpi=100)
