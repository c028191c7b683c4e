"""What kind of x a value is: a text, a series of numbers, or a file of sound, pictures, numbers or text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from transducer.data.examples import Example, Examples
from transducer.data.rows import shown
from transducer.errors import TransducerError
from transducer.media.series import check_rows, delimiter_of, header_of, open_rows, read_npy, read_rows
from transducer.media.text import read_text

SUFFIXES = {
    "sound": (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma"),
    "video": (".mp4", ".mkv", ".mov", ".avi", ".webm", ".mpg", ".mpeg", ".m4v"),
    "image": (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"),
    "series": (".csv", ".tsv", ".npy"),
    "text": (".txt",),
}
MEDIA = ("sound", "video", "image")  # decoded later, and by the model's own medium
INPUTS = ("text", "series", *MEDIA)
_LONGEST_NAME = 1000  # characters of the name of a file


def input_of(examples: Examples, example: Example) -> str:
    """One of `INPUTS`. Raises UsageError, with the line, where x is empty or nothing that a model could take."""
    value = example.x
    if value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, list) and not value):
        raise examples.problem(example.line, "x is empty")
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "text"
    if isinstance(value, int | float | list) and not isinstance(value, bool):
        return "series"
    raise examples.problem(
        example.line, f"x is {shown(value)}: it must be a text, a file, or a list of words, numbers or rows of numbers"
    )


def _of_text(value: str) -> str:
    """Of a value that is text. What ends in .wav is a file, whether it exists or not."""
    if value.startswith("[") and isinstance(_list(value), list):
        return "series"
    suffix = Path(value).suffix.lower() if len(value) < _LONGEST_NAME and "\n" not in value else ""
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), "text")


def one_input(examples: Examples, wanted: str | None = None) -> str:
    """The kind that all x are. Raises UsageError, with the line, where they are not of one, or not of the `wanted`."""
    first = examples.pairs[0]
    kind = wanted or input_of(examples, first)
    for example in examples.pairs:
        found = input_of(examples, example)
        if found == kind or (wanted == "text" and isinstance(example.x, str)):
            continue
        if wanted:
            raise examples.problem(example.line, f"x is {found}, and the model takes {wanted}")
        raise examples.problem(
            example.line,
            f"x is {found}, but {kind} on line {first.line}: all x of a table must be of one kind",
        )
    return kind


def text_of(examples: Examples, example: Example) -> str | tuple[str, ...]:
    """A text, or words one by one; of the name of a text file, what is in it. Raises UsageError, with the line."""
    value = example.x
    if isinstance(value, list):
        if odd := next((word for word in value if word.split() != [word]), None):
            raise examples.problem(
                example.line, f"{shown(odd)!r} in x is no word: a list of words has one in each place"
            )
        return tuple(value)
    if Path(value).suffix.lower() == ".txt" and (examples.folder / value).is_file():
        try:
            value = read_text(examples.folder / value)
        except TransducerError as error:
            raise examples.problem(example.line, str(error)) from None
        if not value.strip():
            raise examples.problem(example.line, "x is empty: there is no text in the file")
    return str(value)


def rows_of(
    examples: Examples, example: Example, columns: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A series (T, C) float32 and the names of its columns.

    Args:
        columns: those of the examples before; None for the first one.

    Raises:
        UsageError: with the line: no numbers, NaN, other columns than before, or a file that cannot be read.
    """
    value = _list(example.x) if isinstance(example.x, str) and example.x.startswith("[") else example.x
    try:
        if isinstance(value, str):
            rows, names = _file(examples.folder / value, columns)
        else:
            rows = value if isinstance(value, list) else [value]
            names = _names(np.shape(rows[0])[-1] if isinstance(rows[0], list) else 1)
        if columns is not None and len(names) != len(columns):
            raise examples.problem(
                example.line,
                f"a row of x has {len(names)} numbers, but {len(columns)} on line {examples.pairs[0].line}",
            )
        found = check_rows(rows, len(names), "x")
    except TransducerError as error:
        if str(error).startswith(f"{examples.path}, line"):
            raise
        raise examples.problem(example.line, str(error)) from None
    except (ValueError, IndexError):
        raise examples.problem(example.line, "x is no list of numbers or of rows of numbers") from None
    if not len(found):
        raise examples.problem(example.line, "x is empty")
    return found, columns or names


def _file(path: Path, columns: tuple[str, ...] | None) -> tuple[Any, tuple[str, ...]]:
    if path.suffix.lower() == ".npy":
        array = read_npy(path)
        return array, _names(1 if array.ndim < 2 else array.shape[1])
    delimiter = delimiter_of(str(path))
    with open_rows(path) as file:
        header = header_of([cell.strip() for cell in file.readline().rstrip("\r\n").split(delimiter)])
        file.seek(0)
        wanted = columns if header else None
        rows = list(read_rows(file, str(path), wanted, delimiter))
    return rows, wanted or tuple(header) or _names(len(rows[0]) if rows else 1)


def _names(count: int) -> tuple[str, ...]:
    return ("x",) if count == 1 else tuple(f"x{number}" for number in range(1, count + 1))


def _list(text: str) -> Any:
    """What a cell of a table with columns holds as JSON; the text itself where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text
