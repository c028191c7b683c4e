"""The live view, its keys and Ctrl-C, in a terminal of the test's own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import numpy as np
from command_line import ENVIRONMENT

from transducer.cli.live.views import meter, partial_text, thumbnail
from transducer.results import Segment, Word

MEDIA = Path(__file__).parents[3] / "sample_media"
ENTER, INTERRUPT = b"\r", b"\x03"


class Terminal:
    """Runs `transducer` with arguments in a pseudo-terminal of 90 columns."""

    def __init__(self, *arguments: str):
        self.process, self._descriptor = pty.fork()
        if not self.process:
            environment = {**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": "90", "LINES": "30"}
            os.execve(sys.executable, [sys.executable, "-m", "transducer", *arguments], environment)
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
        self.text = ""
        self.ended = False

    def read_until(self, wanted: str, after: int = 0, timeout: float = 120.0) -> int:
        """Wait for this to be shown behind place `after`; the place behind it."""
        until = time.monotonic() + timeout
        while (place := self.text.find(wanted, after)) < 0:
            assert time.monotonic() < until and not self.ended, f"no {wanted!r} in {self.text[after:][-2000:]!r}"
            self._read()
        return place + len(wanted)

    def read_final(self, begins: str, after: int = 0) -> int:
        """Wait for a line of its own, none of it dim, that begins so; the place behind it."""
        line = re.compile(rf"\r\x1b\[2K{begins}[a-z ,.]*\r\n", re.IGNORECASE)
        while (found := line.search(self.text, after)) is None:
            assert not self.ended, f"no line {begins!r} in {self.text[after:][-2000:]!r}"
            self._read()
        return found.end()

    def press(self, key: bytes) -> None:
        os.write(self._descriptor, key)

    def wait(self) -> int:
        """The exit status."""
        while not self.ended:
            self._read()
        _, status = os.waitpid(self.process, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> None:
        if select.select([self._descriptor], [], [], 0.1)[0]:
            try:
                data = os.read(self._descriptor, 1 << 16)
            except OSError:
                data = b""
            self.ended = not data
            self.text += data.decode("utf-8", "replace")


def test_enter_makes_it_final_and_ctrl_c_ends_it():
    terminal = Terminal("listen", "--pace", str(MEDIA / "the-way.mp3"))
    begun = terminal.read_until("Enter: make it final")
    partial = terminal.read_until("\x1b[2mturn left", begun)  # dim: it may still change
    terminal.press(ENTER)
    final = terminal.read_final("Turn", partial)
    assert "river" not in terminal.text[:final]  # the sentence had not ended
    terminal.read_until("river", final)
    terminal.press(INTERRUPT)
    assert terminal.wait() == 0
    assert "\x1b[?25h" in terminal.text  # the cursor is there again
    assert "Traceback" not in terminal.text


def test_a_second_interrupt_stops_at_once():
    terminal = Terminal("listen", "--pace", str(MEDIA / "the-way.mp3"), "--exec", "sh -c 'sleep 100'")
    terminal.read_until("Ctrl-C: end")
    terminal.read_until("village")
    terminal.press(ENTER)
    terminal.read_final("You")
    terminal.press(INTERRUPT)
    terminal.read_until("\x1b[?25h")  # the screen is gone, and the command is waited for
    terminal.press(INTERRUPT)
    assert terminal.wait() == 130


def test_sigterm_ends_it_with_what_was_said():
    terminal = Terminal("listen", "--pace", str(MEDIA / "the-way.mp3"))
    terminal.read_until("turn left")
    os.kill(terminal.process, signal.SIGTERM)
    assert terminal.wait() == 143
    terminal.read_final("Turn")


def test_pictures_are_shown_small():
    terminal = Terminal("watch", "--pace", str(MEDIA / "shots.mp4"))
    terminal.read_until("▀")
    terminal.read_until("57-58  cut")
    terminal.press(INTERRUPT)
    assert terminal.wait() == 0
    assert "transducer:" not in terminal.text


def test_only_what_may_change_is_dim():
    words = tuple(Word(text, n, n + 1, 0.5) for n, text in enumerate("one two three".split()))
    text = partial_text(Segment(words, False, 0, 3, stable=2), 100)
    assert text.plain == "one two three"
    assert [(span.start, span.end, span.style) for span in text.spans] == [(7, 13, "dim")]
    assert partial_text(Segment(words, False, 0, 3), 5).plain == "three"


def test_the_meter_and_the_thumbnail():
    assert meter(1.0) == "▁▂▃▄▅▆▇█"
    assert meter(0.0) == "·" * 8
    assert meter(0.03) == "▁▂▃▄····"
    picture = np.zeros((4, 3, 3), np.uint8)
    picture[1, 2] = 7, 8, 9
    text = thumbnail(picture)
    assert text.plain == "▀▀▀\n▀▀▀"
    assert "on rgb(7,8,9)" in str(text.spans[2].style)
