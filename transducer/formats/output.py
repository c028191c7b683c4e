"""Results -> text, files, and rows that appear while a source is still being read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from transducer.atomic import atomic_write
from transducer.errors import UsageError, require
from transducer.formats.registry import find_format, formats


def render(result: Any, format: str, **options: Any) -> str:
    """The contents of a result's file.

    Args:
        result: a Transcript, Labelling or Annotation.
        format: one of `formats(type(result))`.
        options: those of the format. json: `indent` (None puts it on one line). txt of transcripts: `paragraphs`. srt
            and vtt of transcripts: `karaoke`. html: `thumbnails`, the pictures of `events.sheet.wanted_frames` in the
            order of their frames, as far as there are any; they are taken one at a time.

    Raises:
        UsageError: an unknown format, or an option that it does not have.
    """
    return "".join(pieces(result, format, **options))


def pieces(result: Any, format: str, **options: Any) -> Iterator[str]:
    """What `render` gives, in pieces: a page with pictures may be large."""
    return find_format(format, type(result), options).render(result, **options)


def write(result: Any, path: str | os.PathLike[str], format: str | None = None, **options: Any) -> Path:
    """Write a result to a file, whole or not at all.

    Args:
        result: a Transcript, Labelling or Annotation.
        path: of the file; its suffix is the format, where none is given.
        format, options: see `render`.

    Raises:
        UsageError: an unknown format, or an option that it does not have.
        OSError: the file cannot be written; nothing is left of it, and an older file of the name stays.
    """
    require(path, (str, os.PathLike), "a file is named by its path")
    if "\0" in os.fspath(path):
        raise UsageError(f"no file can have the name {os.fspath(path)!r:.80}")
    contents = pieces(result, format or suffix_format(path, type(result)), **options)
    with atomic_write(path) as file:
        file.writelines(contents)
    return Path(path)


def suffix_format(path: str | os.PathLike[str], result_type: type) -> str:
    """The format that a file's name asks for.

    Raises:
        UsageError: its suffix is none of the formats of this type of result.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in formats(result_type):
        raise UsageError(
            f"{os.fspath(path)}: its name does not say which format it is to have; end it with one of "
            f".{', .'.join(formats(result_type))}, or give the format"
        )
    return suffix


class Output(Protocol):
    """What rows are written to: an open text file."""

    def write(self, text: str, /) -> Any: ...
    def flush(self) -> None: ...


class ResultWriter:
    """Write one source's result to an open text file, each row flushed when it is certain.

    A format without rows is written by `finish`; json is then one document on one line, so that several results make
    JSON lines.

    Args:
        out: where to.
        format: one of `formats(result_type)`.
        result_type: Transcript, Labelling or Annotation.
        source: the name that rows of jsonl and ctm bear.
        options: see `render`.

    Raises:
        UsageError: an unknown format, or an option that it does not have.
        OSError: from any method, as from `out`.
    """

    def __init__(self, out: Output, format: str, result_type: type, source: str, **options: Any) -> None:
        self._out = out
        self._format = find_format(format, result_type, options)
        self._options = options
        self._row = self._format.rows(source, **options) if self._format.rows else None
        self._write(self._format.header if self._row else "")

    def add(self, item: Any) -> None:
        """Take the next item: a segment, partial or final, or a scene or event."""
        if self._row is not None:
            self._write(self._row(item))

    def finish(self, result: Any, **options: Any) -> None:
        """Take the whole result, after its last item; `options` are those that came up on the way."""
        if self._row is not None:
            return
        if "indent" in self._format.options:
            options["indent"] = None
        for piece in self._format.render(result, **(self._options | options)):
            self._write(piece)

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()
