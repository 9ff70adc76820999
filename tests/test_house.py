"""Rules of the package that a look at its files can check; import-linter checks who may import whom."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hydroxr"

MOST_FILES = 13  # in a folder
MOST_LINES = 400  # in a file
MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_KERNEL = 75  # which a compiler must see whole

# Parts of other projects that may change without notice.
PRIVATE = ("dask._", "distributed._", "numba._", "xarray._", "zarr._", "torch._")
PRIVATE += ("xarray.backends.", "xarray.coding", "xarray.core", "xarray.namedarray", "zarr.core")
WITHOUT_PUBLIC_COUNTERPART = {"xarray.coding.times.encode_cf_datetime", "zarr.core.sync.sync"}

# The one place where each is called.
HOMES = {
    "os.fsync": "support/atomic.py",
    "os.replace": "support/atomic.py",
    "os.rename": "support/atomic.py",
    "hashlib": "support/checksums.py",
    "zlib": "support/checksums.py",
}

Functions = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, ast.Module]:
    """Every file of the package, parsed, by path."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports(module: ast.Module) -> Iterator[tuple[str, str, bool]]:
    """Module, name (empty where the module itself is imported) and whether it belongs to hydroxr."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", alias.name.startswith("hydroxr")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            ours = node.level > 0 or source.startswith("hydroxr")
            yield from ((source, alias.name, ours) for alias in node.names)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def length(function: Functions) -> int:
    """Lines of the body, without the docstring and the functions defined within."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    lines = (function.end_lineno or 0) - body[0].lineno + 1
    within = (node for statement in body for node in ast.walk(statement) if isinstance(node, Functions))
    return lines - sum((node.end_lineno or 0) - node.lineno + 1 for node in within)


def test_no_file_is_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_function_is_long() -> None:
    lengths = {
        f"{path}:{node.name}": length(node)
        for path, module in modules().items()
        for node in ast.walk(module)
        if isinstance(node, Functions)
    }
    assert {
        name: lines
        for name, lines in lengths.items()
        if lines > (MOST_LINES_OF_A_KERNEL if name.startswith("physics/") else MOST_LINES_OF_A_FUNCTION)
    } == {}


def test_no_folder_is_full() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py"))
    counts |= Counter(path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py"))
    assert {folder: files for folder, files in counts.items() if files > MOST_FILES} == {}


def test_no_module_uses_a_private_name_of_another() -> None:
    """Neither imported nor as an attribute of an imported module."""
    found = set()
    for path, module in modules().items():
        imported = {name for _, name, ours in imports(module) if ours and name}
        found |= {(path, name) for name in imported if is_private(name) and name != "_version"}
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                stem = node.value.id
                is_module = any(Path(other).stem == stem for other in modules()) and stem in imported
                if is_module and is_private(node.attr):
                    found.add((path, f"{stem}.{node.attr}"))
    assert found == set()


def test_no_private_part_of_another_project_is_used() -> None:
    found = {
        (path, f"{source}.{name}".rstrip("."))
        for path, module in modules().items()
        for source, name, ours in imports(module)
        if not ours and f"{source}.{name}.".startswith(PRIVATE)
    }
    assert {(path, name) for path, name in found if name not in WITHOUT_PUBLIC_COUNTERPART} == set()


def test_files_are_made_whole_and_digested_in_one_place() -> None:
    found = set()
    for path, module in modules().items():
        used = {ast.unparse(node) for node in ast.walk(module) if isinstance(node, ast.Attribute)}
        used |= {source for source, _, _ in imports(module)}
        used |= {f"{source}.{name}" for source, name, _ in imports(module)}
        found |= {(path, name) for name in used & HOMES.keys() if path != HOMES[name]}
    assert found == set()


def test_tests_mirror_the_package() -> None:
    """Folders of tests are those of the package, or hold what no package has."""
    others = {"benchmarks", "cf", "faults", "fixtures", "support", "tutorials"}
    tests = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    strays = {folder for folder in tests if not (PACKAGE / folder).is_dir() and str(folder) not in others}
    assert strays == set()


def test_installed_packages_are_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
