"""Text tables: separators, comments and encodings as programs write them."""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path

import pandas as pd

from ...errors import DataFileError

_SEPARATORS = (";", ",", "\t")
_OF_RDB = re.compile(r"(?:\d+[sdn]\t?)+")  # widths and kinds of the columns, below the header of a USGS table
_OF_EXCEL = re.compile(r"sep=.")


def separator_of(line: str) -> str:
    """What separates the fields of a line, as pandas takes it."""
    found = max(_SEPARATORS, key=line.count)
    return found if found in line else r"\s+"


def fields_of(line: str, separator: str) -> list[str]:
    """The fields of a line, without quotes."""
    parts = line.split() if separator == r"\s+" else line.split(separator)
    return [part.strip().strip('"').strip() for part in parts]


def read_any(table: str | os.PathLike[str] | pd.DataFrame) -> pd.DataFrame:
    """A text file, all values as text; or a DataFrame, its index as columns.

    Raises
    ------
    DataFileError
        If the file is absent or no table.
    """
    if isinstance(table, pd.DataFrame):
        return table.reset_index()
    path = Path(table).expanduser()
    if not path.is_file():
        raise DataFileError(f"{path}: there is no such file. Correct the path.")
    return read_text(path)


def read_text(path: Path) -> pd.DataFrame:
    """All values of a table as text; NaN where empty.

    Raises
    ------
    DataFileError
        If it cannot be read, or is no table.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataFileError(
            f"{path}: cannot be read ({error.strerror}). Correct the path or its permissions."
        ) from error
    lines = [line for line in _decoded(data).splitlines() if line.strip(" \t\r;,") and line[0] != "#"]
    if lines and _OF_EXCEL.fullmatch(lines[0]):
        del lines[0]
    if len(lines) > 1 and _OF_RDB.fullmatch(lines[1]):
        del lines[1]
    if not lines or "\0" in lines[0]:
        raise DataFileError(
            f"{path}: is no table of text; expected a header and values. Excel's files are read by pandas: "
            "pass pd.read_excel(...)."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            frame = pd.read_csv(
                io.StringIO("\n".join(lines)), sep=separator_of(lines[0]), dtype=str, index_col=False
            )
    except pd.errors.ParserWarning as error:
        raise DataFileError(
            f"{path}: rows have more fields than the header; expected as many. Quote fields that hold the "
            "separator, or write decimal points where commas separate columns."
        ) from error
    except ValueError as error:
        raise DataFileError(f"{path}: cannot be read as a table ({error}).") from error
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    return frame


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
