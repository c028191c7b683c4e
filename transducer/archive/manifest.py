"""Lists of what is to be worked on, read line by line: a list of millions takes no more memory than one of ten.

A list is text, in one of three forms, which its first line tells:

    plain       a path or an address a line
    TSV         a header with `path` and any of start, length, track, output; then a line each, parted by tabs
    JSON lines  an object a line, with the same keys

Times are seconds, or h:mm:ss. `output` is the name of the results below the output folder, without a suffix. Other
columns are left alone. Paths are relative to the list's folder, on standard input to the working folder.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from transducer.errors import UsageError
from transducer.text.times import parse_time

STANDARD_INPUT = "-"
COLUMNS = ("path", "start", "length", "track", "output")
_LONGEST = 1 << 20  # bytes of a line; a file without line ends is no list


@dataclass(frozen=True)
class Item:
    """One thing to work on.

    Attributes:
        path: what to open: a path or an address.
        name: as it was listed, before the list's folder was put before it.
        start, length: of the part that is wanted, in seconds; None for all.
        track: which sound of several, from 0.
        output: name of the results below the output folder, without a suffix; None where it follows from the name.
        line: where it was listed, from 1; 0 where it was named otherwise.
    """

    path: str
    name: str
    start: float | None = None
    length: float | None = None
    track: int | None = None
    output: str | None = None
    line: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """Those of a model's session that the item sets."""
        given = {"start": self.start, "length": self.length, "track": self.track}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be meant: `name` says which one it is, `error` what is wrong with it."""

    name: str
    error: str
    line: int


Parser = Callable[[str, int], Item | BadLine]


class Manifest:
    """An open list; iterate over it once for its items.

    Args:
        source: the path of the list, "-" for standard input, or an open binary file.
        name: what to call it in messages; its own name if not given.
        folder: what its paths are relative to; None for its own.

    Attributes:
        size: bytes in all, None where it is not known.
        read: bytes that have been read.

    Raises:
        UsageError: it cannot be read; and while iterating, its first line is no header of a list.
    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO, name: str | None = None, folder: str | None = None):
        self.size: int | None = None
        self.read = 0
        self._file: AbstractContextManager[BinaryIO]
        if isinstance(source, str | os.PathLike) and os.fspath(source) != STANDARD_INPUT:
            self.name = name or os.fspath(source)
            try:
                file: BinaryIO = open(source, "rb")  # noqa: SIM115 - closed at the end of the iteration
                self.size = os.fstat(file.fileno()).st_size or None
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise UsageError(f"{self.name}: the list cannot be read: {reason}") from None
            self._file, self._folder = file, os.path.dirname(source) if folder is None else folder
        else:
            if isinstance(source, str | os.PathLike):
                if sys.stdin is None or sys.stdin.isatty():
                    raise UsageError("standard input is a terminal; pipe a list of files into it, or name one")
                source = sys.stdin.buffer
            self.name = name or "standard input"
            self._file, self._folder = nullcontext(source), folder or ""

    def __iter__(self) -> Iterator[Item | BadLine]:
        parse: Parser | None = None
        with self._file as file:
            for number, line in enumerate(self._lines(file), start=1):
                if not line.strip():
                    continue
                if parse is None:
                    parse, header = choose_parser(line, self.name, self._folder)
                    if header:
                        continue
                yield parse(line, number)

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        try:
            while data := file.readline(_LONGEST):
                if len(data) == _LONGEST:
                    raise UsageError(f"{self.name}: is no list of files: it has a line of more than {_LONGEST} bytes")
                self.read += len(data)
                # Names of files need not be valid text.
                text = data.decode("utf-8", "surrogateescape").rstrip("\r\n")
                yield text.removeprefix("\ufeff") if self.read == len(data) else text
        except OSError as error:
            raise UsageError(f"{self.name}: the list cannot be read: {error.strerror}") from None


def choose_parser(first: str, name: str, folder: str = "") -> tuple[Parser, bool]:
    """What reads the lines of a list, and whether its first line is a header.

    Args:
        first: its first line that is not empty.
        name: of the list, for messages.
        folder: what its paths are relative to.

    Raises:
        UsageError: a header without `path`, or which names a column twice.
    """
    if first.lstrip().startswith("{"):
        return lambda line, number: _item(_object(line), name, folder, number), False
    columns = [column.strip().lower() for column in first.split("\t")]
    if columns == ["path"] or len(columns) > 1:
        if "path" not in columns or len(set(columns)) < len(columns):
            wrong = "no column 'path'" if "path" not in columns else "a column twice"
            raise UsageError(f"{name}: its header has {wrong}; it may have {', '.join(COLUMNS)}, parted by tabs")
        return lambda line, number: _item(_row(columns, line), name, folder, number), True
    return lambda line, number: _item({"path": line}, name, folder, number), False


def _row(columns: list[str], line: str) -> dict[str, Any] | str:
    values = line.split("\t")
    if len(values) > len(columns):
        return f"{len(values)} values for {len(columns)} columns"
    return {column: value for column, value in zip(columns, values, strict=False) if value.strip()}


def _object(line: str) -> dict[str, Any] | str:
    try:
        found = json.loads(line)
    except ValueError as error:
        return f"no JSON: {error}"
    return found if isinstance(found, dict) else "no JSON object"


def _item(values: dict[str, Any] | str, name: str, folder: str, line: int) -> Item | BadLine:
    if isinstance(values, str):
        return BadLine(f"{name}, line {line}", values, line)
    try:
        path = values.get("path")
        if not isinstance(path, str) or not path or "\0" in path:
            raise UsageError("there is no 'path'" if path in (None, "") else f"{path!r:.80} is no path")
        if path == STANDARD_INPUT:
            raise UsageError("standard input cannot be listed")
        return Item(
            path if "://" in path else os.path.join(folder, path),
            path,
            _time(values, "start"),
            _time(values, "length"),
            _track(values.get("track")),
            _output(values.get("output")),
            line,
        )
    except UsageError as error:
        return BadLine(f"{name}, line {line}", str(error), line)


def _time(values: dict[str, Any], column: str) -> float | None:
    value = values.get(column)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{column} {value!r:.80} is no time")
    return parse_time(str(value), column, positive=column == "length")


def _track(value: Any) -> int | None:
    if value is None:
        return None
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 4):
        raise UsageError(f"track {value!r:.80} is no number of a sound, from 0")
    return int(text)


def _output(value: Any) -> str | None:
    if value is None:
        return None
    path = PurePosixPath(value) if isinstance(value, str) and "\0" not in value else PurePosixPath()
    if not path.name or path.is_absolute() or ".." in path.parts:
        raise UsageError(f"output {value!r:.80} is no name below the output folder")
    return str(path)
