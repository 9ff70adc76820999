"""Train one model on the workers of a dask cluster, and go on without those that are lost."""

from __future__ import annotations

import datetime
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...errors import HydroxrWarning, TrainingError, warn
from ...support.interrupts import ONE_TRAINING, Interrupts
from ...support.progress import progress_bar
from ..processes import belonging_to

if TYPE_CHECKING:
    from distributed import Client

    from ...models.model import Model
    from .group import Desk

_LOOK = 1.0  # seconds between looks at the workers
_GLANCE = 0.05  # seconds between looks whether all have come
_FRUITLESS = 3  # attempts in a row that come no further than those before
_PATIENCE = 600  # seconds until a worker comes where there is none
_JOIN = datetime.timedelta(minutes=1)  # until the store of the first process answers

_desks: dict[str, Desk] = {}  # of the trainings that this process takes part in, by their tokens
_stores: dict[str, Any] = {}  # where processes meet, kept by the first one


@dataclass(frozen=True)
class Seat:
    """The place of a process in a training."""

    token: str
    rank: int
    size: int
    beside: int
    on_machine: int
    host: str
    port: int


def fit_on_cluster(
    client: Client, train: Callable[[Any], Model], data: Any, most: int, progress: bool, kept: bool
) -> Model:
    """Train one model with all workers, each of which has a share of the cells.

    Parameters
    ----------
    client : dask.distributed.Client
    train : function
        Takes ``data``; every process calls it.
    data
        Travels to every worker; lazy data stay lazy, and each worker reads its share.
    most : int
        Largest number of processes.
    progress : bool
        Show a progress bar.
    kept : bool
        Whether there are checkpoints to go on from.

    Raises
    ------
    HydroxrError
        What ``train`` raises.
    TrainingError
        If workers are lost again and again and the training comes no further.
    """
    reached, fruitless = -1, 0
    with Interrupts() as interrupts, progress_bar(desc="fit", unit="it", disable=not progress) as bar:
        while True:
            attempt = _Attempt(client, _addresses(client)[:most])
            try:
                result = attempt.run(train, data, interrupts, bar)
            finally:
                attempt.leave()
            if result is not None:
                model, messages = result
                for message in messages:
                    warn(message)
                return model
            fruitless = 0 if attempt.iteration > reached else fruitless + 1
            reached = max(reached, attempt.iteration)
            if fruitless == _FRUITLESS:
                raise TrainingError(
                    f"workers of the cluster were lost {fruitless} times in a row without a new iteration "
                    f"after {max(reached, 0)}. Look at their logs: they may lack memory, or not reach each "
                    "other."
                )
            where = "the last checkpoint" if kept else "the beginning, since there is no checkpoint"
            warn(f"a worker was lost; the training goes on from {where}, on the workers that are left.")


@dataclass
class _Attempt:
    """One go at a training; it ends with the model, with an error, or with the loss of a worker."""

    client: Client
    addresses: list[str]
    token: str = field(default_factory=lambda: uuid4().hex)
    futures: list[Any] = field(default_factory=list)
    iteration: int = -1
    told_of_loss: bool = False

    def run(
        self, train: Callable[[Any], Model], data: Any, interrupts: Interrupts, bar: Any
    ) -> tuple[Model, list[str]] | None:
        """The model and the warnings of its training; None if a worker was lost."""
        try:
            self._begin(train, data)
            told = False
            while not self._is_over():
                if interrupts.asked and not told:
                    self.client.run(_stop, self.token, workers=self._there())
                    told = True
                self._show(bar)
            return self._result()
        except OSError:  # the connection to a worker broke while it was asked something
            return None

    def _begin(self, train: Callable[[Any], Model], data: Any) -> None:
        client, first = self.client, self.addresses[0]
        machines = _machines(client)
        host = machines[first]
        port = client.run(_open, self.token, host, workers=[first])[first]
        (there,) = client.scatter([data], hash=False, broadcast=True, workers=self.addresses)
        count: Counter[str] = Counter()
        on_machine = Counter(machines[address] for address in self.addresses)
        for rank, address in enumerate(self.addresses):
            machine = machines[address]
            seat = Seat(
                self.token, rank, len(self.addresses), count[machine], on_machine[machine], host, port
            )
            count[machine] += 1
            self.futures.append(
                client.submit(_take_part, train, there, seat, pure=False, workers=[address], retries=0)
            )

    def _is_over(self) -> bool:
        """Whether every process has ended or is lost; waits for a moment."""
        from distributed import wait

        left = [future for future in self.futures if not future.done()]
        if not left:
            return True
        with suppress(TimeoutError):
            wait(left, timeout=_LOOK)
            return True
        there = self._there()
        if len(there) < len(self.addresses) and not self.told_of_loss:
            self.told_of_loss = True
            self.client.run(_stop, self.token, workers=there)  # some may wait for it to come
        pairs = zip(self.futures, self.addresses, strict=True)
        return all(future.done() or address not in there for future, address in pairs)

    def _show(self, bar: Any) -> None:
        first = self.addresses[0]
        if first not in self._there():
            return
        self.iteration, total, shown = self.client.run(_look, self.token, workers=[first])[first]
        bar.total = total
        bar.n = max(self.iteration, 0)
        bar.set_postfix_str(shown)

    def _result(self) -> tuple[Model, list[str]] | None:
        for future in self.futures:
            if future.status == "error":
                raise future.exception()
        if not all(future.status == "finished" for future in self.futures):
            return None
        results = self.client.gather(self.futures)
        return None if None in results else results[0]

    def _there(self) -> list[str]:
        known = _machines(self.client)
        return [address for address in self.addresses if address in known]

    def leave(self) -> None:
        """Let no process wait for what does not come."""
        self.client.cancel(self.futures)
        with suppress(OSError):
            self.client.run(_stop, self.token, workers=self._there())


def _machines(client: Client) -> dict[str, str]:
    """Host of each worker that is there, by its address."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return {address: worker["host"] for address, worker in workers.items()}


def _addresses(client: Client) -> list[str]:
    """One worker of each process."""
    client.wait_for_workers(1, timeout=_PATIENCE)
    found: dict[Any, str] = {}
    for address, process in sorted(client.run(_process, on_error="ignore").items()):
        found.setdefault(process, address)
    return list(found.values())


# What workers do.


def _process() -> tuple[str, int]:
    import os
    import platform

    return platform.node(), os.getpid()


def _open(token: str, host: str) -> int:
    """Open the store where the processes meet, on a free port; gives that."""
    from torch.distributed import TCPStore

    _stores[token] = TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=_JOIN)
    return int(_stores[token].port)


def _look(token: str) -> tuple[int, int, str]:
    desk = _desks.get(token)
    return (-1, 1, "") if desk is None else (desk.iteration, desk.total, desk.shown)


def _stop(token: str) -> None:
    if token in _desks:
        _desks[token].stop = True
    _stores.pop(token, None)


def _take_part(train: Callable[[Any], Model], data: Any, seat: Seat) -> tuple[Model | None, list[str]] | None:
    """Train with the others; the first process gives the model and what was warned of.

    None says that another process was lost; an error would fill the logs.
    """
    from .group import LostProcessError

    try:
        return _trained(train, data, seat)
    except LostProcessError:
        return None


def _trained(train: Callable[[Any], Model], data: Any, seat: Seat) -> tuple[Model | None, list[str]]:
    import dask
    import torch.distributed as dist

    from .group import Desk, Group, LostProcessError

    with ONE_TRAINING, warnings.catch_warnings(record=True) as caught, dask.config.set(scheduler="threads"):
        warnings.simplefilter("always" if seat.rank == 0 else "ignore", HydroxrWarning)
        desk = _desks[seat.token] = Desk()
        group = Group(seat.rank, seat.size, seat.beside, seat.on_machine, desk)
        try:
            try:
                store = _stores.get(seat.token) or dist.TCPStore(seat.host, seat.port, timeout=_JOIN)
                if store.add(f"seat {seat.rank}", 1) > 1:
                    raise RuntimeError("another process took its place")
                while not store.check([f"seat {rank}" for rank in range(seat.size)]):
                    if desk.stop:
                        raise RuntimeError("another one was lost before it came")
                    time.sleep(_GLANCE)
            except RuntimeError as error:
                raise LostProcessError(f"the first process cannot be reached: {error}") from error
            group.join(store)
            with belonging_to(group):
                model = train(data)
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
            del _desks[seat.token]
    messages = [str(each.message) for each in caught if issubclass(each.category, HydroxrWarning)]
    return (model, messages) if group.is_first else (None, [])
