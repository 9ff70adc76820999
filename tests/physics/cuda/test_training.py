"""A training on a GPU against the same on a CPU; and what ``make gpu`` says where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hydroxr.models.model import Model
from tests.support.cluster import local_client
from tests.support.labelled import make_dataset
from tests.support.trainings import KINDS, LATER, fit

ON_GPU = torch.cuda.is_available()
needs_gpu = pytest.mark.skipif(not ON_GPU, reason="needs a GPU")
GPU = Path(__file__).parents[3] / ".ci" / "gpu.py"

# Dropout and noise are drawn on the device, whose random numbers are others. Steps of Adam grow rounding.
SAME: dict[str, Any] = {"dropout": 0.0, "learning_rate": 1e-3, "precision": "float32"}


def both(kind: str, **options: Any) -> tuple[Model, Model]:
    """The same training on both devices."""
    cpu, gpu = (fit(make_dataset(), kind, device=device, **SAME, **options) for device in ("cpu", "cuda"))
    return cpu, gpu


@needs_gpu
@pytest.mark.parametrize("kind", KINDS)
def test_steps_on_a_gpu_are_those_of_a_cpu(kind: str) -> None:
    """The same loss in each iteration, and the same weights at the end, but for rounding."""
    cpu, gpu = both(kind)
    np.testing.assert_allclose(gpu.history["loss"], cpu.history["loss"], rtol=1e-3)
    assert gpu.history["loss"].values[0] == pytest.approx(cpu.history["loss"].values[0], rel=1e-5)
    for name, weights in cpu.weights.items():
        np.testing.assert_allclose(gpu.weights[name], weights, rtol=1e-2, atol=1e-3, err_msg=name)


@needs_gpu
def test_a_validation_on_a_gpu_is_that_of_a_cpu() -> None:
    cpu, gpu = both("filters", validation=LATER, validate_every=1)
    name = "validation_nse"
    np.testing.assert_allclose(gpu.history[name], cpu.history[name], rtol=1e-3, atol=1e-3)


@needs_gpu
@pytest.mark.parametrize("workers", [1, 2])
def test_processes_on_one_gpu_train_as_a_cpu(workers: int) -> None:
    """One process that has the GPU to itself, and two that share it."""
    ds = make_dataset()
    cpu = fit(ds, "filters", device="cpu", **SAME)
    with local_client(workers) as client:
        gpu = fit(ds, "filters", device="cuda", client=client, **SAME)
    np.testing.assert_allclose(gpu.history["loss"], cpu.history["loss"], rtol=1e-3)


@pytest.mark.skipif(ON_GPU, reason="there is a GPU")
def test_where_there_is_no_gpu_that_is_said() -> None:
    """By the first step of ``make gpu``, in a sentence, with an exit status."""
    found = subprocess.run([sys.executable, GPU], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith("make gpu needs an NVIDIA GPU: the driver")
    assert found.stderr.count("\n") == 1
