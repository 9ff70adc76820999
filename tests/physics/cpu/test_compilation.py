"""Compilation that takes long is said."""

from __future__ import annotations

import logging
import threading

import pytest

from hydroxr.support.compiled import said_if_long


class Heard(logging.Handler):
    """Sets an event when it hears something."""

    def __init__(self) -> None:
        super().__init__()
        self.event, self.messages = threading.Event(), []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.event.set()


@pytest.fixture
def heard() -> Heard:
    handler = Heard()
    logger = logging.getLogger("hydroxr")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_what_takes_long_is_said_once(heard: Heard) -> None:
    """While it goes on; what is quick is not said."""
    for _ in range(2):
        with said_if_long("wait for it", patience=0.0):
            assert heard.event.wait(60)
    with said_if_long("never", patience=3600.0):
        pass
    assert heard.messages == ["wait for it"]
