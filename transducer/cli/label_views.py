"""What is seen of a labelling while it runs: a listing on a terminal, rows in a pipe, a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from transducer.cli.console import write_stdout
from transducer.cli.views import LiveView
from transducer.formats.events import render_labelling
from transducer.formats.events.document import render_json, render_json_line
from transducer.formats.events.sheet import Thumbnail
from transducer.formats.events.tables import txt_row
from transducer.results import Event, Labelling, Scene

Pictures = Callable[[], Iterable[Thumbnail]]

# What can be written an event at a time.
ROW_FORMATS = frozenset(("txt", "jsonl"))


class LabelView(Protocol):
    """Shows one source. `start` and `close` frame its decoding; `finish` comes after `close`."""

    def start(self, session: Any) -> None: ...
    def item(self, item: Event | Scene) -> None: ...
    def close(self) -> None: ...
    def finish(self, labelling: Labelling, pictures: Pictures) -> None: ...


def choose_label_view(format: str, name: str, header: str, to_files: bool) -> LabelView:
    """The view for standard output and standard error as they are; see `views.choose_view`."""
    if sys.stdout.isatty() and (to_files or format == "txt"):
        return Listing(header)
    rows = None if to_files else Rows(format, name, header)
    if sys.stderr.isatty() and not (sys.stdout.isatty() and rows and format in ROW_FORMATS):
        return Progress(rows)
    return rows or Silent()


class Silent:
    def start(self, session: Any) -> None:
        pass

    def item(self, item: Event | Scene) -> None:
        pass

    def close(self) -> None:
        pass

    def finish(self, labelling: Labelling, pictures: Pictures) -> None:
        pass


class Rows(Silent):
    """Results on standard output, in one of the formats; lines as they become certain where the format has lines."""

    def __init__(self, format: str, name: str, header: str) -> None:
        self._format = format
        self._name = name
        self._header = header

    def item(self, item: Event | Scene) -> None:
        if self._format == "txt":
            self._write(txt_row(item))
        elif self._format == "jsonl" and isinstance(item, Event):
            self._write(render_json_line(item, self._name))

    def finish(self, labelling: Labelling, pictures: Pictures) -> None:
        if self._format == "json":
            # One line, so that several files make JSON lines.
            pieces = render_json(labelling, indent=None)
        elif self._format in ROW_FORMATS:
            pieces = iter(("",))
        else:
            pieces = render_labelling(labelling, self._format, pictures() if self._format == "html" else ())
        for piece in pieces:
            self._write(piece)

    def _write(self, text: str) -> None:
        # Only now: a file that cannot be opened gets no header.
        if self._header:
            write_stdout(self._header)
            self._header = ""
        if text:
            write_stdout(text)


class Listing(LiveView):
    """The listing on a terminal, above a progress bar."""

    def __init__(self, header: str = "", stderr: bool = False) -> None:
        super().__init__(header, stderr=stderr)

    def item(self, item: Event | Scene) -> None:
        self._live.refresh()
        self._console.print(txt_row(item).rstrip("\n"), markup=False, soft_wrap=True)

    def finish(self, labelling: Labelling, pictures: Pictures) -> None:
        pass


class Progress:
    """A progress bar on standard error beside another view, or alone."""

    def __init__(self, view: LabelView | None = None) -> None:
        self._progress = LiveView(stderr=True)
        self._view = view or Silent()

    def start(self, session: Any) -> None:
        self._progress.start(session)
        self._view.start(session)

    def item(self, item: Event | Scene) -> None:
        self._view.item(item)

    def close(self) -> None:
        self._progress.close()
        self._view.close()

    def finish(self, labelling: Labelling, pictures: Pictures) -> None:
        self._view.finish(labelling, pictures)


class Whole:
    """A progress bar, and results that come whole at the end."""

    def __init__(self, header: str, progress: bool) -> None:
        self._header = header
        self._progress = LiveView(stderr=True) if progress else None

    def start(self, session: Any) -> None:
        if self._progress is not None:
            self._progress.start(session)

    def close(self) -> None:
        if self._progress is not None:
            self._progress.close()

    def write(self, pieces: Iterable[str]) -> None:
        """Put the result on standard output."""
        write_stdout(self._header)
        for piece in pieces:
            write_stdout(piece)


def choose_whole_view(header: str) -> Whole:
    """The view for results that come at the end, for standard error as it is."""
    return Whole(header, sys.stderr.isatty())
