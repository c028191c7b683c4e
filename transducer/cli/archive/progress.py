"""One progress bar for all files of a run."""

from __future__ import annotations

import sys
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from transducer.archive.summary import DONE, FAILED, PARTS_MISSING
from transducer.cli import sources
from transducer.cli.console import is_terminal, report
from transducer.cli.views import clock

if TYPE_CHECKING:
    from rich.table import Table


class Progress:
    """Counts files and hours of media; a bar on standard error where that is a terminal. A context manager.

    Attributes:
        share: of the files how many have been listed, 0 to 1, as far as it is known.
    """

    def __init__(self) -> None:
        self.share: float | None = None
        self._began = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._listed = 0
        self._media = 0.0
        self._moving: dict[str | None, float] = {}
        self._live: Any = None

    def __enter__(self) -> Progress:
        if is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(stderr=True, highlight=False),
                get_renderable=self._render,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def done(self) -> int:
        """Files that are done, with all their parts or not."""
        return self._counts[DONE] + self._counts[PARTS_MISSING]

    @property
    def failed(self) -> int:
        return self._counts[FAILED]

    @property
    def lacking(self) -> int:
        """Files of which parts could not be read."""
        return self._counts[PARTS_MISSING]

    @property
    def exit_status(self) -> int:
        """Of a command that has done all of it."""
        return sources.FAILED if self.failed else sources.PARTS_MISSING if self.lacking else sources.DONE

    def list(self, share: float | None) -> None:
        """One more file of the list, of which so much has been read."""
        self._listed += 1
        self.share = share

    @property
    def shown(self) -> bool:
        """Whether there is a bar."""
        return self._live is not None

    def expect(self, count: int) -> None:
        """So many files in all, beside those that an earlier run has done."""
        self._listed, self.share = count + self._counts["before"], 1.0

    def skip(self, count: int = 1) -> None:
        """Files that an earlier run has done."""
        self._counts["before"] += count

    def move(self, output: str, seconds: float) -> None:
        """So many seconds of a file have been worked on."""
        self._moving[output] = seconds

    def finish(self, output: str | None, status: str, seconds: float | None) -> None:
        """A file is over, which had so many seconds of media."""
        self._moving.pop(output, None)
        self._counts[status] += 1
        self._media += seconds or 0.0

    def tell(self) -> None:
        """A line with what was done."""
        before = f" {self._counts['before']} had been done before." if self._counts["before"] else ""
        lacking = f", of {self.lacking} of them parts are missing" if self.lacking else ""
        took = time.monotonic() - self._began
        report(
            "summary",
            f"{self.done} files done{lacking}; {self.failed} failed.{before} "
            f"{self._hours()} of media in {clock(took)}, {self._speed():.3g} times as fast",
        )

    def _hours(self) -> str:
        return f"{self._seconds() / 3600:.2f} hours"

    def _seconds(self) -> float:
        return self._media + sum(self._moving.values())

    def _speed(self) -> float:
        return self._seconds() / max(time.monotonic() - self._began, 1e-3)

    def _render(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        over = self.done + self.failed
        passed = time.monotonic() - self._began
        total = None
        if self.share:
            total = max(self._listed - self._counts["before"], 0) / self.share
        left = f"  {clock(passed * (total - over) / over)} left" if total and over else ""
        count = f"{over}/{round(total)}" if total else f"{over}"
        failed = f", {self.failed} failed" if self.failed else ""
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        bar = ProgressBar(total=max(total, 1), completed=over) if total else ""
        line.add_row(bar, f"{count} files{failed}  {self._hours()}  {self._speed():.0f}x{left}")
        return line
