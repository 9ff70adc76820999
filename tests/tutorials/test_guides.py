"""The README and the guides name only what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType

import pytest

import hydroxr as hx
from hydroxr.accessor import HBVAccessor
from hydroxr.accessor_plot import Plots

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "tutorials" / "site" / "guides").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *GUIDES]
WITH_FILES = ["how_it_works.md", "contributing.md"]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def attribute_names(node: ast.AST) -> list[str]:
    """``hx.plot.map`` as its names, if the node is a chain of names."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else ["", *names]


def missing_names(code: str) -> list[str]:
    """Names of hydroxr in the code that do not exist."""
    missing = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Attribute):
            continue
        names = attribute_names(node)
        if names[0] == "hx":
            found: object = hx
            for name in names[1:]:
                found = getattr(found, name, None) if isinstance(found, ModuleType | type) else found
                if found is None:
                    missing.append(".".join(names))
                    break
        if "hbv" in names[:-1]:
            owner = Plots if names[-2] == "plot" else HBVAccessor
            if names[names.index("hbv") + 1] != names[-1] and owner is HBVAccessor:
                continue
            if not hasattr(owner, names[-1]):
                missing.append(".".join(names))
    return missing


@pages
def test_code_is_valid_and_names_exist(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        assert not missing_names(code)


@pages
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in [link for link in links if not link.startswith("http")]:
        # On the site the tutorials lie beside the guides, in the repository two folders up.
        found = (page.parent / link, page.parent / link.replace("../tutorials/", "../../"))
        assert any(path.exists() for path in found), link


@pytest.mark.parametrize("name", WITH_FILES)
def test_files_that_guides_name_exist(name: str) -> None:
    text = (ROOT / "tutorials" / "site" / "guides" / name).read_text(encoding="utf-8")
    for path in set(re.findall(r"`([\w./]+(?:\.py|/))`", text)):
        places = (ROOT / path, ROOT / "hydroxr" / path, ROOT / "hydroxr" / "simulation" / path)
        assert any(place.exists() for place in places), path


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
