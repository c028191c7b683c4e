"""What is seen of a live source: a quiet screen on a terminal, rows in a pipe."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from transducer.cli.console import is_terminal, report
from transducer.cli.views import PARTIAL_LINES, clock
from transducer.formats.events.tables import listed
from transducer.results import Segment

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

METER = "▁▂▃▄▅▆▇█"
QUIETEST = -60.0  # dB; the meter begins there
LATE = 2.0  # seconds behind, which are told where nobody sees them grow


class Status(Protocol):
    """How a source is doing."""

    @property
    def position(self) -> float: ...
    @property
    def lag(self) -> float: ...
    @property
    def lag_matters(self) -> bool: ...
    @property
    def dropped(self) -> int: ...
    @property
    def peak(self) -> float | None: ...
    @property
    def picture(self) -> Any: ...


class LiveRows:
    """Rows on standard output; what is told goes to standard error."""

    def __init__(self, rows: Any, status: Status) -> None:
        self._rows, self._status = rows, status
        self._told_at = 0.0

    def __enter__(self) -> LiveRows:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def item(self, item: Any) -> None:
        self._rows.item(item)

    def tell(self, message: str) -> None:
        report("warning", message)

    def tick(self) -> None:
        """Time has passed."""
        lag, now = self._status.lag, self._status.position
        if lag > LATE and self._status.lag_matters and now - self._told_at > 10 * LATE:
            self._told_at = now
            report("warning", f"{lag:.1f} s behind at {clock(now)}: this machine is too slow for it at the moment")

    def finish(self, result: Callable[[], Any]) -> None:
        self._rows.finish(result(), tuple)


class LiveScreen:
    """Finals scroll up; below them the partial, of which what may change is dim, and a line that tells how it goes.

    Args:
        keys: whether Enter does something.
    """

    def __init__(self, status: Status, keys: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._status, self._keys = status, keys
        self._partial: Segment | None = None
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=is_terminal(sys.stderr),
        )

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._partial = None
        self._live.stop()

    def item(self, item: Any) -> None:
        if isinstance(item, Segment) and not item.final:
            self._partial = item if item.words else None
            self._live.refresh()
            return
        text = item.text if isinstance(item, Segment) else listed(item).rstrip("\n")
        if isinstance(item, Segment):
            self._partial = None
        if text:
            self._live.refresh()  # or the partial would be drawn again below its final
            self._console.print(text, markup=False, soft_wrap=not isinstance(item, Segment))

    def show(self, line: str) -> None:
        self._console.print(line, markup=False, style="dim")

    def tell(self, message: str) -> None:
        self._console.print(f"transducer: {message}", style="yellow", markup=False)

    def tick(self) -> None:
        pass  # the screen draws itself

    def finish(self, result: Callable[[], Any]) -> None:
        pass

    def _render(self) -> Group:
        from rich.console import Group

        parts: list[Any] = []
        if self._partial is not None:
            parts.append(partial_text(self._partial, PARTIAL_LINES * self._console.width))
        if self._status.picture is not None:
            parts.append(thumbnail(self._status.picture))
        parts.append(self._line())
        return Group(*parts)

    def _line(self) -> Text:
        from rich.text import Text

        status = self._status
        line = Text(no_wrap=True, overflow="crop")
        line.append("● ", style="red")
        line.append(clock(status.position), style="bold")
        if status.peak is not None:
            line.append(f"  {meter(status.peak)}", style="green" if status.peak < 0.99 else "red")
        line.append(f"  {status.lag:.1f} s behind", style="yellow" if status.lag > LATE else "dim")
        if status.dropped:
            line.append(f"  {status.dropped} frames dropped", style="yellow")
        line.append("   Enter: make it final · Ctrl-C: end" if self._keys else "   Ctrl-C: end", style="dim")
        return line


def partial_text(partial: Segment, most: int) -> Text:
    """The words of a partial segment, those that may change dim; the end of it, where it is longer than `most`."""
    from rich.text import Text

    text = Text(partial.stable_text)
    text.append(partial.text[len(text) :], style="dim")
    return text if len(text) <= most else text[len(text) - most :]


def meter(peak: float) -> str:
    """Eight bars, as many of them high as it is loud."""
    decibels = 20 * math.log10(max(peak, 1e-6))
    share = min(max(1 - decibels / QUIETEST, 0.0), 1.0)
    lit = round(share * len(METER))
    return METER[:lit] + "·" * (len(METER) - lit)


def thumbnail(picture: Any) -> Text:
    """An RGB picture (2 H, W, 3) as H lines of half blocks."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    for upper, lower in zip(picture[::2], picture[1::2], strict=False):
        if text:
            text.append("\n")
        for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
            text.append("▀", style=f"rgb({top[0]},{top[1]},{top[2]}) on rgb({bottom[0]},{bottom[1]},{bottom[2]})")
    return text
