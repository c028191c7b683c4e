"""The shape of a task, told by its pairs: a label a step (n2n), one label (n21), another length (n2m)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from transducer.data.examples import Example, Examples
from transducer.data.rows import shown
from transducer.errors import UsageError

TASKS = ("n2n", "n21", "n2m")
MOST_LABELS = 10_000
_TAGS = 100  # different tags of words, at most, for texts of equal length to be taken for tags
_ENOUGH = 0.8  # share of the pairs whose lengths must agree for a label a step


def y_of(examples: Examples, example: Example, asked: bool = False) -> Any:
    """A y as a text, a list of names, or of events; `asked` says that fractions are to be names.

    Raises:
        UsageError: with the line: it is empty or odd.
    """
    value = example.y
    if isinstance(value, Mapping):
        value = [value]
    events = isinstance(value, list) and all(isinstance(part, Mapping) for part in value)
    if value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, list) and not value):
        if isinstance(value, list) and any(_is_events(other.y) for other in examples.pairs):
            return []  # nothing happens
        raise examples.problem(example.line, "y is empty")
    if events:
        return value
    if isinstance(value, list):
        return [_name(examples, example, part, asked) for part in value]
    return value.strip() if isinstance(value, str) else _name(examples, example, value, asked)


def _is_events(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _name(examples: Examples, example: Example, value: Any, asked: bool = False) -> str:
    """A label as text: numbers and truth values as they are in JSON; fractions where labels were asked for."""
    if isinstance(value, str):
        if not value.strip():
            raise examples.problem(example.line, "y has an empty label")
        return " ".join(value.split())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        raise examples.problem(example.line, f"y is {value}, which is no number")
    if isinstance(value, int) or (isinstance(value, float) and value == int(value)):
        return str(int(value))
    if isinstance(value, float) and asked:
        return f"{value:g}"
    if isinstance(value, float):
        raise examples.problem(
            example.line,
            f"y is the number {value:g} where others are labels; --output-tokens numbers takes all for numbers",
        )
    raise examples.problem(example.line, f"y is {shown(value)}: it must be a label, a text, a list of them, or events")


def shape_of(examples: Examples, ys: Sequence[Any], steps: Mapping[str, Sequence[int]]) -> str:
    """The shape of a task.

    Args:
        ys: of all pairs, as `y_of` gives them.
        steps: for each kind of step that x may have ("words", "characters", "rows"), how many there are in each pair.
    """
    if any(_is_events(y) for y in ys):
        return "n2n"
    if all(isinstance(y, list) for y in ys):
        return "n2n" if step_kind(ys, steps) or not steps else "n2m"
    texts = [y if isinstance(y, str) else " ".join(y) for y in ys]
    words = [text.split() for text in texts]
    tags = Counter(word for text in words for word in text)
    lengths = list(map(len, words))
    if "words" in steps and lengths == list(steps["words"]) and sum(lengths) > 1.5 * len(ys) and len(tags) <= _TAGS:
        return "n2n"
    return "n21" if 2 * len(set(texts)) <= len(texts) else "n2m"


def step_kind(ys: Sequence[Any], steps: Mapping[str, Sequence[int]]) -> str | None:
    """What y has a label for each of, in most pairs; None where that is nothing."""
    lengths = [len(y) if isinstance(y, list) else len(y.split()) for y in ys]
    shares = {
        kind: sum(a == b for a, b in zip(lengths, counts, strict=True)) / len(ys) for kind, counts in steps.items()
    }
    best = max(shares, key=lambda kind: shares[kind], default=None)
    return best if best is not None and shares[best] >= _ENOUGH else None


def check_kinds(examples: Examples, ys: Sequence[Any]) -> None:
    """Raises UsageError, with the line, where some y are events or lists and others are not."""
    first = examples.pairs[0]
    kinds: dict[type, str] = {str: "a label or a text", list: "a list"}
    for example, y in zip(examples.pairs, ys, strict=True):
        if type(y) is not type(ys[0]):
            raise examples.problem(
                example.line, f"y is {kinds[type(y)]}, but {kinds[type(ys[0])]} on line {first.line}"
            )


def check_labels(examples: Examples, ys: Sequence[Sequence[str]]) -> None:
    """Raises UsageError where there is one label only, or more than any model tells apart.

    Args:
        ys: the labels of each pair.
    """
    seen: set[str] = set()
    for example, labels in zip(examples.pairs, ys, strict=True):
        seen.update(labels)
        if len(seen) > MOST_LABELS:
            raise examples.problem(
                example.line,
                f"this is the label number {MOST_LABELS + 1}, and more cannot be told apart; "
                "if y are texts, say --task n2m",
            )
    if len(seen) == 1:
        last = examples.pairs[-1].line
        raise UsageError(
            f"{examples.path}, lines {examples.pairs[0].line} to {last}: all y are {shown(min(seen))!r}: "
            "there is nothing to tell apart"
        )
