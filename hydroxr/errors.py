"""The errors of hydroxr, each named for what is wrong.

A message has four parts: the variable, what was found, what was expected, what to do.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class HydroxrError(Exception):
    """Base of all errors that hydroxr raises on purpose."""


class MissingVariableError(HydroxrError):
    """A variable that the calculation needs is not in the Dataset."""


class AmbiguousVariableError(HydroxrError):
    """Two variables fit one role and no rule decides between them."""


class UnitsError(HydroxrError):
    """Units are absent, not understood, or contradicted by the values."""


class DimensionError(HydroxrError):
    """A dimension is missing, or is not the one that was expected."""


class TimeAxisError(HydroxrError):
    """Time is unsorted, has duplicates or gaps, or is not daily."""


class ValueRangeError(HydroxrError):
    """Values lie outside what is physically possible."""


class MissingForcingError(HydroxrError):
    """Forcing values are missing where the model needs them."""


class MissingObservationError(HydroxrError):
    """There is no observed streamflow to train on or to compare with."""


class MissingAttributeError(HydroxrError):
    """A regional model needs catchment attributes that are not there."""


class CoordinateError(HydroxrError):
    """Coordinates of two things that belong together do not match."""


class EmptySelectionError(HydroxrError):
    """A selection in time or space holds nothing, or too little."""


class ParameterError(HydroxrError):
    """A parameter is unknown, missing, of a wrong shape or outside its domain."""


class StateError(HydroxrError):
    """An initial state does not fit the run that it should start."""


class DescriptionError(HydroxrError):
    """A model description asks for something that does not exist."""


class MemoryLimitError(HydroxrError):
    """The data that must be in memory do not fit there."""


class TrainingError(HydroxrError):
    """Training cannot go on."""


class CheckpointError(HydroxrError):
    """A checkpoint on disk is damaged, or of another training, or cannot be written."""


class ModelFileError(HydroxrError):
    """A model on disk is absent, damaged, or not one of hydroxr's."""


class DataFileError(HydroxrError):
    """A data file is absent or cannot be read."""


class StoreError(HydroxrError):
    """A result cannot be written, or a written one is not complete."""


class BlockError(HydroxrError):
    """A block of cells and days of a lazy run failed; the message has its place and the cause."""


class IncompleteStoreError(StoreError):
    """A store on disk lacks blocks: its writer has not finished, or parts were lost."""


class DamagedStoreError(StoreError):
    """A store on disk is not what was written: chunks, metadata or manifest have changed."""


class HydroxrWarning(UserWarning):
    """Base of all warnings that hydroxr issues."""


_told: ContextVar[set[str] | None] = ContextVar("_told", default=None)


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Within it, what :func:`warn` said is not said again: members of an ensemble have the same cells."""
    token = _told.set(set())
    try:
        yield
    finally:
        _told.reset(token)


def warn(message: str) -> None:
    """Issue a :class:`HydroxrWarning` that points to the line outside hydroxr that called for it."""
    told = _told.get()
    if told is not None:
        if message in told:
            return
        told.add(message)
    frame, level = sys._getframe(), 1
    own = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == own:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, HydroxrWarning, stacklevel=level)
