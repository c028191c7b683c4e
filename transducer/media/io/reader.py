"""What readers of sound and of pictures share: they own open files, and tell of what they could not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Self, TypeVar

from transducer.errors import UsageError, is_number

MAX_WARNINGS = 20

Item = TypeVar("Item")


class Reader(Generic[Item]):
    """A source that is being read; a context manager.

    Attributes:
        name: of the source, to show.
        duration: seconds, as far as the source's header tells; None if it doesn't. At the end, what was read.
        warnings: one line for each place that could not be read; grows while it is read.
        incomplete: what came is not the whole: the connection broke off, or the file is cut short. Known at the end.
    """

    def __init__(self, name: str, duration: float | None = None):
        self.name = name
        self.duration = duration
        self.warnings: list[str] = []
        self.incomplete = False
        self._unlisted = 0
        self._items: Iterator[Item] = iter(())
        self._resources: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; may be called twice. Reading goes no further."""
        close_items = getattr(self._items, "close", None)
        if close_items is not None and self._resources:
            close_items()
        self._items = iter(())
        while self._resources:
            self._resources.pop().close()

    def _warn(self, text: str, incomplete: bool = False) -> None:
        self.incomplete = self.incomplete or incomplete
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(f"{self.name}: {text}")
            return
        self._unlisted += 1
        self.warnings[-1] = f"{self.name}: {self._unlisted + 1} more places like these; the last: {text}"


def check_span(start: float, length: float | None) -> None:
    """Raise UsageError where the seconds to leave out and to give make no sense."""
    if not is_number(start) or start < 0:
        raise UsageError(f"the start must be a number of seconds from 0 on, got {start!r:.80}")
    if length is not None and not (is_number(length) and length > 0):
        raise UsageError(f"the length must be a number of seconds above 0, got {length!r:.80}")


def prepend(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    """An item that was read ahead, and the others; closing this closes them."""
    yield first
    yield from rest
