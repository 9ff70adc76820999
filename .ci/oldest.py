"""Print pip constraints that hold hydroxr's requirements at the oldest versions that pyproject.toml allows.

    python .ci/oldest.py > constraints.txt

Indirect requirements and tools keep their versions of constraints.txt, except those that are released
together with a requirement.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNTIME_EXTRAS = ("plot", "maps", "basins", "modis", "transactions")
FOLLOWERS = {"distributed", "llvmlite"}  # dask and numba choose their versions


def canonical(name: str) -> str:
    """The normalised name of a distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lower_bounds() -> dict[str, str]:
    """Lowest version by distribution; each requirement must have one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounds = {}
    for requirement in [
        *project["dependencies"],
        *(each for name in RUNTIME_EXTRAS for each in extras[name]),
    ]:
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        if name[0] == project["name"]:
            continue
        lowest = re.search(r">=([\d.]+)", requirement)
        assert lowest is not None, f"pyproject.toml gives no lower bound: {requirement}"
        bounds[canonical(name[0])] = lowest[1]
    return bounds


def constraints() -> Iterator[str]:
    """Lines for pip."""
    bounds = lower_bounds()
    bounds.pop("torch")  # one build serves all environments
    yield from (f"{name}=={version}" for name, version in bounds.items())
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        pin = re.match(r"[\w.-]+(?===)", line)
        if pin and canonical(pin[0]) not in bounds.keys() | FOLLOWERS:
            yield line.partition("  #")[0]


if __name__ == "__main__":
    print("\n".join(constraints()))
