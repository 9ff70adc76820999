"""What is written of a run beside its model: settings, facts, and how it went."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from .._version import __version__
from ..errors import ModelFileError
from ..model import Model, write_file
from .runs import Run

SETTINGS = "settings.json"


def hardware() -> str:
    """The machine, in words."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    text = f"{name}, {torch.get_num_threads()} threads"
    return f"{torch.cuda.get_device_name()}, {text}" if torch.cuda.is_available() else text


def facts_of(run: Run, model: Model, hidden: int, seconds: float) -> dict[str, Any]:
    """What tells the run apart in the results, beside its scores."""
    import torch

    training = model.training
    return {
        "run": run.name,
        "model": run.model,
        "symbol": model.description.symbol,
        "seed": run.seed,
        "split": run.split,
        "hidden": hidden,
        "iterations": int(training["iterations_done"]),
        "seconds": seconds,
        "hardware": hardware(),
        "versions": f"hydroxr {__version__}, torch {torch.__version__}",
    }


def check_settings(folder: Path, settings: dict[str, Any], only: Sequence[str] | None = None) -> None:
    """Refuse a folder in which a run with other settings was begun."""
    if not (folder / SETTINGS).is_file():
        return
    before = _flat(json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
    now = _flat(settings)
    keys = [key for key in sorted({*before, *now}) if only is None or key.partition(":")[0] in only]
    differs = [key for key in keys if before.get(key) != now.get(key)]
    if differs:
        raise ModelFileError(
            f"{folder} has a run with other settings ({', '.join(differs)}); a table has runs of the same "
            "settings. Choose another folder, or delete this one."
        )


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Names of groups before those of their values."""
    out: dict[str, Any] = {}
    for name, value in settings.items():
        out |= (
            {f"{name}: {key}": one for key, one in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    return out


def days_of(period: slice) -> list[str]:
    """The first and the last, as they were given."""
    return [str(period.start), str(period.stop)]


def write_whole(path: Path, text: str) -> None:
    """Whole, or not at all."""
    new = path.with_name(f".{path.name}-{uuid4().hex}")
    write_file(new, text.encode())
    os.replace(new, path)
