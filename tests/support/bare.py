"""Run a program as if only some packages and their requirements were installed.

    python tests/support/bare.py xarray,zarr program.py its arguments

To import any other package, hydroxr included, raises ImportError.
"""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, PackageNotFoundError, packages_distributions, requires
from types import ModuleType
from typing import Any


def canonical(name: str) -> str:
    """The normalised name of a distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: Sequence[str]) -> set[str]:
    """The distributions and their requirements, extras left out."""
    found: set[str] = set()
    todo = [canonical(name) for name in names]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue
        todo += [canonical(re.split(r"[^\w.-]", text)[0]) for text in needed if "extra ==" not in text]
    return found


class Present(MetaPathFinder):
    """The usual finders, blind to absent packages."""

    def __init__(self, there: set[str], absent: set[str], finders: Sequence[Any]) -> None:
        self.there, self.absent, self.finders = there, absent, finders

    def find_distributions(self, *context: Any) -> Iterator[Distribution]:
        """Metadata of present packages: versions, entry points."""
        for finder in self.finders:
            for found in getattr(finder, "find_distributions", lambda *context: ())(*context):
                if canonical(found.metadata["Name"]) in self.there:
                    yield found

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.absent:
            return None
        specs = (finder.find_spec(fullname, path, target) for finder in self.finders)
        return next((spec for spec in specs if spec is not None), None)


if __name__ == "__main__":
    there = closure(sys.argv[1].split(","))
    absent = {
        module
        for module, owners in packages_distributions().items()
        if not any(canonical(owner) in there for owner in owners)
    }
    sys.meta_path[:] = [Present(there, absent | {"hydroxr"}, list(sys.meta_path))]
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
