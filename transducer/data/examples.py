"""Pairs (x, y) of any kind as they are written: JSON lines, a table with columns, or a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transducer.data.rows import column_lines, is_json, json_lines, nearest, read_text, shown
from transducer.errors import UsageError

# What the columns may also be called, in the order in which they are looked for.
X_NAMES = ("x", "path", "file", "clip", "audio", "video", "image", "input", "source", "sentence", "utterance", "text")
Y_NAMES = ("y", "label", "labels", "events", "target", "output", "tags", "class", "intent", "translation", "text")
SPLITS = {"train": "train", "training": "train"} | dict.fromkeys(("dev", "valid", "validation", "val", "test"), "dev")


@dataclass(frozen=True)
class Example:
    """A pair as it is written.

    Attributes:
        line: of the table; of a folder, the number of the file.
        split: "train", "dev" or "" where nothing is said.
        group: examples of one group (a speaker, a source) stay on one side; "" for none.
    """

    line: int
    x: Any
    y: Any
    split: str = ""
    group: str = ""


@dataclass(frozen=True)
class Examples:
    """All pairs of a table or folder, and the names of the columns that they came from."""

    path: Path
    pairs: tuple[Example, ...]
    x: str = "x"
    y: str = "y"

    @property
    def folder(self) -> Path:
        """What files in it are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def problem(self, line: int, text: str) -> UsageError:
        return UsageError(f"{self.path}, line {line}: {text}")


def read_examples(path: Path, x: str | None = None, y: str | None = None) -> Examples:
    """Read pairs; the files that they name are not opened.

    Args:
        path: of JSON lines with `x` and `y`, of a table with these columns, or of a folder with one for each class.
        x, y: what they are called; each may be several columns of numbers, with commas between them. Usual names are
            known.

    Raises:
        UsageError: in one line with the number of the line: what is missing.
    """
    if path.is_dir():
        tables = [entry for entry in sorted(path.iterdir()) if entry.suffix in (".jsonl", ".csv", ".tsv")]
        if not any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir()) and len(tables) == 1:
            return read_examples(tables[0], x, y)
        return _of_folders(path)
    text = read_text(path)
    if is_json(path, text):
        rows: list[tuple[int, dict[str, Any]]] = list(json_lines(path, text))
    else:
        rows = [(line, dict(cells)) for line, cells in column_lines(path, text, lambda path, line, names: names)]
    if not rows:
        raise UsageError(f"{path}: there are no pairs in it: it needs a line for each, with x and y")
    first = rows[0][1]
    head = rows[0][0] if is_json(path, text) else 1
    x_name = _find(path, head, first, x, X_NAMES, "x", ())
    y_name = _find(path, head, first, y, Y_NAMES, "y", (x_name,))
    pairs = []
    for line, row in rows:
        names, targets = ([name] if name in row else name.split(",") for name in (x_name, y_name))
        names, targets = ([name.strip() for name in found] for found in (names, targets))
        for name in (*names, *targets):
            if name not in row:
                raise UsageError(f"{path}, line {line}: {_missing(name, row)}")
        value = row[names[0]] if len(names) == 1 else [[_cell(row[name]) for name in names]]
        y_value = row[targets[0]] if len(targets) == 1 else [_cell(row[name]) for name in targets]
        pairs.append(Example(line, value, y_value, _split(path, line, row), _group(row)))
    return Examples(path, tuple(pairs), x_name, y_name)


def _of_folders(path: Path) -> Examples:
    pairs, number = [], 0
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        for file in sorted(entry for entry in folder.rglob("*") if entry.is_file() and not entry.name.startswith(".")):
            number += 1
            pairs.append(Example(number, str(file.relative_to(path)), folder.name))
    if not pairs:
        raise UsageError(f"{path}: there is no table in it, and no folder of files for each class")
    return Examples(path, tuple(pairs))


def _find(
    path: Path, line: int, row: dict[str, Any], given: str | None, names: Sequence[str], what: str, taken: Sequence[str]
) -> str:
    """The column of x or of y."""
    if given is not None:
        parts = [given] if given in row else [part.strip() for part in given.split(",")]
        if missing := [part for part in parts if part not in row]:
            raise UsageError(f"{path}, line {line}: {_missing(missing[0], row)}")
        return given
    known = {name.strip().lower(): name for name in row}
    found = next((known[name] for name in names if name in known and known[name] not in taken), None)
    if found is None:
        raise UsageError(f"{path}, line {line}: {_missing(what, row)}; --{what} NAME says which it is")
    return found


def _missing(name: str, row: dict[str, Any]) -> str:
    return f"there is no {shown(name)!r}: there are {shown(', '.join(row))}{nearest(name, list(row))}"


def _cell(value: Any) -> Any:
    """A cell as the number that it should be; what is none is told with all of x."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def _split(path: Path, line: int, row: dict[str, Any]) -> str:
    value = str(row.get("split") or "").strip().lower()
    if value and value not in SPLITS:
        raise UsageError(f"{path}, line {line}: unknown split {shown(value)!r}: there are train and dev")
    return SPLITS.get(value, "")


def _group(row: dict[str, Any]) -> str:
    return str(row.get("speaker") or row.get("group") or "")
