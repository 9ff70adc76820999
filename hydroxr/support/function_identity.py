"""Tell functions apart by what they do: their code, arguments, and what they refer to.

A name is not enough: all lambdas of a module share one, and so do all partials.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import uuid4

import numpy as np
import torch

from .checksums import sha256

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), torch.dtype, torch.device, np.dtype)
_INSTALLED = tuple(
    Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")
)


def function_identity(function: Any) -> str:
    """A checksum that two functions share only if they compute the same.

    It covers the code of the function and of all functions and classes that it refers to, arguments that
    are bound to it, variables that it encloses, global variables that it reads, and the state of an
    instance as pickle would keep it. Functions of installed packages count by name. Where something cannot
    be told apart, the checksum differs each time.
    """
    try:
        return sha256("\n".join(_parts(function, {})))[:16]
    except (RecursionError, TypeError, ValueError, AttributeError):
        return f"unknown {uuid4().hex[:8]}"


Seen = dict[int, tuple[int, Any]]  # values by their id, with their place; kept, so that no id comes twice


def _parts(value: Any, seen: Seen) -> Iterator[str]:
    """Texts that identify a value."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
        return
    if id(value) in seen:
        yield f"again {seen[id(value)][0]}"
        return
    seen[id(value)] = len(seen), value
    yield type(value).__qualname__
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().resolve_conj().numpy(force=True)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            yield from _parts(value.tolist(), seen)
        else:
            yield f"{value.dtype} {value.shape} {sha256(value.tobytes())}"
    elif isinstance(value, tuple | list):
        yield str(len(value))
        for part in value:
            yield from _parts(part, seen)
    elif isinstance(value, set | frozenset):
        yield from sorted("\n".join(_parts(part, {})) for part in value)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _parts(key, seen)
            yield from _parts(part, seen)
    else:
        yield from _parts_of_code(value, seen)


def _parts_of_code(value: Any, seen: Seen) -> Iterator[str]:
    """Texts that identify a function, class, module or instance."""
    if isinstance(value, partial):
        yield from _parts((value.func, value.args, value.keywords), seen)
    elif isinstance(value, MethodType):
        yield from _parts((value.__func__, value.__self__), seen)
    elif isinstance(value, ModuleType | BuiltinFunctionType | np.ufunc) or _is_installed(value):
        yield f"{getattr(value, '__module__', '')} {getattr(value, '__qualname__', value.__name__)}"
    elif isinstance(value, FunctionType):
        enclosed = [_content(cell) for cell in value.__closure__ or ()]
        yield from _parts((value.__defaults__, value.__kwdefaults__, enclosed, vars(value)), seen)
        yield from _parts_of_bytecode(value.__code__, value.__globals__, seen)
    elif isinstance(value, type):
        yield f"{value.__module__} {value.__qualname__}"
        own = {name: part for name, part in vars(value).items() if not _is_made_by_python(name, part)}
        yield from _parts((value.__bases__, own), seen)
    elif isinstance(value, staticmethod | classmethod):
        yield from _parts(value.__func__, seen)
    elif isinstance(value, property):
        yield from _parts((value.fget, value.fset), seen)
    else:
        made = value.__reduce_ex__(4)  # a TypeError for a generator, a file
        items = [list(part) for part in made[3:5] if part is not None] if isinstance(made, tuple) else []
        yield from _parts((made[:3], items) if isinstance(made, tuple) else made, seen)


def _parts_of_bytecode(code: CodeType, names: Mapping[str, Any], seen: Seen) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars} {code.co_flags}"
    for name in code.co_names:  # of global variables, and of attributes, which may be called like one
        if name in names:
            yield from _parts(names[name], seen)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of_bytecode(constant, names, seen)
        else:
            yield from _parts(constant, seen)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _is_made_by_python(name: str, part: Any) -> bool:
    """Whether an entry of a class says nothing about what the class does."""
    ours = isinstance(part, FunctionType | staticmethod | classmethod)
    return name.startswith("__") and name.endswith("__") and not ours


def _is_installed(value: Any) -> bool:
    """Whether a function or class is part of an installed package or of Python."""
    if not isinstance(value, FunctionType | type):
        return False
    module = sys.modules.get(value.__module__)
    if value.__module__ == "__main__" or module is None:
        return False
    file = getattr(module, "__file__", None)
    return file is None or any(Path(file).resolve().is_relative_to(folder) for folder in _INSTALLED)
