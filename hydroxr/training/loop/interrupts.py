"""Ctrl-C while training: the iteration is finished first; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Turn the first interrupt into a wish, ``asked``; the second is a KeyboardInterrupt.

    Only the main thread can: elsewhere, and where the program has a handler of its own, nothing
    changes.
    """

    def __init__(self) -> None:
        self.asked = False
        self._previous: Any = None

    def __enter__(self) -> Interrupts:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def is_second(self) -> bool:
        """Whether an interrupt that comes now is not the first; it counts as one."""
        before, self.asked = self.asked, True
        return before

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_second():
            raise KeyboardInterrupt
