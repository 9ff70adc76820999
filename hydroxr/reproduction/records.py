"""The records in the folder of a run besides its model: settings and facts."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import ModelFileError
from ..models.model import Model
from .runs import Run

SETTINGS = "settings.json"
SCORES = "scores.nc"
FACTS = "run.json"
LOG = "log.txt"


def hardware(device: str = "auto") -> str:
    """A description of the processor, or of the graphics card, that computes on this device."""
    import torch

    from ..support.devices import torch_device

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    threads = torch.get_num_threads()
    text = f"{name}, {threads} thread{'s' * (threads != 1)}"
    on_gpu = torch_device(device).startswith("cuda")
    return f"{torch.cuda.get_device_name()}, {text}" if on_gpu else text


def facts_of(run: Run, model: Model, hidden: int, seconds: float, device: str) -> dict[str, Any]:
    """The facts of a finished run: model, seed, split, effort, hardware, versions."""
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
        "hardware": hardware(device),
        "versions": f"hydroxr {__version__}, torch {torch.__version__}",
    }


def read_facts(path: Path) -> dict[str, Any]:
    """Read what :func:`facts_of` returned for a finished run."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def check_settings(
    folder: Path, settings: dict[str, Any], only: Sequence[str] | None = None, but: Sequence[str] = ()
) -> None:
    """Refuse a folder that holds a run with other settings.

    Parameters
    ----------
    folder : Path
    settings : dict
        Settings of the new run.
    only : sequence of str, optional
        The groups to compare; default: all.
    but : sequence of str
        Settings that may differ, as ``group: name``.

    Raises
    ------
    ModelFileError
        If settings differ; the message names them.
    """
    if not (folder / SETTINGS).is_file():
        return
    before, now = _flat(settings_of(folder)), _flat(settings)
    keys = [key for key in sorted({*before, *now}) if only is None or key.partition(":")[0] in only]
    differs = [
        f"{key} is {before.get(key)!r} there and {now.get(key)!r} now"
        for key in keys
        if key not in but and before.get(key) != now.get(key)
    ]
    if differs:
        raise ModelFileError(
            f"{folder} has a run with other settings: {'; '.join(differs)}. All runs of a table share data "
            "and periods; runs of one model share all settings but the seed. Choose another folder."
        )


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings of the run in this folder."""
    found: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    return found


def protocol_text(settings: dict[str, Any]) -> str:
    """A one-line description of a run's training protocol."""
    from ..training.loop.protocol import Protocol

    protocol = settings["protocol"]
    loss = protocol["loss"]
    if isinstance(loss, dict):
        loss = " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in loss.items())
    usual = {row.name: row.default for row in fields(Protocol)}
    others = [
        f"{name} {protocol[name]}"
        for name in (
            "attribute_noise",
            "clip",
            "precision",
            "warmup_gradient",
            "warmup_parameters",
            "patience",
        )
        if protocol.get(name, usual[name]) != usual[name]
    ]
    text = (
        f"preset {protocol['preset']!r}: loss {loss}; {protocol['optimizer']} with a rate of "
        f"{protocol['learning_rate']:g} ({protocol['schedule']}), dropout {protocol['dropout']:g}; "
        f"{protocol['batch']} windows of {protocol['window']} days, after {protocol['warmup']} that warm up, "
        "an iteration"
    )
    return "; ".join([text, *others])


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Flatten groups: ``{"a": {"b": 1}}`` to ``{"a: b": 1}``."""
    out: dict[str, Any] = {}
    for name, value in settings.items():
        out |= (
            {f"{name}: {key}": one for key, one in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    return out


def days_of(period: slice) -> list[str]:
    """First and last day of a period, as given."""
    return [str(period.start), str(period.stop)]
