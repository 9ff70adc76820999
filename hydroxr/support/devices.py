"""The device that torch computes on."""

from __future__ import annotations

from ..errors import DescriptionError


def torch_device(name: str) -> str:
    """The device for a name; "auto" is a GPU if there is one.

    Raises
    ------
    DescriptionError
        If the device does not exist.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise DescriptionError(
            f"device {name!r} is not available; expected 'auto', 'cpu', or 'cuda' with a GPU."
        )
    return name
