"""One training at a time in a process, and Ctrl-C that never tears an iteration apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, ClassVar

# All threads of a process share torch's random numbers, threads and settings, and a training needs them
# to itself. A thread may take the lock again, as a fold does that trains members.
ONE_TRAINING = threading.RLock()


class Interrupts:
    """Delay Ctrl-C: the first one sets ``asked``, the second raises KeyboardInterrupt.

    A handler of the program's own is called at once instead, but never within :meth:`held`. Within a block
    of another one, such as that of an ensemble, ``with Interrupts()`` gives the other one, so that the
    ensemble knows of a Ctrl-C in the last iteration of a member. Python handles signals in the main thread
    only; in other threads nothing changes.
    """

    _current: ClassVar[Interrupts | None] = None

    def __init__(self) -> None:
        self.asked = False
        self._previous: Any = None
        self._holds = False
        self._waiting: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self
        if Interrupts._current is not None:
            return Interrupts._current
        previous = signal.getsignal(signal.SIGINT)
        if callable(previous):
            self._previous, Interrupts._current = previous, self
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = Interrupts._current = None

    def is_second(self) -> bool:
        """Count an interrupt, and say whether there was one before."""
        before, self.asked = self.asked, True
        return before

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block within which no Ctrl-C takes effect; one that comes does so at its end."""
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                self._handle(*waiting)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._holds:
            self._waiting = number, frame
        elif self._previous is not signal.default_int_handler:
            self._previous(number, frame)
        elif self.is_second():
            raise KeyboardInterrupt
