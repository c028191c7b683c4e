"""A row of a table: a recording or clip, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Mark:
    """An event as a table has it: seconds [start, end), or steps from start to end inclusive.

    `end` is None for a moment: the step at `start`. `frames` says that both are numbers of steps, frames of a picture.
    """

    label: str
    start: float
    end: float | None
    frames: bool
    line: int = field(compare=False)

    @property
    def moment(self) -> bool:
        """Whether it is one step."""
        return self.end is None or (self.frames and self.end == self.start)

    def __str__(self) -> str:
        unit = "frame" if self.frames else "second"
        until = "" if self.end is None else f" to {self.end:g}"
        return f"{self.label!r} at {unit} {self.start:g}{until}"


@dataclass(frozen=True)
class Item:
    """A recording or clip, and at most one kind of what is to be learned of it.

    Attributes:
        name: of the file, as the table has it; `path` where it is; `line` of its first row.
        id: unique in its table.
        seconds: None where the table does not say.
        speaker: "" where the table does not say.
        text: what is said or shown; "" for none.
        events: in the order of their starts; None where the table has no events.
        labels: of each step (a frame of a picture), "" for the background; or None.
        label: of the whole; or None.
        values, value: numbers of each step, or of the whole, NaN where one is not known; or None.
        split: "train", "dev", or "" where the table does not say.
        extra: all other columns.
        x: what there is instead of a file: a text, a list of words, rows of numbers; None for a file.
    """

    name: str = field(compare=False)
    id: str
    path: Path
    line: int = field(default=0, compare=False)
    seconds: float | None = None
    speaker: str = ""
    text: str = ""
    events: tuple[Mark, ...] | None = None
    labels: tuple[str, ...] | None = None
    label: str | None = None
    split: str = ""
    extra: dict[str, Any] = field(default_factory=dict, hash=False)
    x: Any = field(default=None, compare=False)
    values: tuple[tuple[float, ...], ...] | None = None
    value: tuple[float, ...] | None = None

    @property
    def kind(self) -> str:
        """What it has: "events", "labels", "label", "values", "value", "text"; "" for nothing, such as noise without
        words."""
        names = ("events", "labels", "label", "values", "value")
        values = {**{name: getattr(self, name) for name in names}, "text": self.text or None}
        return next((name for name, value in values.items() if value is not None), "")

    @property
    def source(self) -> str:
        """Where it comes from, of the column `source`; "" where the table does not say."""
        return str(self.extra.get("source") or "")

    @property
    def words(self) -> tuple[str, ...]:
        """Of the text."""
        return tuple(self.text.split())

    @property
    def names(self) -> Iterable[str]:
        """The labels or words that occur, with repetitions, the background left out."""
        if self.events is not None:
            return (event.label for event in self.events)
        if self.label is not None:
            return (self.label,)
        return (name for name in self.labels or self.words if name)
