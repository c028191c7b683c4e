"""Pairs (x, y) of any kind as a table of items, and what kind of x and shape of a task they are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transducer.data.drafts import marks_of
from transducer.data.examples import Example, Examples, read_examples
from transducer.data.inputs import MEDIA, one_input, rows_of, text_of
from transducer.data.item import Item
from transducer.data.numbers import Numbers, are_numbers, check_differ, read_numbers
from transducer.data.rows import column_lines, is_json, json_lines, nearest, read_text, shown
from transducer.data.shapes import TASKS, check_kinds, check_labels, shape_of, step_kind, y_of
from transducer.data.table import Table
from transducer.errors import UsageError

FEWEST = 20  # pairs: of fewer, too few could be held out to tell anything


@dataclass(frozen=True)
class PairTable:
    """A table whose items have `x`, or are files.

    Attributes:
        input: "text", "series", "image", "sound" or "video".
        task: "n2n", "n21" or "n2m".
        steps: of texts: "words" or "characters", what a step is where there is a label for each; else "".
        columns: of series.
        words: whether y is a list of words, each of which is a token.
        numbers: what the numbers of y are called, in tasks "n2n" and "n21"; empty where y is none.
    """

    table: Table
    input: str
    task: str
    steps: str = ""
    columns: tuple[str, ...] = ()
    words: bool = False
    numbers: tuple[str, ...] = ()


def read_pairs(
    path: Path,
    *,
    task: str | None = None,
    kind: str | None = None,
    x: str | None = None,
    y: str | None = None,
    columns: tuple[str, ...] | None = None,
    steps: str = "",
    fewest: int = FEWEST,
    output: str | None = None,
) -> PairTable:
    """Read and check pairs; files of sound and pictures are not opened, others are read.

    Args:
        task, kind: what it is, where nothing is to be guessed: see `PairTable`, `input` for kind.
        x, y: names of the columns, see `read_examples`.
        columns, steps: of the model that is to be measured on them.
        fewest: pairs that there must be.
        output: "numbers" or "labels", what y are where they could be both; see `are_numbers`.

    Raises:
        UsageError: one line with the number of the line: what is wrong, and what to do.
    """
    if task is not None and task not in TASKS:
        raise UsageError(f"unknown task {task!r}: there are {', '.join(TASKS)}")
    examples = read_examples(path, x, y)
    if len(examples.pairs) < fewest:
        raise examples.problem(
            examples.pairs[-1].line,
            f"the table ends here with {len(examples.pairs)} pairs: at least {fewest} are needed to learn from some "
            "and to measure on others",
        )
    kind = one_input(examples, kind)
    values, columns = _values(examples, kind, columns)
    counts = _steps(values, kind)
    if steps in counts:
        counts = {steps: counts[steps]}
    if output == "numbers" or (output is None and task != "n2m" and are_numbers(examples, kind == "text")):
        return _of_numbers(examples, values, kind, read_numbers(examples, task, counts), columns or (), fewest)
    ys = [y_of(examples, example, output == "labels") for example in examples.pairs]
    check_kinds(examples, ys)
    task = task or shape_of(examples, ys, counts)
    items, found = _items(examples, values, ys, task, kind, counts)
    labels = tuple(sorted({name for item in items for name in item.names})) if task != "n2m" else ()
    if fewest > 1 and task != "n2m":
        check_labels(examples, [list(item.names) for item in items])
    words = task == "n2m" and all(isinstance(each, list) for each in ys)
    return PairTable(Table(path, tuple(items), labels), kind, task, found, columns or (), words)


def _of_numbers(
    examples: Examples, values: Sequence[Any], kind: str, y: Numbers, columns: tuple[str, ...], fewest: int
) -> PairTable:
    if fewest > 1:
        check_differ(examples, y.values)
    items = []
    for example, value, found in zip(examples.pairs, values, y.values, strict=True):
        known: dict[str, Any] = {"value": tuple(found.tolist())}
        if y.task == "n2n":
            known = {"values": tuple(map(tuple, found.tolist()))}
        items.append(_item(examples, example, value, kind, **known))
    return PairTable(Table(examples.path, tuple(items), ()), kind, y.task, y.steps, columns, numbers=y.names)


def read_texts(path: Path) -> Table:
    """The texts of a table, by its column `text`; or x and y, of which y is the end of x.

    Raises:
        UsageError: with the line: there is no text, or an empty one.
    """
    text = read_text(path)
    lines = json_lines(path, text) if is_json(path, text) else column_lines(path, text, lambda path, line, names: names)
    items = []
    for line, row in lines:
        parts = [row.get("text")] if "text" in row else [row.get("x"), row.get("y", "")]
        if not all(isinstance(part, str) for part in parts) or not "".join(map(str, parts)):
            raise UsageError(f"{path}, line {line}: there is no text, by the name 'text' or as x and y, its end")
        whole = "".join(map(str, parts))
        items.append(Item(whole, str(line), path, line, text=whole, x=whole))
    if not items:
        raise UsageError(f"{path}: there are no texts in it")
    return Table(path, tuple(items), ())


def has_pairs(path: Path) -> bool:
    """Whether a table has x and y, or is a folder with one for each class; other tables are of files alone."""
    if path.is_dir():
        return not any(entry.suffix in (".jsonl", ".csv", ".tsv") for entry in path.iterdir())
    try:
        text = read_text(path)
        rows = (
            json_lines(path, text) if is_json(path, text) else column_lines(path, text, lambda path, line, names: names)
        )
        names = {name.strip().lower() for name in next(iter(rows), (0, {}))[1]}
    except UsageError:
        return False  # who reads it will say what is wrong
    return {"x", "y"} <= names


def check_known(pairs: PairTable, labels: Collection[str]) -> None:
    """Raises UsageError, with the line, for a label that is none of a model's."""
    for item in pairs.table.items:
        for name in item.names if pairs.task != "n2m" else ():
            if name and name not in labels:
                there = shown(", ".join(list(labels)[:20]))
                raise pairs.table.problem(
                    item.line, f"unknown label {shown(name)!r}: the model has {there}{nearest(name, list(labels))}"
                )


def _values(examples: Examples, kind: str, columns: tuple[str, ...] | None) -> tuple[list[Any], tuple[str, ...] | None]:
    if kind == "text":
        return [text_of(examples, example) for example in examples.pairs], None
    if kind == "series":
        values = []
        for example in examples.pairs:
            rows, columns = rows_of(examples, example, columns)
            values.append(rows)
        return values, columns
    for example in examples.pairs:
        _check_file(examples, example)
    return [None] * len(examples.pairs), None


def _check_file(examples: Examples, example: Example) -> None:
    try:
        if not (examples.folder / example.x).is_file():
            raise examples.problem(example.line, f"no such file: {shown(str(examples.folder / example.x))}")
    except (OSError, ValueError):
        raise examples.problem(example.line, f"no file can have the name {shown(example.x)}") from None


def _steps(values: Sequence[Any], kind: str) -> dict[str, list[int]]:
    """How many steps each x has, of each kind that it may be cut into."""
    if kind == "series":
        return {"rows": list(map(len, values))}
    if kind != "text":
        return {}
    words = [len(value) if isinstance(value, tuple) else len(value.split()) for value in values]
    if any(isinstance(value, tuple) for value in values):
        return {"words": words}
    return {"words": words, "characters": list(map(len, values))}


def _items(
    examples: Examples, values: Sequence[Any], ys: Sequence[Any], task: str, kind: str, counts: Mapping[str, list[int]]
) -> tuple[list[Item], str]:
    events = any(isinstance(y, list) and y and isinstance(y[0], Mapping) for y in ys)
    steps = ""
    if task == "n2n" and counts:
        steps = next(iter(counts)) if events else step_kind(ys, counts) or next(iter(counts))
    items = []
    for number, (example, value, y) in enumerate(zip(examples.pairs, values, ys, strict=True)):
        count = counts[steps][number] if steps else None
        items.append(_item(examples, example, value, kind, **_known(examples, example, y, task, events, count, steps)))
    return items, steps


def _known(
    examples: Examples, example: Example, y: Any, task: str, events: bool, count: int | None, steps: str
) -> dict[str, Any]:
    """What is to be learned of a pair, as an argument of `Item`."""
    if events:
        if task != "n2n":
            raise examples.problem(example.line, f"y are events, which are no task {task}")
        found = marks_of(examples.path, example.line, y)
        for mark in found:
            if count is not None and mark.start >= count:
                raise examples.problem(example.line, f"the event {mark} is outside x, which has {count} {steps}")
        return {"events": found}
    if task == "n21":
        return {"label": y if isinstance(y, str) else " ".join(y)}
    if task == "n2m":
        return {"text": y if isinstance(y, str) else " ".join(y)}
    labels = y if isinstance(y, list) else y.split()
    if count is not None and len(labels) != count:
        raise examples.problem(
            example.line,
            f"y has {len(labels)} labels and x {count} {steps}: a label a step needs as many; "
            "a sequence of another length is --task n2m",
        )
    return {"labels": tuple(labels)}


def _item(examples: Examples, example: Example, x: Any, kind: str, **known: Any) -> Item:
    name = str(example.x) if kind in MEDIA else _name(x)
    return Item(
        name,
        str(example.line),
        examples.folder / example.x if kind in MEDIA else examples.path,
        example.line,
        speaker=example.group,
        split=example.split,
        x=x,
        **known,
    )


def _name(value: Any) -> str:
    """Of an x, so that what is the same stays together."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(value.tobytes()).hexdigest()[:16]
    return value if isinstance(value, str) else " ".join(value)
