"""Which numbers the LSTM is trained with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

_WORTH = 64  # hidden units; for fewer the conversions cost what the multiplication saves


def lstm_precision(precision: str, device: str, hidden: int) -> str:
    """What ``precision`` means on a device: "float32" or "bfloat16".

    "auto" is decided by what the machine is, never by a measurement, so that the same machine
    gives the same model.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if hidden >= _WORTH and _is_fast(torch.device(device).type) else "float32"


@cache
def _is_fast(kind: str) -> bool:
    """Whether bfloat16 is native here and faster than float32."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu" or not _has("_is_avx512_bf16_supported"):
        return False
    # Intel's AVX-512 multiplies bfloat16 no faster than float32 (measured: LSTM passes of 1.9 s
    # against 1.3 s); its matrix unit does, and so does AMD's AVX-512.
    return _has("_is_amx_tile_supported") or _vendor() == "AuthenticAMD"


def _has(question: str) -> bool:
    return bool(getattr(torch.cpu, question, lambda: False)())


def _vendor() -> str:
    """Of the processor; empty where the system does not tell (it is Linux that does)."""
    path = Path("/proc/cpuinfo")
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
