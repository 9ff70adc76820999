"""The processes that train one model together; usually that is one, which trains alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

T = TypeVar("T")


def pooled_moments(parts: Sequence[tuple[int, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of all, from the number, mean and standard deviation of parts."""
    parts = [part for part in parts if part[0]]
    if len(parts) == 1:
        return parts[0][1], parts[0][2]
    total = sum(count for count, _, _ in parts)
    whole = sum(mean * (count / total) for count, mean, _ in parts)
    square = sum((std**2 + (mean - whole) ** 2) * (count / total) for count, mean, std in parts)
    return whole, torch.sqrt(square)  # type: ignore[arg-type, return-value]


class Processes:
    """What a training asks of the others; here there are none.

    Every process draws the same batches and updates the same weights. It reads and simulates the cells that
    it owns. All processes call the same methods in the same order.

    Parameters
    ----------
    rank, size : int
        The number of this process, and of all.
    """

    together: ClassVar[bool] = False  # whether there may be others
    on_machine = 1  # how many of them share the memory of this machine

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_first(self) -> bool:
        """Whether this process writes, shows and warns."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process where "auto" or "cuda" was asked for."""
        return name

    def gathered(self, value: T) -> list[T]:
        """The value of each process, by rank."""
        return [value]

    def add(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by the sum of those of all processes, and return it."""
        return tensor

    def any(self, is_so: bool) -> bool:
        """Whether it is so in any process."""
        return is_so

    def tell(self, iteration: int, total: int, shown: str) -> None:
        """Report progress to whoever looks on."""

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """A block of work of each process, without calls of the others; an error of one is raised in all."""
        found: Exception | None = None
        try:
            yield
        except Exception as error:
            found = error
        for other in self.gathered(found):
            if other is not None:
                raise other

    def split(self, places: np.ndarray) -> np.ndarray:
        """The part of these places that is this process's."""
        return np.array_split(places, self.size)[self.rank]

    def of_all(self, own: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values of all cells, (..., cell), from those of the cells ``own`` of each process, (..., own)."""
        parts = self.gathered((own, values))
        out = np.empty((*values.shape[:-1], sum(len(places) for places, _ in parts)), values.dtype)
        for places, part in parts:
            out[..., places] = part
        return out

    def moments(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation over all but the last axis and all processes, in the type given."""
        flat = values.reshape(-1, values.shape[-1])
        std, mean = torch.std_mean(flat, 0, correction=0)
        return pooled_moments(self.gathered((len(flat), mean, std)))

    def whole(self, parts: list[Tensor], columns: Tensor, number: int) -> list[Tensor]:
        """Tensors (time, number) of a batch, from the columns that each process has; gradients pass."""
        given = torch.stack([part.detach() for part in parts])
        filled = given.new_zeros(*given.shape[:2], number).index_copy(2, columns, given)
        return [
            total.index_copy(1, columns, part) for total, part in zip(self.add(filled), parts, strict=True)
        ]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their sums over the processes."""
        if not self.together:
            return
        gradients = [value.grad for value in parameters if value.grad is not None]
        summed = self.add(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, part in zip(gradients, summed.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


ALONE = Processes()
_here: ContextVar[Processes] = ContextVar("_here", default=ALONE)


def processes_here() -> Processes:
    """The processes that a training that begins here belongs to."""
    return _here.get()


@contextmanager
def belonging_to(processes: Processes) -> Iterator[None]:
    """Let trainings that begin in this block belong to these processes."""
    token = _here.set(processes)
    try:
        yield
    finally:
        _here.reset(token)
