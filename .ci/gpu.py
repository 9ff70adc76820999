"""Say whether there is an NVIDIA GPU, and end with an error where there is none.

    python .ci/gpu.py [--torch]

The driver is asked, so that nothing needs to be installed; with --torch also torch, which may be a build for
CPUs.
"""

from __future__ import annotations

import ctypes
import sys


def obstacle(driver: str = "libcuda.so.1") -> str:
    """Why there is no GPU; empty where there is one."""
    try:
        cuda = ctypes.CDLL(driver)
    except OSError:
        return f"the driver, {driver}, is not there"
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the driver is there and finds no device"
    return ""


def obstacle_of_torch() -> str:
    """Why torch uses no GPU; empty where it does."""
    import torch

    if torch.version.cuda is None:
        return (
            f"there is one, but torch {torch.__version__} is a build for CPUs: install that for CUDA in .venv"
        )
    return "" if torch.cuda.is_available() else f"there is one, but torch {torch.__version__} cannot use it"


def main() -> None:
    """Print what was found."""
    reason = obstacle() or (obstacle_of_torch() if "--torch" in sys.argv[1:] else "")
    if reason:
        sys.exit(f"make gpu needs an NVIDIA GPU: {reason}. Nothing was tested or timed.")
    if "--torch" in sys.argv[1:]:
        import torch

        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")


if __name__ == "__main__":
    main()
