"""What is seen of a run: a progress bar on a terminal, a line now and then elsewhere. All on standard error."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from typing import Any

_LINES = 40  # a phase tells about itself so often where there is no terminal


class Progress:
    """Shows the reports of a phase; a context manager.

    Args:
        title: of the phase, such as "phase 2 of 3: joint".
        steps: of the whole phase; done: how many are over.
        quiet: show nothing.
    """

    def __init__(self, title: str, steps: int, done: int = 0, quiet: bool = False):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.title, self.steps, self.quiet = title, steps, quiet
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._terminal = self._console.is_terminal
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            speed_estimate_period=300,
            expand=True,
            disable=quiet or not self._terminal,
        )
        self._task = self._bar.add_task(title, total=steps, completed=done, numbers="")
        self._rates = ""
        self._recent: dict[str, list[float]] = defaultdict(list)
        self._first, self._began = done, time.monotonic()

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def __call__(self, step: int, numbers: dict[str, float]) -> None:
        """Take a report of the loop: a step's losses and speed, or an evaluation."""
        if "loss" not in numbers:
            self._rates = "  ".join(f"{label(name)} {shown(name, value)}" for name, value in numbers.items())
            self.say(f"{self.title}, step {step}: {self._rates}")
            return
        for name in ("loss", "frames_per_second"):
            self._recent[name].append(numbers[name])
        if self._terminal:
            recent = {name: values[-20:] for name, values in self._recent.items()}
            self._bar.update(self._task, completed=step, numbers=f"{self._sentence(recent)}  {self._rates}")
        elif step in (1, self.steps) or step % max(1, self.steps // _LINES) == 0:
            self.say(f"{self.title}, step {step} of {self.steps}: {self._sentence(self._recent)}, {self._left(step)}")
            self._recent.clear()

    def say(self, message: str) -> None:
        """A line of its own, above the bar."""
        self._console.print(message, markup=False, soft_wrap=True)

    def _sentence(self, recent: dict[str, list[float]]) -> str:
        means: dict[str, Any] = {name: sum(values) / len(values) for name, values in recent.items() if values}
        return f"loss {means['loss']:.3f}, {means['frames_per_second']:.0f} frames a second"

    def _left(self, step: int) -> str:
        seconds = (time.monotonic() - self._began) / max(1, step - self._first) * (self.steps - step)
        return f"{clock(seconds)} left"


def label(name: str) -> str:
    """What was measured, for people: "wer:words" -> "WER (words)", "accuracy:labels" -> "accuracy (labels)"."""
    kind, _, head = name.partition(":")
    kind = kind.upper() if kind.islower() and len(kind) <= 3 else kind.replace("_", " ")  # abbreviations
    return f"{kind} ({head})" if head else kind


def shown(name: str, value: float) -> str:
    """What was measured under a name, for people: per cent, but for what is no share."""
    return f"{value:.3g}" if is_no_share(name) else f"{100 * value:.1f} %"


def is_no_share(name: str) -> bool:
    """Whether this is the name of a measure that is no share of anything, such as a perplexity."""
    return name.partition(":")[0] in ("perplexity", "mean_absolute_error")


def clock(seconds: float) -> str:
    """h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def say(message: str) -> None:
    """One line on standard error."""
    print(message, file=sys.stderr, flush=True)
