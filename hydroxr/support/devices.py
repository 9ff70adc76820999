"""The device on which torch computes."""

from __future__ import annotations

from ..errors import DescriptionError


def torch_device(name: str) -> str:
    """The device to compute on in this process.

    Raises
    ------
    DescriptionError
        Where there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise DescriptionError(f"device {name!r} is not there; expected 'auto', 'cpu', or 'cuda' with a GPU.")
    return name
