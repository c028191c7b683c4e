"""Keys on the terminal, while results come."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

FLUSH = frozenset("\r\n ")


@contextmanager
def keys(press: Callable[[str], None]) -> Iterator[bool]:
    """Calls `press("flush")` for Enter and space; gives whether there is a terminal to press them on.

    The terminal itself is asked, so that standard input may be a source. One of a program in the background is left
    alone, which would be stopped by it.
    """
    try:
        import termios
        import tty

        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (ImportError, OSError):
        yield False
        return
    before: list[Any] | None = None
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(terminal, press, ended), name="keys", daemon=True)
    try:
        if os.tcgetpgrp(terminal) == os.getpgrp():
            before = termios.tcgetattr(terminal)
            tty.setcbreak(terminal, termios.TCSADRAIN)
            watcher.start()
        yield before is not None
    finally:
        ended.set()
        if before is not None:
            watcher.join(1.0)
            with contextlib.suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        os.close(terminal)


def _watch(terminal: int, press: Callable[[str], None], ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            if select.select([terminal], [], [], 0.2)[0]:
                typed = os.read(terminal, 64)
                if not typed:
                    return  # the terminal has gone
                if FLUSH & set(typed.decode("utf-8", "replace")):
                    press("flush")
        except (OSError, ValueError):
            return
