"""Which formats there are, by the type of result that they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from transducer.errors import UsageError, require

Rows = Callable[..., Callable[[Any], str]]


@dataclass(frozen=True)
class Format:
    """How a result is written as text.

    Attributes:
        render: (result, **options) -> the contents of the file, in pieces.
        rows: (source's name, **options) -> a function from each item of a result (segments, partial ones included;
            events and scenes in the order of time) to its text, which may be empty; None where nothing can be
            written before the end is known.
        header: what goes before the rows.
        options: names of the options that `render` and `rows` take.
        named: whether the results of several sources can still be told apart when they share an output.
        frames: whether it holds the scores of every frame, where the result has them.
    """

    render: Callable[..., Iterator[str]]
    rows: Rows | None = None
    header: str = ""
    options: frozenset[str] = frozenset()
    named: bool = False
    frames: bool = False

    @property
    def needs_pictures(self) -> bool:
        return "thumbnails" in self.options

    def pick(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the options that this format takes."""
        return {name: value for name, value in options.items() if name in self.options}


def row_format(
    rows: Rows,
    items: Callable[[Any], Iterable[Any]],
    header: str = "",
    options: Iterable[str] = (),
    named: bool = False,
) -> Format:
    """A format that is nothing but the rows of a result's `items` below a header."""

    def render(result: Any, **given: Any) -> Iterator[str]:
        return chain((header,), map(rows(result.source, **given), items(result)))

    return Format(render, rows, header, frozenset(options), named)


_FORMATS: dict[type, dict[str, Format]] = {}


def register(result_type: type, formats: Mapping[str, Format]) -> None:
    """Make formats known by their names, which are the suffixes of their files."""
    _FORMATS.setdefault(result_type, {}).update(formats)


def formats(result_type: type) -> tuple[str, ...]:
    """The names of the formats that hold such a result."""
    if result_type not in _FORMATS:
        there = " or ".join(known.__name__ for known in _FORMATS)
        raise UsageError(f"{result_type.__name__} has no formats: give a {there}")
    return tuple(_FORMATS[result_type])


def check_format(name: str, result_type: type) -> str:
    """The format's name, in lower case and without a leading dot.

    Raises:
        UsageError: there is no such format for this type of result; lists those there are.
    """
    require(name, str, "a format is a name, such as json")
    key = name.lower().removeprefix(".")
    if key not in formats(result_type):
        raise UsageError(f"unknown format {name!r}; there are {', '.join(formats(result_type))}")
    return key


def find_format(name: str, result_type: type, options: Iterable[str] = ()) -> Format:
    """The format of this name.

    Raises:
        UsageError: see `check_format`; or it does not take one of these options.
    """
    key = check_format(name, result_type)
    found = _FORMATS[result_type][key]
    for option in options:
        if option not in found.options:
            takes = ", ".join(sorted(found.options)) or "none"
            raise UsageError(f"{key} has no option {option!r}; it takes {takes}")
    return found
