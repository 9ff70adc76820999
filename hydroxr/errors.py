"""The errors and warnings of hydroxr; each class is named after the problem.

A message says what is wrong and where, what was found, what was expected, and what to do.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar


class HydroxrError(Exception):
    """Base class of all errors that hydroxr raises on purpose."""


class MissingVariableError(HydroxrError):
    """Raised if the Dataset lacks a variable that the calculation needs."""


class AmbiguousVariableError(HydroxrError):
    """Raised if two variables fit one role and no rule decides between them."""


class UnitsError(HydroxrError):
    """Raised if units are absent, unknown, or contradicted by the values."""


class DimensionError(HydroxrError):
    """Raised if a dimension is missing or unexpected."""


class TimeAxisError(HydroxrError):
    """Raised if the time axis is unsorted, has duplicates or gaps, or is not daily."""


class ValueRangeError(HydroxrError):
    """Raised if values are physically impossible."""


class ImprobableValueError(ValueRangeError):
    """Raised by ``ds.hbv.check(strict=True)`` if values are possible but improbable."""


class MissingForcingError(HydroxrError):
    """Raised if forcing is missing on a day and in a cell that the model needs."""


class MissingObservationError(HydroxrError):
    """Raised if there is no observed streamflow to train on or to compare with."""


class MissingAttributeError(HydroxrError):
    """Raised if catchment attributes of a regional model are absent."""


class AttributeValueError(HydroxrError):
    """Raised if an attribute holds what is no number: text that looks like one, a date, infinity."""


class CoordinateError(HydroxrError):
    """Raised if the coordinates of two Datasets, or of a Dataset and a model, do not match."""


class EmptySelectionError(HydroxrError):
    """Raised if a selection in time or space is empty or too small."""


class ParameterError(HydroxrError):
    """Raised if a parameter is unknown, missing, outside its range, or has a wrong shape."""


class StateError(HydroxrError):
    """Raised if an initial state does not fit the run that it should start."""


class DescriptionError(HydroxrError):
    """Raised if a model description or an option has a value that is not allowed."""


class NetworkError(HydroxrError):
    """Raised if a river network has a loop, an unknown downstream reach, or no outlet."""


class MemoryLimitError(HydroxrError):
    """Raised if the data that must be in memory do not fit."""


class TrainingError(HydroxrError):
    """Raised if a training has no finite loss and gradient in many batches in a row."""


class CheckpointError(HydroxrError):
    """Raised if a checkpoint is damaged, belongs to another training, or cannot be written."""


class ModelFileError(HydroxrError):
    """Raised if a model file is absent, damaged, or not written by hydroxr."""


class DataFileError(HydroxrError):
    """Raised if a data file is absent or cannot be read."""


class StoreError(HydroxrError):
    """Raised if a result cannot be written or opened."""


class BlockError(HydroxrError):
    """Raised if a block of cells and days of a lazy run fails; the message has place and cause."""


class IncompleteStoreError(StoreError):
    """Raised if a store lacks blocks: its writer has not finished, or parts were lost."""


class DamagedStoreError(StoreError):
    """Raised if chunks, metadata or manifest of a store have changed since it was written."""


class EditedStoreError(DamagedStoreError):
    """Raised by ``open_run(verify=True)`` if only attributes are not what was written; values are sound."""


def all_in_one(errors: Sequence[HydroxrError]) -> HydroxrError:
    """One error for several: the class of the first, and the messages of all in a list."""
    if len(errors) == 1:
        return errors[0]
    listed = "".join(f"\n  {number}. {error}" for number, error in enumerate(errors, 1))
    return type(errors[0])(f"{len(errors)} faults:{listed}")


class HydroxrWarning(UserWarning):
    """Class of all warnings that hydroxr issues."""


_told: ContextVar[set[str] | None] = ContextVar("_told", default=None)


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Issue each warning once inside the block; the members of an ensemble would repeat them."""
    token = _told.set(set())
    try:
        yield
    finally:
        _told.reset(token)


def warn(message: str) -> None:
    """Issue a :class:`HydroxrWarning` at the line outside hydroxr that made the call."""
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
