"""A command of the user's for each final result, which never holds up the stream."""

from __future__ import annotations

import os
import queue
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from transducer.errors import UsageError
from transducer.formats.values import one_line
from transducer.results import Scene, Segment

WAITING = 100  # results that may wait for the command
PATIENCE = 10.0  # seconds for what is left at the end
PLACE = "{}"


class Hook:
    """Runs COMMAND for each final result, one after the other, in a thread of its own.

    No shell sees the text: it is one argument in the place of {}, or else standard input. The environment has
    TRANSDUCER_START, TRANSDUCER_END (seconds) and TRANSDUCER_TEXT or TRANSDUCER_LABEL. What the command prints goes to
    standard error.

    Args:
        command: split into words as a shell would, and not otherwise interpreted.
        tell: takes a line for the user.
        show: takes a line that the command has printed.

    Raises:
        UsageError: there is no such program, or the quotes do not match.
    """

    def __init__(self, command: str, tell: Callable[[str], None], show: Callable[[str], None]) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--exec {command!r}: {str(error).lower()}; check its quotes") from None
        if not self._words:
            raise UsageError("--exec needs a command")
        if shutil.which(self._words[0]) is None:
            raise UsageError(
                f"--exec: there is no program {self._words[0]!r}; what a shell has to read goes through one: "
                "--exec 'sh -c \"...\"'"
            )
        self._tell, self._show = tell, show
        self._results: queue.Queue[Any] = queue.Queue(WAITING)
        self._running: subprocess.Popen[bytes] | None = None
        self._failed = self._lost = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="exec", daemon=True)
        self._thread.start()

    def item(self, item: Any) -> None:
        """Take a result; a final one is dropped, and told of at the end, where too many wait."""
        if isinstance(item, Scene) or (isinstance(item, Segment) and not (item.final and item.words)):
            return
        try:
            self._results.put_nowait(item)
        except queue.Full:
            self._lost += 1
            if self._lost == 1:
                self._tell(f"--exec is slower than the results: more than {WAITING} wait, and others are left out")

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Wait for what is left, but not for ever; after an error or a second Ctrl-C, not at all."""
        try:
            if kind is None:
                self._results.put(None, timeout=PATIENCE)
                self._thread.join(PATIENCE)
        except queue.Full:
            pass
        finally:
            self._stopped = True
            running = self._running
            if self._thread.is_alive() and running is not None:
                self._tell("--exec: stopped, because it had not ended")
                running.terminate()
        if self._lost:
            self._tell(f"--exec: {self._lost} results were left out")

    def _work(self) -> None:
        while (result := self._results.get()) is not None and not self._stopped:
            self._run(result)

    def _run(self, result: Any) -> None:
        text = one_line(result.text if isinstance(result, Segment) else result.label)
        given = PLACE in "".join(self._words[1:])
        words = [word.replace(PLACE, text) if number else word for number, word in enumerate(self._words)]
        name = "TRANSDUCER_TEXT" if isinstance(result, Segment) else "TRANSDUCER_LABEL"
        times = {"TRANSDUCER_START": f"{result.start:.3f}", "TRANSDUCER_END": f"{result.end:.3f}"}
        try:
            self._running = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL if given else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **times, name: text},
            )
            printed, _ = self._running.communicate(None if given else f"{text}\n".encode())
        except (OSError, ValueError) as error:
            self._tell(f"--exec: {getattr(error, 'strerror', None) or error}")
            return
        for line in printed.decode("utf-8", "replace").splitlines():
            self._show(line)
        if self._running.returncode:
            self._failed += 1
            if self._failed == 1:
                self._tell(f"--exec: {self._words[0]} ended with status {self._running.returncode}")
