"""What is seen of a source while it is read: live text on a terminal, rows in a pipe, a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from transducer.cli.console import is_terminal, report, write_stdout
from transducer.formats import ResultWriter, find_format
from transducer.formats.events.sheet import Thumbnail
from transducer.formats.events.tables import listed
from transducer.results import Event, Scene, Segment

if TYPE_CHECKING:
    from rich.console import Group

LONG = 30.0  # seconds of media from which a progress bar is worth its line
PARTIAL_LINES = 3

Item = Segment | Event | Scene
Pictures = Callable[[], Iterable[Thumbnail]]


class View(Protocol):
    """Shows one source. `start` and `close` frame its decoding; `finish` comes after `close`."""

    def start(self, session: Any) -> None: ...
    def item(self, item: Item) -> None: ...
    def close(self) -> None: ...
    def finish(self, result: Any, pictures: Pictures) -> None: ...


def choose_view(
    format: str, result_type: type, name: str, header: str, to_files: bool, options: dict[str, Any]
) -> View:
    """The view for standard output and standard error as they are.

    Args:
        format: what standard output is to have, where it is no terminal or the format is not text.
        result_type: of what comes at the end.
        name: of the source, for rows that bear it.
        header: goes before the first output of the source; may be empty.
        to_files: the results go to files, and standard output has nothing but live text.
        options: of the format.
    """
    shown, told = is_terminal(sys.stdout), is_terminal(sys.stderr)
    by_row = find_format(format, result_type).rows is not None
    if shown and (to_files or (format == "txt" and by_row)):
        return LiveView(header, text=True)
    rows = None if to_files else RowsView(format, result_type, name, header, options)
    # Rows on the same terminal would tear a progress bar to pieces.
    if told and not (shown and rows and by_row):
        return ProgressAnd(rows)
    return rows or Silent()


class Silent:
    def start(self, session: Any) -> None:
        pass

    def item(self, item: Item) -> None:
        pass

    def close(self) -> None:
        pass

    def finish(self, result: Any, pictures: Pictures) -> None:
        pass


class _Stdout:
    """Standard output with errors told apart (see write_stdout)."""

    def write(self, text: str) -> int:
        write_stdout(text)
        return len(text)

    def flush(self) -> None:
        pass


class RowsView(Silent):
    """Results on standard output, in one of the formats."""

    def __init__(self, format: str, result_type: type, name: str, header: str, options: dict[str, Any]) -> None:
        self._arguments = (format, result_type, name)
        self._options = options
        self._pictured = find_format(format, result_type).needs_pictures
        self._header = header
        self._writer: ResultWriter | None = None

    def item(self, item: Item) -> None:
        self._open().add(item)

    def finish(self, result: Any, pictures: Pictures) -> None:
        self._open().finish(result, **({"thumbnails": pictures()} if self._pictured else {}))

    def _open(self) -> ResultWriter:
        # Only now: a file that cannot be opened gets no header.
        if self._writer is None:
            write_stdout(self._header)
            self._writer = ResultWriter(_Stdout(), *self._arguments, **self._options)
        return self._writer


class LiveView(Silent):
    """A progress bar of media time for long sources; with `text`, what is certain above it, and the partial dimmed."""

    def __init__(self, header: str = "", text: bool = False, stderr: bool = False) -> None:
        from rich.console import Console

        self._console = Console(stderr=stderr, highlight=False)
        self._header = header
        self._text = text
        self._partial = ""
        self._session: Any = None
        self._live: Any = None
        self._began = time.monotonic()

    def start(self, session: Any) -> None:
        from rich.live import Live

        self._session = session
        if self._header:
            self._console.print(self._header.rstrip("\n"), style="bold", markup=False)
        # What is written to the other output belongs there, unless it is this same terminal.
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=is_terminal(sys.stderr),
        )
        self._live.start()

    def item(self, item: Item) -> None:
        text = item.text if isinstance(item, Segment) else listed(item).rstrip("\n")
        certain = not isinstance(item, Segment) or item.final
        self._partial = "" if certain else text
        if self._text and certain and text:
            self._live.refresh()  # or the partial would be drawn again below its final
            # Columns of a listing stay columns; text is broken between words.
            self._console.print(text, markup=False, soft_wrap=not isinstance(item, Segment))

    def close(self) -> None:
        self._partial = ""
        if self._live is not None:
            self._live.stop()

    def _render(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = []
        if self._partial and self._text:
            # The end is what is new; more lines than the terminal has would be cut there.
            parts.append(Text(self._partial[-PARTIAL_LINES * self._console.width :], style="dim"))
        duration, position = self._session.duration, self._session.position
        if duration is None or duration >= LONG:
            bar = Table.grid(padding=(0, 1), expand=True)
            bar.add_column(ratio=1)
            bar.add_column(no_wrap=True)
            speed = position / max(time.monotonic() - self._began, 0.001)
            total = f" / {clock(duration)}" if duration is not None else ""
            bar.add_row(
                ProgressBar(total=duration, completed=position) if duration is not None else "",
                f"{clock(position)}{total}  {speed:.1f}x",
            )
            parts.append(bar)
        return Group(*parts)


class ProgressAnd:
    """A progress bar on standard error beside another view, or alone."""

    def __init__(self, view: View | None) -> None:
        self._progress = LiveView(stderr=True)
        self._view = view or Silent()

    def start(self, session: Any) -> None:
        self._progress.start(session)
        self._view.start(session)

    def item(self, item: Item) -> None:
        self._view.item(item)

    def close(self) -> None:
        self._progress.close()
        self._view.close()

    def finish(self, result: Any, pictures: Pictures) -> None:
        self._view.finish(result, pictures)


def clock(seconds: float) -> str:
    """m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class WarningReporter:
    """Reports a session's warnings, each once, as they come."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._seen: list[str] = []

    def report(self) -> None:
        """Report those that are new."""
        for message in self._session.warnings[len(self._seen) :]:
            self._seen.append(message)  # first: an interrupt comes at any point
            report("warning", message)

    def finish(self) -> None:
        """Report what is left; a list at its limit has the sum of the rest in its last place."""
        self.report()
        if self._seen and self._session.warnings[-1] != self._seen[-1]:
            report("warning", self._session.warnings[-1])
