"""The rows of a table of clips, as they are written: JSON lines, or columns parted by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from transducer.errors import UsageError

PATHS = ("path", "clip", "file", "video")  # what the column of the clip may be called
TEXTS = ("text", "words", "sentence")
SPLITS = ("split", "set")
KINDS = ("events", "labels", "label", "text")


@dataclass(frozen=True)
class Row:
    """A row: where it stands, and its values under the names that the manifest knows."""

    table: Path
    line: int
    values: dict[str, Any]

    def problem(self, text: str) -> UsageError:
        return UsageError(f"{self.table}, line {self.line}: {text}")

    def number(self, name: str) -> float | None:
        """A value as a number of seconds or frames; None where it is empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not math.isfinite(number):
            raise self.problem(f"{name} {value!r} is no number")
        return number

    def name(self, name: str) -> str:
        """A value as a name; "" where it is empty."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise self.problem(f"{name} must be a name, not {json.dumps(value)}")
        return " ".join(str(value).split())


def read_rows(path: Path) -> list[Row]:
    """The rows of a table, in order; UTF-8, endings .jsonl and .json for JSON lines, all others with a header line.

    Raises:
        UsageError: naming the table, and the line where there is one: it cannot be read, or is no such table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot read the manifest: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: the manifest is not UTF-8 text") from None
    rows = list(_json_rows(path, text) if path.suffix in (".jsonl", ".json") else _column_rows(path, text))
    if not rows:
        raise UsageError(f"{path}: the manifest is empty: it needs a row for every clip or event")
    return rows


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    # Not splitlines(): JSON strings may hold U+2028 and other characters that it takes for line ends.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
        except json.JSONDecodeError as error:
            raise UsageError(f"{path}, line {line}: not JSON: {error.msg}; a line is one clip") from None
        if not isinstance(values, dict):
            raise UsageError(f'{path}, line {line}: a line must be a JSON object, such as {{"path": "a.mp4", ...}}')
        yield _named(Row(path, line, values))


def _column_rows(path: Path, text: str) -> Iterator[Row]:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max("\t;,", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip().lower() for cell in cells]
                twice = [name for name in header if header.count(name) > 1]
                if twice:
                    raise UsageError(f"{path}, line {reader.line_num}: the column {twice[0]!r} comes twice")
                if not set(header) & set(PATHS):
                    raise UsageError(
                        f"{path}, line {reader.line_num}: no column for the clip, such as 'path' or 'clip'; "
                        f"the header has {', '.join(header)}"
                    )
                continue
            if len(cells) > len(header):
                raise UsageError(f"{path}, line {reader.line_num}: {len(cells)} columns, the header has {len(header)}")
            values = {name: cell.strip() for name, cell in zip_longest(header, cells, fillvalue="")}
            yield _named(Row(path, reader.line_num, values))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}") from None


def _named(row: Row) -> Row:
    """The row with one name for what may be called differently."""
    values = dict(row.values)
    for wanted, names in (("path", PATHS), ("text", TEXTS), ("split", SPLITS)):
        found = [name for name in names if name in values]
        if len(found) > 1:
            raise row.problem(f"{found[0]!r} and {found[1]!r} mean the same: leave one of them out")
        if found:
            values[wanted] = values.pop(found[0])
    if not isinstance(values.get("path"), str) or not values["path"].strip():
        raise row.problem("the row names no clip: 'path' must be the name of a file")
    return Row(row.table, row.line, values)
