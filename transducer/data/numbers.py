"""Numbers as y: when they are no labels, and whether they are of each step or of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from transducer.data.examples import Example, Examples
from transducer.data.rows import shown
from transducer.data.shapes import step_kind
from transducer.errors import UsageError

OUTPUTS = ("numbers", "labels")  # what numbers as y may be taken for
_MOST_CLASSES = 100  # different whole numbers, at most, that are taken for labels
_KINDS = ("a number", "a list of numbers", "a list of lists of numbers")


class Numbers(NamedTuple):
    """The y of a table.

    Attributes:
        task: "n2n" or "n21".
        names: of the V numbers of a step, or of the whole.
        values: of each pair (T, V), or (V,) of the whole; NaN where one is not known.
        steps: what there are numbers for each of, "" where that is not known yet.
    """

    task: str
    names: tuple[str, ...]
    values: list[np.ndarray]
    steps: str = ""


def are_numbers(examples: Examples, text: bool) -> bool:
    """Whether y are numbers to be learned as such: fractions are. Whole numbers are where there are too many different
    ones for labels, and x is no text, of which they may be a part.

    Args:
        text: whether x is.
    """
    cells = [cell for example in examples.pairs for cell in _cells(example.y)]
    found = [(cell, value) for cell in cells if (value := _number(cell)) is not None]
    if 2 * len(found) <= len(cells):
        return False
    if any(value % 1 for _, value in found if math.isfinite(value)):
        return True
    whole = len(found) == len(cells) and not any(isinstance(cell, str) for cell in cells)
    return whole and not text and len({value for _, value in found}) > min(_MOST_CLASSES, len(found) / 2)


def read_numbers(examples: Examples, task: str | None, counts: Mapping[str, Sequence[int]]) -> Numbers:
    """Check the numbers of all pairs.

    Args:
        task: "n2n" or "n21" where it is not to be guessed: lists as long as x are numbers of its steps.
        counts: for each kind of step that x may have, how many there are in each pair; empty where x are files.

    Raises:
        UsageError: with the line: no number, NaN, a y of another kind or length than others, or than x.
    """
    values = [_array(examples, example) for example in examples.pairs]
    first = examples.pairs[0]
    for example, value in zip(examples.pairs, values, strict=True):
        if value.ndim != values[0].ndim:
            raise examples.problem(
                example.line, f"y is {_KINDS[value.ndim]}, but {_KINDS[values[0].ndim]} on line {first.line}"
            )
    names = tuple(part.strip() for part in examples.y.split(","))
    task = task or ("n21" if len(names) > 1 else _task(values, counts))
    axes = values[0].ndim
    if task == "n2m" or (task == "n2n" and axes == 0) or (task == "n21" and axes == 2):
        needs = {"n2m": "texts", "n2n": "a list of numbers", "n21": "a number or a list of them"}[task]
        raise examples.problem(first.line, f"y is {_KINDS[axes]}: the task {task} needs {needs}")
    if task == "n21":
        values = [value.reshape(-1) for value in values]
        steps = ""
    else:
        steps = (step_kind([list(value) for value in values], counts) or next(iter(counts))) if counts else ""
        _check_steps(examples, values, steps, counts)
        values = [value.reshape(len(value), -1) for value in values]
    width = values[0].shape[-1]
    for example, value in zip(examples.pairs, values, strict=True):
        if value.shape[-1] != width:
            of = "y has" if task == "n21" else "a step of y has"
            raise examples.problem(
                example.line, f"{of} {value.shape[-1]} numbers, but {width} on line {first.line}: all need as many"
            )
    if len(set(names)) != width:
        names = ("y",) if width == 1 else tuple(f"y{number}" for number in range(1, width + 1))
    return Numbers(task, names, values, steps)


def check_differ(examples: Examples, values: Sequence[np.ndarray]) -> None:
    """Raises UsageError where all numbers are the same, or none is known."""
    found = np.unique(np.concatenate([value.reshape(-1) for value in values]))
    if len(found[~np.isnan(found)]) < 2:
        raise UsageError(
            f"{examples.path}, lines {examples.pairs[0].line} to {examples.pairs[-1].line}: all y are "
            f"{'unknown' if np.isnan(found[0]) else f'{found[0]:g}'}: there is nothing to learn"
        )


def _task(values: Sequence[np.ndarray], counts: Mapping[str, Sequence[int]]) -> str:
    if values[0].ndim != 1:
        return "n21" if values[0].ndim == 0 else "n2n"
    if step_kind([list(value) for value in values], counts):
        return "n2n"
    return "n21" if len({len(value) for value in values}) == 1 else "n2n"


def _check_steps(
    examples: Examples, values: Sequence[np.ndarray], steps: str, counts: Mapping[str, Sequence[int]]
) -> None:
    for example, value, count in zip(examples.pairs, values, counts[steps] if steps else (), strict=bool(steps)):
        if len(value) != count:
            raise examples.problem(
                example.line,
                f"y has {len(value)} numbers and x {count} {steps}: numbers of each step need as many; those of the "
                "whole, --task n21, as many as on other lines",
            )


def _cells(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for part in value:
            yield from _cells(part)
    else:
        yield value


def _number(value: Any) -> float | None:
    """None of what is none; NaN of what is not known."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _array(examples: Examples, example: Example) -> np.ndarray:
    """() for a number, (n,) for a list, (T, V) for a list of lists; float64."""
    value = example.y
    if value is None or value == "" or (isinstance(value, list) and not value):
        raise examples.problem(example.line, "y is empty")
    if not isinstance(value, list):
        return np.array(_checked(examples, example, value))
    lists = [isinstance(part, list) for part in value]
    if not any(lists):
        return np.array([_checked(examples, example, part, True) for part in value])
    if not all(lists) or len({len(part) for part in value}) > 1 or not value[0]:
        raise examples.problem(example.line, "y is a list whose steps have not the same number of numbers each")
    return np.array([[_checked(examples, example, part, True) for part in row] for row in value])


def _checked(examples: Examples, example: Example, value: Any, in_list: bool = False) -> float:
    if value is None and in_list:
        return math.nan
    number = _number(value)
    if number is None:
        what = "a list" if isinstance(value, list) else shown(str(value))
        raise examples.problem(
            example.line, f"y has {what} where others have numbers; --output-tokens labels takes all for labels"
        )
    if not math.isfinite(number) or abs(number) > 3e38:
        unknown = "; null in a list is a number that is not known" if math.isnan(number) else ""
        raise examples.problem(example.line, f"y has {value}, which is no number to learn{unknown}")
    return number
