"""The pages of the API reference: one for each public name, made from the package itself."""

from __future__ import annotations

import importlib
import inspect
import operator
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import hydroxr as hx
from hydroxr.accessor import HBVAccessor
from hydroxr.accessor_plot import Plots

# Title, prefix of the names as users write them, object that has them, and where it can be imported.
ACCESSORS = (
    ("Datasets: `ds.hbv`", "ds.hbv", HBVAccessor, "hydroxr.accessor.HBVAccessor"),
    ("Plots of one Dataset: `ds.hbv.plot`", "ds.hbv.plot", Plots, "hydroxr.accessor_plot.Plots"),
)
MODULES = (
    ("Readers and models: `hx`", hx),
    ("Metrics: `hx.metrics`", hx.metrics),
    ("Comparison with products: `hx.compare`", hx.compare),
    ("Plots: `hx.plot`", hx.plot),
    ("HBV on arrays: `hx.physics`", hx.physics),
)
# Names of hx that have pages of other kinds.
ELSEWHERE = {"HBVAccessor", "HydroxrError", "HydroxrWarning", "__version__", "errors"}


def errors() -> dict[str, type]:
    """The public errors and warnings."""
    return {name: thing for name, thing in vars(hx.errors).items() if inspect.isclass(thing)}


def _written_in(thing: Any) -> str:
    """Where an object is defined: ``hydroxr.metrics.efficiency.nse``."""
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def public() -> dict[str, tuple[str, Any]]:
    """Each public name as users write it, the name by which it is imported, and the object."""
    found: dict[str, tuple[str, Any]] = {}
    for _, prefix, owner, path in ACCESSORS:
        for name, thing in inspect.getmembers(owner):
            if not name.startswith("_") and not isinstance(thing, property):
                found[f"{prefix}.{name}"] = (f"{path}.{name}", thing)
    for _, module in MODULES:
        prefix = module.__name__.replace("hydroxr", "hx", 1)
        for name in module.__all__:
            thing = getattr(module, name)
            if name not in ELSEWHERE and not isinstance(thing, ModuleType):
                found[f"{prefix}.{name}"] = (f"{module.__name__}.{name}", thing)
    return found


def aliases() -> dict[str, str]:
    """Classes and errors that types in docstrings name, and their public names."""
    classes = {path.rsplit(".", 1)[1]: path for path, thing in public().values() if inspect.isclass(thing)}
    return classes | {name: f"hydroxr.errors.{name}" for name in errors()}


def resolve(app: Sphinx, node: nodes.Element, text: nodes.Element) -> nodes.Node | None:
    """A link for a name that has no entry of its own: its public name's page, or its module's."""
    target, module = node.get("reftarget", "").lstrip(".~"), node.get("py:module") or ""
    if target.startswith("ds.hbv."):
        target = f"hydroxr.accessor.HBVAccessor.{target.removeprefix('ds.hbv.')}"
    inner = {_written_in(thing): path for path, thing in public().values()}
    inner |= {f"hydroxr.{name}": f"hydroxr.errors.{name}" for name in errors()}
    inner["hydroxr.HBVAccessor"] = "hydroxr.accessor.HBVAccessor"
    objects = app.env.domains.python_domain.objects
    named = [path for path, _ in public().values() if path.endswith(f".{target}")]
    beside = f"{module.rpartition('.')[0]}.{target}"
    for full in (target, f"{module}.{target}", beside, *(named if len(named) == 1 else ())):
        name = inner.get(full, full)
        if name not in objects and _exists(full):
            name = next((above for above in _above(full) if above in objects), name)
        if name in objects and name != "hydroxr":
            entry = objects[name]
            link = app.builder.get_relative_uri(node.get("refdoc", ""), entry.docname) + f"#{entry.node_id}"
            return nodes.reference("", "", text, internal=True, refuri=link, reftitle=full)
    return None


def _above(name: str) -> list[str]:
    """The names of what holds an object, nearest first: its class, module, package."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 1, -1)]


def _exists(name: str) -> bool:
    """Whether something of hydroxr has this full name."""
    for module in [name, *_above(name)]:
        if module.startswith("hydroxr."):
            try:
                found: Any = importlib.import_module(module)
            except ImportError:
                continue
            rest = name.removeprefix(module).lstrip(".")
            try:
                operator.attrgetter(rest)(found) if rest else found
            except AttributeError:
                return False
            return True
    return False


def _summary(thing: Any) -> str:
    """The first line of a docstring, as plain text for a table."""
    first = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return re.sub(r":\w+:`~?\.?([^`<]+)[^`]*`", r"`\1`", first).replace("``", "`")


def _stem(name: str) -> str:
    """The name of a page's file; ``hx.Model`` and ``hx.model`` must differ where case does not count."""
    return name.replace("hx.", "hydroxr.", 1)


def _directive(thing: Any, path: str) -> str:
    """The part of reStructuredText that documents an object."""
    if inspect.isclass(thing):
        # Attributes of a dataclass are described in its docstring.
        return f".. autoclass:: {path}\n   :members:\n"
    if inspect.isfunction(thing):
        owner = path.rsplit(".", 2)[1]
        return f".. auto{'method' if owner[0].isupper() else 'function'}:: {path}\n"
    return f".. autodata:: {path}\n   :no-value:\n"


def _page(name: str, path: str, thing: Any) -> str:
    """The page of one name."""
    module = path.rsplit(".", 2 if path.rsplit(".", 2)[1][0].isupper() else 1)[0]
    return f"{name}\n{'=' * len(name)}\n\n.. currentmodule:: {module}\n\n{_directive(thing, path)}"


def _group(title: str, names: dict[str, tuple[str, Any]], intro: str) -> str:
    """A page that lists the names of a group."""
    rows = [f"| [`{name}`]({_stem(name)}.rst) | {_summary(thing)} |" for name, (_, thing) in names.items()]
    listed = "\n".join(_stem(name) for name in names)
    table = "| | |\n| --- | --- |\n" + "\n".join(rows)
    return f"# {title}\n\n{intro}\n\n{table}\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"


def _modules() -> str:
    """What each module is for, in the order of the house."""
    lines = ["Inside the package", "==================", ""]
    lines += ["Nothing here is public: names may move. It is for those who read or change the code.", ""]
    names = [each.name for each in pkgutil.walk_packages(hx.__path__, "hydroxr.")]
    documented = (
        {path for path, _ in public().values()}
        | {module.__name__ for _, module in MODULES}
        | {"hydroxr.errors"}
    )
    for name in names:
        if name in documented or name.endswith(
            ("__main__", "_version", "cuda.day", "cuda.kernels", "cuda.memory")
        ):
            continue
        module = importlib.import_module(name)
        head = [name, "-" * len(name)] if hasattr(module, "__path__") else [f".. rubric:: {name}"]
        lines += [*head, "", f".. automodule:: {name}", ""]
    return "\n".join(lines)


def write(folder: Path) -> int:
    """Write all pages into ``folder``; how many names there are."""
    folder.mkdir(parents=True, exist_ok=True)
    names = public()
    for name, (path, thing) in names.items():
        (folder / f"{_stem(name)}.rst").write_text(_page(name, path, thing), encoding="utf-8")
    groups = []
    for title, prefix, owner, path in ACCESSORS:
        members = {name: row for name, row in names.items() if row[0].rsplit(".", 1)[0] == path}
        groups.append((prefix.replace(".", "-"), title, members, _summary(owner)))
    for title, module in MODULES:
        members = {name: row for name, row in names.items() if row[0].rsplit(".", 1)[0] == module.__name__}
        intro = f"```{{eval-rst}}\n.. automodule:: {module.__name__}\n```"
        groups.append((f"group-{module.__name__.replace('.', '-')}", title, members, intro))
    for stem, title, members, intro in groups:
        (folder / f"{stem}.md").write_text(_group(title, members, intro), encoding="utf-8")
    heading = "Errors and warnings: `hx.errors`"
    body = "```{eval-rst}\n.. automodule:: hydroxr.errors\n   :members:\n   :show-inheritance:\n```"
    (folder / "errors.md").write_text(f"# {heading}\n\n{body}\n", encoding="utf-8")
    (folder / "modules.rst").write_text(_modules(), encoding="utf-8")
    listed = "\n".join([*(stem for stem, *_ in groups), "errors", "modules"])
    rows = "\n".join(f"- [{title}]({stem}.md)" for stem, title, *_ in groups)
    index = f"# API reference\n\nOne page for each public name.\n\n{rows}\n- [{heading}](errors.md)\n"
    index += f"- [Inside the package](modules.rst)\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    (folder / "index.md").write_text(index, encoding="utf-8")
    return len(names)
