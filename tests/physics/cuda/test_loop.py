"""The loop on GPUs against the reference loop; without a GPU, in numba's simulator.

The simulator runs each GPU thread as a Python thread. This is slow, so shapes are small. On a GPU the same
tests run there, together with some of larger shapes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from hydroxr.physics import loop_torch
from hydroxr.physics.cpu import loop as loop_cpu
from hydroxr.physics.cuda import loop as loop_cuda
from hydroxr.physics.equations import DAY_PARAMETERS, STORES
from tests.support import loops
from tests.support.loops import FORCING, LEAVES, SERIES, Tensors, hold, leaves_of, near, network, run
from tests.support.strategies import WEATHER, Case

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
needs_gpu = pytest.mark.skipif(not ON_GPU, reason="needs a GPU")

config = pytest.importorskip("numba.core.config")
# The simulator must be chosen before numba.cuda is imported, and for this import only.
with pytest.MonkeyPatch.context() as _patch:
    if not ON_GPU:
        _patch.setattr(config, "ENABLE_CUDASIM", 1)
    pytest.importorskip("numba.cuda", reason="numba has no CUDA target here", exc_type=ImportError)
    try:
        from hydroxr.physics.cuda import kernels as kernels_cuda
    except ImportError as _error:
        pytest.skip(f"{_error} pip install hydroxr[gpu]", allow_module_level=True)

if not (ON_GPU or kernels_cuda.SIMULATED):
    pytest.skip("numba.cuda was imported without its simulator", allow_module_level=True)
if _obstacle := loop_cuda.obstacle(torch.float64):
    pytest.skip(f"numba-cuda cannot compile here: {_obstacle}", allow_module_level=True)


gradients = partial(loops.gradients, device=DEVICE)
agree = partial(loops.agree, loop_cuda, device=DEVICE)


# ---------------------------------------------------------------------------------------------------
# Both loops


@pytest.mark.parametrize(
    ("days", "cells", "components", "dynamic"),
    [
        (1, 1, 1, ()),
        (40, 1, 1, ("K0",)),
        (9, 3, 3, ("BETA", "TT")),
        (5, 1, 16, ("FC", "BETAET")),
        (3, 9, 16, ()),
        (3, 8, 17, ("UZL",)),
        (2, 130, 1, ("CWH",)),
        (18, 2, 2, DAY_PARAMETERS),
        (2, 1, 129, ("PERC",)),
        (2, 2, 300, ("LP",)),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_any_number_of_days_cells_and_components(
    days: int, cells: int, components: int, dynamic: tuple[str, ...], whole: bool
):
    """Full and partly filled blocks and pages, static and dynamic parameters, means and components."""
    agree(Case(51, days, cells, components, "freeze-thaw", dynamic=dynamic), components=whole)


@pytest.mark.parametrize("kind", WEATHER)
def test_every_kind_of_weather(kind: str):
    """Also with parameters at their bounds."""
    places = dict.fromkeys(DAY_PARAMETERS, "mixed")
    agree(Case(52, 25, 2, 2, kind, places=places, dynamic=("FC", "CWH")))


@pytest.mark.parametrize("name", SERIES)
def test_one_series_alone(name: str):
    """Any single series can be requested; its gradients are right."""
    agree(Case(53, 20, 2, 2, "freeze-thaw", dynamic=("BETA",)), wanted=(name,))


@pytest.mark.parametrize("whole", [False, True])
def test_series_in_any_order(whole: bool):
    """Series are returned in the requested order."""
    agree(Case(54, 6, 2, 3), wanted=("runoff", "snowpack", "percolation"), components=whole)


def test_nothing_but_the_final_stores():
    """A warm-up requests no series."""
    agree(Case(55, 20, 3, 5, "freeze-thaw"), wanted=())


def test_expanded_and_strided_leaves():
    """In any memory layout."""
    leaves = leaves_of(Case(56, 5, 3, 4, "freeze-thaw", dynamic=("BETA", "FC")))
    leaves["BETA"] = leaves["BETA"].transpose(0, 1).contiguous().transpose(0, 1)
    leaves["K0"] = leaves["K0"][:, :1].expand(3, 4)
    leaves["K1"] = leaves["K1"][:1].expand(5, 3, 4)
    leaves["temperature"] = leaves["temperature"][:, :1].expand(5, 3)
    leaves["pet"] = leaves["pet"].T.contiguous().T
    found: dict[Any, Tensors] = {}
    for loop in (loop_torch, loop_cuda):
        inputs = {name: value.to(DEVICE).requires_grad_() for name, value in leaves.items()}
        results = run(loop, inputs)
        sum(value.sum() for value in results.values()).backward()  # cotangents have strides of zero
        found[loop] = {f"gradient of {name}": value.grad for name, value in inputs.items()} | results
    near(found[loop_cuda], found[loop_torch], 1e-9, 1e-9)


# ---------------------------------------------------------------------------------------------------
# Gradients


@pytest.mark.parametrize("name", LEAVES)
def test_a_single_input_with_a_gradient(name: str):
    """The other inputs get no gradient."""
    for dynamic in ((), (name,) if name in DAY_PARAMETERS else ()):
        leaves = leaves_of(Case(57, 12, 2, 3, "freeze-thaw", dynamic=dynamic))
        leaves = {key: value.to(DEVICE) for key, value in leaves.items()}
        found = {}
        for loop in (loop_torch, loop_cuda):
            leaf = leaves[name].clone().requires_grad_()
            run(loop, {**leaves, name: leaf}, ("runoff",))["runoff"].sum().backward()
            found[loop] = leaf.grad
        assert found[loop_cuda] is not None
        torch.testing.assert_close(found[loop_cuda], found[loop_torch], rtol=1e-9, atol=1e-9)


def test_without_gradients_nothing_is_kept():
    """Without inputs that require gradients, under no_grad and inference_mode, results require none."""
    leaves = {name: value.to(DEVICE) for name, value in leaves_of(Case(58, 3, 2, 3)).items()}

    def differentiable() -> list[bool]:
        results = run(loop_cuda, leaves)
        return [value.requires_grad for value in results.values()]

    assert not any(differentiable())
    leaves["FC"].requires_grad_()
    with torch.no_grad():
        assert not any(differentiable())
    with torch.inference_mode():
        assert not any(differentiable())
    assert all(differentiable())


@pytest.mark.parametrize("dynamic", [(), ("BETA",), ("FC",), ("BETA", "FC", "K0"), DAY_PARAMETERS])
@pytest.mark.parametrize("whole", [False, True])
def test_the_runoff_network(dynamic: tuple[str, ...], whole: bool):
    """Results with NN_r, and gradients of its weights and inputs."""
    agree(Case(59, 9, 3, 3, "wet", dynamic=dynamic), components=whole, network=network(1, 5))


@pytest.mark.parametrize(("cells", "components", "hidden"), [(1, 1, 1), (9, 16, 2), (2, 300, 3)])
def test_the_runoff_network_in_any_size(
    cells: int, components: int, hidden: int, monkeypatch: pytest.MonkeyPatch
):
    """Also if memory allows its gradient only one day at a time."""
    monkeypatch.setattr(loop_cuda, "_MOST_UNITS", 1)
    agree(Case(60, 3, cells, components, "freeze-thaw"), wanted=("runoff",), network=network(2, hidden))


# ---------------------------------------------------------------------------------------------------
# Promises


@pytest.mark.parametrize("kind", ["temperate", "wet", "cold"])
@pytest.mark.parametrize("hidden", [0, 4])
def test_float32_is_float64_within_rounding(kind: str, hidden: int):
    """Results and gradients are within 1e-4 of the largest value of their array."""
    case = Case(61, 40, 2, 3, kind, dynamic=("BETA", "BETAET"))
    case.temperature = case.temperature + 0.0123  # off TT's bounds, which float32 cannot tell from it
    module = network(3, hidden) if hidden else None
    single = leaves_of(case, torch.float32)
    double = {name: value.double() for name, value in single.items()}
    options: dict[str, Any] = {"wanted": ("runoff", "evapotranspiration"), "network": module}
    expected, expected_gradients = gradients(loop_cuda, double, **options)
    found, found_gradients = gradients(loop_cuda, single, **options)
    assert all(value.dtype == torch.float32 for value in found.values())
    near(found, expected, 1e-4, 1e-3, kind)
    near(found_gradients, expected_gradients, 1e-4, 1e-3, kind)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-11), (torch.float32, 2e-3)])
@pytest.mark.parametrize("hidden", [0, 3])
def test_no_water_is_lost(dtype: torch.dtype, most: float, hidden: int):
    """Precipitation equals evapotranspiration plus runoff plus change of storage on each day."""
    leaves = {
        name: value.to(DEVICE) for name, value in leaves_of(Case(62, 40, 2, 3, "freeze-thaw"), dtype).items()
    }
    module = network(4, hidden).to(DEVICE) if hidden else None
    results = run(loop_cuda, leaves, network=module)
    results = {name: value.detach().double() for name, value in results.items()}
    stored = sum(results[name] for name in STORES)
    before = sum(leaves[name].double().mean(-1) for name in STORES)
    change = torch.diff(stored, dim=0, prepend=before[None])
    gap = leaves["precipitation"].double() - results["evapotranspiration"] - results["runoff"] - change
    assert gap.abs().max() < most


@pytest.mark.parametrize("name", [*FORCING, "soil_moisture", "BETA"])
@pytest.mark.parametrize("hidden", [0, 2])
def test_a_nan_shows(name: str, hidden: int):
    """All values that depend on a NaN are NaN to the end of the run; other cells do not change."""
    leaves = {key: value.to(DEVICE) for key, value in leaves_of(Case(63, 6, 4, 3, dynamic=("BETA",))).items()}
    module = network(5, hidden).to(DEVICE) if hidden else None
    clean = run(loop_cuda, leaves, network=module)
    place = {"soil_moisture": (2, 0), "BETA": (3, 2, 0)}.get(name, (3, 2))
    leaves[name] = leaves[name].clone()
    leaves[name][place] = torch.nan
    found = run(loop_cuda, leaves, network=module)
    assert torch.isnan(found["soil_moisture"][3:, 2]).all()
    assert torch.isnan(found["runoff"][4:, 2]).all()  # a NaN in PET comes a day later
    others = [0, 1, 3]
    for key in SERIES:
        assert torch.equal(found[key][:, others], clean[key][:, others]), key


def test_the_same_digits_in_every_run():
    """Sums over components have a fixed order."""
    leaves = leaves_of(Case(64, 7, 9, 16, "freeze-thaw", dynamic=("BETA",)), torch.float32)
    first, second = (
        gradients(loop_cuda, leaves, wanted=("runoff",), network=network(6, 2)) for _ in range(2)
    )
    for group, other in zip(first, second, strict=True):
        assert all(torch.equal(group[name], other[name]) for name in group)


def test_accepted_tensors(monkeypatch: pytest.MonkeyPatch):
    """Tensors on GPUs in two precisions; on CPUs only with the simulator."""
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "0")
    assert not loop_cuda.accepts(torch.zeros(1))
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert loop_cuda.accepts(torch.zeros(1))
    assert loop_cuda.accepts(torch.zeros(1, dtype=torch.float64))
    assert not loop_cuda.accepts(torch.zeros(1, dtype=torch.float16))
    assert not loop_cuda.accepts(torch.zeros(1, device="meta"))


# ---------------------------------------------------------------------------------------------------
# Compilers and GPUs

# Compiles for an H100 without having one: numba only asks the device for its compute capability.
COMPILE = """
import re
from types import SimpleNamespace
import torch
try:
    from numba import cuda
    from numba.cuda import codegen, dispatcher
    device = SimpleNamespace(compute_capability=(9, 0))
    dispatcher.get_current_device = lambda: device
    codegen.devices.get_context = lambda *_: SimpleNamespace(device=device)
    dispatcher._Kernel.bind = lambda kernel: None  # would load it
    cuda.compile_ptx(lambda x: None, (cuda.types.int64,), cc=(9, 0))
except Exception as error:
    print("missing", type(error).__name__, str(error).splitlines()[0])
    raise SystemExit
from hydroxr.physics.cuda.kernels import compiled
loose = re.compile(r"\\b(mul|add|sub)[.]f(32|64)")  # may be fused
for dtype in (torch.float32, torch.float64):
    for with_network in (False, True):
        for kind, weighted in (("forward", False), ("backward", False), ("backward", True)):
            (kernel,) = compiled(kind, dtype, with_network, weighted).overloads.values()
            text = kernel.library.get_asm_str(cc=(9, 0))
            print(kind, dtype, with_network, "local_depot" in text, bool(loose.search(text)))
"""


def test_the_kernels_compile_for_a_gpu():
    """In both precisions, with all values of a thread in registers and products rounded before sums."""
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "NUMBA_ENABLE_CUDASIM": "0"}
    command = [sys.executable, "-c", COMPILE]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.stdout.startswith("missing"):
        pytest.skip(f"no compiler for GPUs: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert all(line.endswith("False False") for line in lines), done.stdout


@pytest.mark.parametrize(("days", "cells", "components"), [(9, 3, 3), (5, 1, 16), (2, 2, 300), (40, 9, 1)])
@pytest.mark.parametrize("nnr", [0, 3])
def test_weighted_means(days: int, cells: int, components: int, nnr: int) -> None:
    """Means by weights, and the gradients of these; also where some series stay apart by component."""
    case = Case(68, days, cells, components, "freeze-thaw", dynamic=("BETA",))
    drawn = torch.rand((cells, components), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    leaves = leaves_of(case) | {"WEIGHT": drawn / drawn.sum(-1, keepdim=True)}
    agree(case, leaves, network=network(2, nnr) if nnr else None)
    agree(case, leaves, wanted=("runoff", "snowpack"), components=("runoff",))
    agree(case, leaves, wanted=("runoff",))


@needs_gpu
@pytest.mark.parametrize("size", [(730, 100, 16), (400, 3000, 16), (300, 5000, 1), (100, 700, 17)])
@pytest.mark.parametrize("whole", [False, True])
def test_large_runs(size: tuple[int, int, int], whole: bool):
    """Against the kernels on the CPU."""
    agree(Case(65, *size, "freeze-thaw", dynamic=("BETA", "TT")), reference=loop_cpu, components=whole)


@needs_gpu
def test_torchs_current_stream():
    """The kernel runs after work that torch queued before it, and before work queued later."""
    leaves = {
        name: value.to(DEVICE) for name, value in leaves_of(Case(66, 200, 500, 16), torch.float32).items()
    }
    expected = run(loop_cuda, leaves, ("runoff",))["runoff"]
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)
        late = {name: value.clone() for name, value in leaves.items()}
        found = run(loop_cuda, late, ("runoff",))["runoff"].clone()
    stream.synchronize()
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("days", "cells", "components", "rows"),
    [
        (1, 1, 1, [0]),
        (7, 3, 3, [0, 0, 0, 1, 1, 2, 3]),
        (20, 2, 16, [day // 5 for day in range(20)]),
        (20, 3, 2, [0] * 20),
        (33, 1, 130, [(day + 3) // 6 for day in range(33)]),
    ],
)
@pytest.mark.parametrize("with_network", [False, True])
def test_dynamic_parameters_are_held(
    days: int, cells: int, components: int, rows: list[int], with_network: bool
) -> None:
    """Rows may apply for any number of days; the gradient of a row is the sum over its days."""
    case = Case(61, days, cells, components, "freeze-thaw", dynamic=("BETA", "K1", "CWH"))
    held = torch.tensor(rows)
    leaves = hold(leaves_of(case), held)
    nnr = network(3, 4) if with_network else None
    agree(case, leaves, rows=held, network=nnr)
    daily = {name: value[held] if value.ndim == 3 else value for name, value in leaves.items()}
    torch.testing.assert_close(run(loop_cuda, leaves, rows=held), run(loop_cuda, daily), rtol=0.0, atol=0.0)
