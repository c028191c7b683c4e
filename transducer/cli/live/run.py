"""A live source through its models: what is heard and seen is shown, written, and handed on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from transducer.cli.console import report
from transducer.cli.live.hook import Hook
from transducer.cli.live.interrupts import Interrupts
from transducer.cli.live.job import LiveJob, LivePlan, make_plan
from transducer.cli.live.keys import keys
from transducer.cli.live.opening import open_source
from transducer.cli.live.tracks import Track
from transducer.cli.live.views import LiveRows, LiveScreen
from transducer.cli.live.writers import LiveFile, rows_view, whole
from transducer.cli.options import set_threads
from transducer.cli.sources import DONE, FAILED
from transducer.media.live.capture import Inbox

TICK = 0.1  # seconds between two looks at whether something is wanted


class Teller:
    """Tells the user a line, on the screen as long as there is one."""

    def __init__(self) -> None:
        self.view: LiveScreen | LiveRows | None = None

    def __call__(self, message: str) -> None:
        if self.view is not None:
            self.view.tell(message)
        else:
            report("warning", message)

    def show(self, line: str) -> None:
        """A line that is not ours, beside the results."""
        if isinstance(self.view, LiveScreen):
            self.view.show(line)
        else:
            print(line, file=sys.stderr, flush=True)


def run(job: LiveJob) -> int:
    """Do what the command line asks for, until the source ends or Ctrl-C.

    Raises:
        UsageError: options that cannot be meant, found before anything is opened.
        MediaError: the source cannot be opened, or broke off for good; what was certain has been shown and written.
    """
    plan = make_plan(job)
    set_threads(job.threads)
    interrupts, inbox, tell = Interrupts(), Inbox(), Teller()
    with ExitStack() as stack:
        hook = stack.enter_context(Hook(job.exec, tell, tell.show)) if job.exec is not None else None
        source = stack.enter_context(open_source(plan, inbox, tell))
        written = None
        if plan.output_format is not None:
            written = LiveFile(Path(job.output or ""), plan.output_format, job.result, source.name)
        stack.enter_context(interrupts.caught())
        pressed = stack.enter_context(keys(inbox.press))
        view = choose_view(plan, source, pressed)
        takers = [view.item, *([written.item] if written else []), *([hook.item] if hook else [])]
        try:
            with view:
                tell.view = view
                follow(source.tracks, inbox, interrupts, view.tick, takers)
        finally:
            tell.view = None
        if source.health.nothing_heard:
            report("warning", f"{source.name}: {source.health.nothing_heard}")
        result = partial(whole, source.tracks, job.result, source.name)
        view.finish(result)
        if written is not None:
            written.finish(result)
    for track in source.tracks:
        if track.failure is not None:
            raise track.failure
    if interrupts.terminated:
        from transducer.cli import Terminated

        raise Terminated
    return FAILED if source.failed or (written is not None and written.failed) else DONE


def follow(
    tracks: Sequence[Track],
    inbox: Inbox,
    interrupts: Interrupts,
    tick: Callable[[], None],
    takers: Sequence[Callable[[Any], None]],
) -> None:
    """Work on what comes until every track has ended.

    Args:
        tick: is called at least every `TICK` seconds.
        takers: get each result, in order.
    """
    of = {track.capture: track for track in tracks}

    def give(results: Sequence[Any]) -> None:
        for result in results:
            for take in takers:
                take(result)

    stopping = False
    while not all(track.ended for track in tracks):
        if interrupts.asked and not stopping:
            stopping = True
            for track in tracks:
                track.stop()
        capture, item = inbox.get(TICK)
        if capture is not None:
            give(of[capture].take(item))
        elif item == "flush":
            for track in tracks:
                give(track.flush())
        for track in tracks:
            give(track.poll())
        tick()


def choose_view(plan: LivePlan, source: Any, pressed: bool) -> LiveScreen | LiveRows:
    """A screen where standard output is a terminal and text is wanted; else rows."""
    if plan.shows_screen:
        return LiveScreen(source.health, pressed)
    return LiveRows(rows_view(plan.format, plan.job.result, source.name), source.health)
