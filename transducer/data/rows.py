"""The rows of a table as they are written: JSON lines, or columns parted by tabs, commas or semicolons."""

from __future__ import annotations

import csv
import difflib
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transducer.errors import UsageError

KINDS = ("events", "labels", "label", "text")
TIMES = ("start", "end", "start_frame", "end_frame")
KNOWN = ("path", "id", "seconds", "speaker", "source", "split", *KINDS, *TIMES)
_ALIASES = {"clip": "path", "file": "path", "video": "path", "words": "text", "sentence": "text", "set": "split"}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d*)?)", re.ASCII)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def shown(value: Any) -> str:
    """A value of a table for a message: on one line, and not long. Names without oddities are left as they are."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 300 else _SHORT.repr(value)


@dataclass(frozen=True)
class Row:
    """A row: where it stands, and its values under the names of `KNOWN`, or their own."""

    table: Path
    line: int
    values: dict[str, Any]

    def problem(self, text: str) -> UsageError:
        return UsageError(f"{self.table}, line {self.line}: {text}")

    def number(self, name: str) -> float | None:
        """A value as a finite number; None where it is empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.problem(f"{name} {_SHORT.repr(value)} is no number")
        return number

    def time(self, name: str) -> float | None:
        """A value in seconds, which may be written as 1:02.5 or 00:01:02.5; None where it is empty."""
        value = self.values.get(name)
        clock = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
        if clock is None:
            if isinstance(value, str) and ":" in value:
                raise self.problem(
                    f"{name} {_SHORT.repr(value)} is no time: write seconds, such as 62.5, or 00:01:02.5"
                )
            return self.number(name)
        hours, minutes, seconds = clock[1], int(clock[2]), float(clock[3].replace(",", "."))
        if seconds >= 60 or (hours and minutes >= 60):
            raise self.problem(f"{name} {_SHORT.repr(value)} is no time: minutes and seconds end at 59")
        return 3600 * int(hours or 0) + 60 * minutes + seconds

    def name(self, name: str) -> str:
        """A value as a name; "" where it is empty."""
        value = self.values.get(name)
        if value is None:
            return ""
        odd = isinstance(value, float) and not math.isfinite(value)
        if not isinstance(value, str | int | float) or isinstance(value, bool) or odd:
            raise self.problem(f"{name} must be a name, not {_SHORT.repr(value)}")
        return " ".join(str(value).split())

    def missing(self, *names: str) -> str:
        """What there is instead of columns that a row lacks, for a message; "" where it has one of them."""
        if any(name in self.values for name in names):
            return ""
        near = next(filter(None, (nearest(name, list(self.values)) for name in names)), "")
        return f"; there are {shown(', '.join(self.values))}{near}"


def read_rows(path: Path) -> list[Row]:
    """The rows of a table, in order.

    Args:
        path: UTF-8; JSON lines by the endings .jsonl, .ndjson and .json, or by a brace at the start; all others have
            a header line. Between tabs, quotation marks are ordinary characters; between commas or semicolons they
            enclose a cell.

    Raises:
        UsageError: naming the table, and the line where there is one: it cannot be read, or is no such table.
    """
    text = read_text(path)
    if is_json(path, text):
        rows = [_row(path, line, values) for line, values in json_lines(path, text)]
    else:
        cells = column_lines(path, text, _header)
        rows = [_checked(Row(path, line, values)) for line, values in cells]
    if not rows:
        raise UsageError(f"{path}: the table has no rows: it needs one for every recording, clip or event")
    return rows


def nearest(name: str, names: Sequence[str]) -> str:
    """A question that may help: ", did you mean ...?"; "" where no name is near."""
    found = difflib.get_close_matches(name[:100], names, 1, 0.7)
    return f"; did you mean {found[0]!r}?" if found else ""


def is_json(path: Path, text: str) -> bool:
    """Whether a table is JSON lines: by its ending, or by a brace at the start."""
    return path.suffix.lower() in (".jsonl", ".ndjson", ".json") or text.startswith("{")


def read_text(path: Path) -> str:
    """The text of a table. Raises UsageError where it cannot be read, or is no text."""
    try:
        with open(path, "rb") as file:
            data = file.read(4096)
            if data.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise UsageError(f"{path}: the table is not UTF-8 text but UTF-16: save it as UTF-8")
            if b"\0" in data:  # media, which may be large
                raise UsageError(f"{path}: this is no table: not UTF-8 text")
            data += file.read()
    except OSError as error:
        raise UsageError(f"{shown(str(path))}: cannot read the table: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{shown(str(path))}: cannot read the table: no file can have this name") from None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: the table is not UTF-8 text") from None


def json_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line that is not empty. Raises UsageError for what is none."""
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it takes for line ends.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
            if "\\ud" in content.lower():
                json.dumps(values, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}, line {line}: not JSON: {error.msg}; a line is one object") from None
        except RecursionError:
            raise UsageError(f"{path}, line {line}: lists or objects are nested too deep") from None
        except UnicodeEncodeError:
            raise UsageError(f"{path}, line {line}: half a character (an unpaired \\ud8.. or \\udc..)") from None
        except ValueError:
            raise UsageError(f"{path}, line {line}: a number has too many digits") from None
        if not isinstance(values, dict):
            raise UsageError(f'{path}, line {line}: a line must be a JSON object, such as {{"path": "a.mp4", ...}}')
        yield line, values


def _row(path: Path, line: int, values: dict[str, Any]) -> Row:
    names = _names(path, line, list(values))
    return _checked(Row(path, line, dict(zip(names, values.values(), strict=True))))


def column_lines(
    path: Path, text: str, names: Callable[[Path, int, list[str]], list[str]]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells of each row under a header.

    Args:
        names: (path, line, header as it is written) -> the names of the columns.

    Raises:
        UsageError: a row that does not fit the header, or quotation marks that do not.
    """
    first = text.lstrip("\n").split("\n", 1)[0]
    delimiter = max("\t;,", key=first.count)
    plain = delimiter == "\t"
    # As above, no splitlines(): lines of text may hold U+2028.
    lines = (line + "\n" for line in text.split("\n"))
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
        skipinitialspace=not plain,
        strict=not plain,
    )
    header: list[str] = []
    line = 0
    try:
        for cells in reader:
            start, line = line + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = names(path, start, [cell.strip() for cell in cells])
                continue
            # A clip in which nothing happens needs no more than its name.
            short = len(cells) < len(header) and not set(header) & set(TIMES)
            if len(cells) > len(header) or short:
                hint = "" if short or plain else "; a cell with the delimiter in it needs quotation marks"
                raise UsageError(f"{path}, line {start}: {len(cells)} columns, the header has {len(header)}{hint}")
            cells += [""] * (len(header) - len(cells))
            yield start, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise UsageError(f"{path}, line {line + 1}: {error}; check its quotation marks") from None


def _header(path: Path, line: int, cells: list[str]) -> list[str]:
    header = _names(path, line, cells)
    if "path" not in header:
        near = next(filter(None, (nearest(cell.lower(), ("path", "clip", "file", "video")) for cell in cells)), "")
        raise UsageError(
            f"{path}, line {line}: no column for the recording or clip, such as 'path' or 'clip'; the header has "
            f"{shown(', '.join(cells))}{near}"
        )
    return header


def _names(path: Path, line: int, given: list[str]) -> list[str]:
    """One name for what may be called differently."""
    names: dict[str, str] = {}
    for name in given:
        known = _ALIASES.get(name.strip().lower(), name.strip().lower())
        known = known if known in KNOWN else name.strip()
        if known in names:
            twice = f"the column {shown(name)!r} comes twice"
            both = f"{shown(names[known])!r} and {shown(name)!r} mean the same: leave one of them out"
            raise UsageError(f"{path}, line {line}: {twice if names[known] == name else both}")
        names[known] = name
    return list(names)


def _checked(row: Row) -> Row:
    path = row.values.get("path")
    if not isinstance(path, str) or not path.strip():
        raise row.problem(f"the row names no file: 'path' must be the name of a recording or clip{row.missing('path')}")
    return row
