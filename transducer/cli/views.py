"""What is seen of a transcription while it runs: live text on a terminal, rows in a pipe, a progress bar."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from transducer.cli.console import report, write_stdout
from transducer.formats.words.streaming import ROW_FORMATS, ResultWriter
from transducer.results import Segment, Transcript

if TYPE_CHECKING:
    from rich.console import Group

LONG = 30.0  # seconds of media from which a progress bar is worth its line
PARTIAL_LINES = 3


class View(Protocol):
    """Shows one source. `start` and `close` frame its decoding; `finish` comes after `close`."""

    def start(self, session: Any) -> None: ...
    def segment(self, segment: Segment) -> None: ...
    def close(self) -> None: ...
    def finish(self, transcript: Transcript) -> None: ...


def choose_view(format: str, name: str, header: str, to_files: bool) -> View:
    """The view for standard output and standard error as they are.

    Args:
        format: what standard output is to have, where it is no terminal or the format is not text.
        name: of the source, for rows that bear it.
        header: goes before the first output of the source; may be empty.
        to_files: the results go to files, and standard output has nothing but live text.
    """
    if sys.stdout.isatty() and (to_files or format == "txt"):
        return LiveView(header, text=True)
    rows = None if to_files else RowsView(format, name, header)
    # Rows on the same terminal would tear a progress bar to pieces.
    if sys.stderr.isatty() and not (sys.stdout.isatty() and rows and format in ROW_FORMATS):
        return ProgressAnd(rows)
    return rows or Silent()


class Silent:
    def start(self, session: Any) -> None:
        pass

    def segment(self, segment: Segment) -> None:
        pass

    def close(self) -> None:
        pass

    def finish(self, transcript: Transcript) -> None:
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

    def __init__(self, format: str, name: str, header: str) -> None:
        self._format = format
        self._name = name
        self._header = header
        self._writer: ResultWriter | None = None

    def segment(self, segment: Segment) -> None:
        self._open().segment(segment)

    def finish(self, transcript: Transcript) -> None:
        self._open().finish(transcript)

    def _open(self) -> ResultWriter:
        # Only now: a file that cannot be opened gets no header.
        if self._writer is None:
            if self._header:
                write_stdout(self._header)
            self._writer = ResultWriter(_Stdout(), self._format, self._name)
        return self._writer


class LiveView(Silent):
    """A progress bar of media time for long sources; with `text`, finals above it and the partial dimmed."""

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
            redirect_stderr=sys.stderr.isatty(),
        )
        self._live.start()

    def segment(self, segment: Segment) -> None:
        self._partial = "" if segment.final else segment.text
        if self._text and segment.final and segment.words:
            self._live.refresh()  # or the partial would be drawn again below its final
            self._console.print(segment.text, markup=False)

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

    def segment(self, segment: Segment) -> None:
        self._view.segment(segment)

    def close(self) -> None:
        self._progress.close()
        self._view.close()

    def finish(self, transcript: Transcript) -> None:
        self._view.finish(transcript)


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
