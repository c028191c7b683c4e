"""Numeric series as a medium: one step is a row of numbers, of a CSV file, an array or a list."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import MediaError, UsageError
from transducer.media.counted import AT_HAND, RATE, CountedSource, read_counted
from transducer.media.medium import BlockReader

SUFFIXES = frozenset({".csv", ".tsv", ".npy"})
_AT_A_TIME = 256  # rows of a file


@dataclass(frozen=True)
class Series:
    """Rows (N, C) of finite numbers, float32.

    Attributes:
        columns: their names; those of a CSV file with a header are looked up there, in any order and among others.
    """

    columns: tuple[str, ...]

    name = "rows"
    dtype = np.dtype(np.float32)
    rate = RATE
    steady, read_ahead, counted = True, False, True
    options = ()

    @property
    def channels(self) -> int:
        return len(self.columns)

    def block_for(self, reader: BlockReader) -> int | None:
        return None if reader.duration is None else AT_HAND

    def facts(self, lookahead: int) -> dict[str, Any]:
        return {"input": "rows of numbers", "columns": list(self.columns), "look_ahead_rows": lookahead}

    def check(self, x: Any) -> NDArray[np.float32]:
        """(N, C), or (N,) where there is one column; a row (C,) where there are several. Raises UsageError."""
        return check_rows(x, self.channels)

    def open(self, source: Any, *, block: int | None = None) -> BlockReader:
        """A file (.csv, .tsv, .npy, "-" for lines of standard input), an open text file of CSV, or what `check` takes.

        Args:
            block: rows to give at a time.

        Raises:
            MediaError: the file cannot be read, or a line of it holds no row; with the number of the line.
            UsageError: it is no source.
        """
        if isinstance(source, str | os.PathLike):
            path = str(source)
            if path == "-":
                return self._lines(sys.stdin, "standard input", ",", 1)
            if Path(path).suffix.lower() == ".npy":
                rows = check_rows(read_npy(Path(path)), self.channels, path)
                return read_counted(CountedSource(path, len(rows)), iter([rows]), block)
            return self._lines(open_rows(Path(path)), path, delimiter_of(path), block or _AT_A_TIME)
        if hasattr(source, "read"):
            name = str(getattr(source, "name", "rows"))
            return self._lines(source, name, delimiter_of(name), block or 1)
        rows = self.check(source)
        return read_counted(CountedSource("rows", len(rows)), iter([rows]), block)

    def _lines(self, file: Any, name: str, delimiter: str, size: int) -> BlockReader:
        rows = read_rows(file, name, self.columns, delimiter)

        def arrays() -> Iterator[NDArray[np.float32]]:
            waiting: list[list[float]] = []
            for row in rows:
                waiting.append(row)
                if len(waiting) == size:
                    yield np.array(waiting, np.float32)
                    waiting = []
            if waiting:
                yield np.array(waiting, np.float32)

        closing = None if file is sys.stdin else file.close
        return read_counted(CountedSource(name, closing=closing), arrays())


def check_rows(x: Any, columns: int, where: str = "the series") -> NDArray[np.float32]:
    """(N, C) float32 of finite numbers. Raises UsageError for anything else."""
    try:
        array = np.asarray(x)
        kind = array.dtype.kind
    except ValueError:  # rows of several lengths
        kind = "O"
    if kind not in "iufb":
        raise UsageError(f"{where}: rows must be numbers, {columns} in each")
    if array.ndim == 1:
        array = array[:, None] if columns == 1 else array[None]
    if array.ndim != 2 or array.shape[1] != columns:
        raise UsageError(f"{where}: rows must have {columns} numbers each, got an array of shape {np.shape(x)}")
    found: NDArray[np.float32] = array.astype(np.float32)
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise UsageError(f"{where}: row {row + 1} has NaN or infinity; leave such rows out, or fill them in")
    return found


def read_npy(path: Path) -> NDArray[Any]:
    """An array of a file, which is not allowed to run code. Raises MediaError."""
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
        return array
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror or 'it is no array'}") from None
    except (ValueError, EOFError):
        raise MediaError(f"{path}: is no array of numbers") from None


def open_rows(path: Path) -> io.TextIOWrapper:
    """A text file of rows. Raises MediaError."""
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}") from None


def delimiter_of(path: str) -> str:
    """What stands between the columns of a file with this name."""
    return "\t" if Path(path).suffix.lower() == ".tsv" else ","


def read_rows(
    file: Iterable[str], name: str, columns: Sequence[str] | None = None, delimiter: str = ","
) -> Iterator[list[float]]:
    """The rows of CSV, with a header of names or without.

    Args:
        columns: to take, by name where there is a header, else all of so many; None takes what is there.

    Raises:
        MediaError: a column is missing, or a line has no row of numbers; with the number of the line.
    """
    reader = csv.reader(file, delimiter=delimiter)
    taken: list[int] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if taken is None:
                header = header_of(cells)
                taken = _columns(header, cells, columns, f"{name}, line {reader.line_num}")
                if header:
                    continue
            yield _row(cells, taken, f"{name}, line {reader.line_num}")
    except (csv.Error, UnicodeDecodeError) as error:
        raise MediaError(f"{name}, line {reader.line_num + 1}: is no CSV: {error}") from None


def header_of(cells: Sequence[str]) -> list[str]:
    """The names in a first line; none where it is a row of numbers."""
    return [] if all(_is_number(cell) for cell in cells) else [cell.strip() for cell in cells]


def _columns(header: list[str], cells: Sequence[str], columns: Sequence[str] | None, where: str) -> list[int]:
    if columns is None or not header:
        if columns is not None and len(cells) != len(columns):
            raise MediaError(f"{where}: there are {len(cells)} columns, and the model takes {len(columns)}")
        return list(range(len(cells)))
    if missing := [column for column in columns if column not in header]:
        raise MediaError(f"{where}: the column {missing[0]!r} is missing: there are {', '.join(header)}")
    return [header.index(column) for column in columns]


def _row(cells: Sequence[str], taken: Sequence[int], where: str) -> list[float]:
    if len(cells) <= max(taken):
        raise MediaError(f"{where}: there are {len(cells)} cells where {max(taken) + 1} were expected")
    row = []
    for column in taken:
        if not _is_number(cells[column]):
            raise MediaError(f"{where}: {cells[column]!r} is no number")
        value = float(cells[column])
        if not np.isfinite(value):
            raise MediaError(f"{where}: {cells[column]!r} is no finite number; leave such rows out, or fill them in")
        row.append(value)
    return row


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
