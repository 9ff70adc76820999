"""Processes that train one model over torch.distributed."""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ...errors import HydroxrWarning
from ..processes import Processes, processes_here

T = TypeVar("T")
_GIVEN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # by torchrun


class LostProcessError(RuntimeError):
    """Raised in the processes that are left when one of them is lost."""


@dataclass
class Desk:
    """Where a process leaves word for its program."""

    iteration: int = 0
    total: int = 1
    shown: str = ""
    stop: bool = False


class Group(Processes):
    """Processes that exchange numbers by gloo, or by NCCL where each has a GPU of its own.

    Parameters
    ----------
    rank, size : int
        The number of this process, and of all.
    beside, on_machine : int
        The number of this process among those of its machine, and of these.
    desk : Desk, optional
    """

    together = True

    def __init__(
        self, rank: int, size: int, beside: int = 0, on_machine: int = 1, desk: Desk | None = None
    ) -> None:
        super().__init__(rank, size)
        self.beside, self.on_machine = beside, on_machine
        self.desk = desk or Desk()

    def join(self, store: dist.Store | None = None) -> None:
        """Meet the others, in a store or at the place that the environment says."""
        own_gpu = torch.cuda.is_available() and self.on_machine <= torch.cuda.device_count()
        backend = "cpu:gloo,cuda:nccl" if own_gpu and dist.is_nccl_available() else "gloo"
        with _lost_if_broken():
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size)

    def device(self, name: str) -> str:
        if name not in ("auto", "cuda") or not torch.cuda.is_available():
            return name
        return f"cuda:{self.beside % torch.cuda.device_count()}"

    def gathered(self, value: T) -> list[T]:
        out: list[T] = [value] * self.size
        with _lost_if_broken():
            dist.all_gather_object(out, value)
        return out

    def add(self, tensor: Tensor) -> Tensor:
        with _lost_if_broken():
            dist.all_reduce(tensor)
        return tensor

    def any(self, is_so: bool) -> bool:
        return bool(self.add(torch.tensor(int(is_so or self.desk.stop))))

    def tell(self, iteration: int, total: int, shown: str) -> None:
        self.desk.iteration, self.desk.total, self.desk.shown = iteration, total, shown


def processes_now() -> Processes:
    """The processes that a training here belongs to; those that torchrun started join at the first one."""
    here = processes_here()
    if here.together or not all(name in os.environ for name in _GIVEN):
        return here
    return _started_by_torchrun()


@cache
def _started_by_torchrun() -> Group:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    beside, on_machine = (int(os.environ.get(f"LOCAL_{name}", 0)) for name in ("RANK", "WORLD_SIZE"))
    group = Group(rank, size, beside, on_machine or size)
    if not dist.is_initialized():
        group.join()
        atexit.register(dist.destroy_process_group)
    if rank:  # the first one warns
        warnings.filterwarnings("ignore", category=HydroxrWarning)
    return group


@contextmanager
def _lost_if_broken() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(f"a process of this training does not answer any more: {error}") from error
