"""Standard output and standard error, with their failures told apart; either may be closed."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any


class StdoutError(Exception):
    """Standard output can no longer be written, for another reason than a closed pipe."""


def prepare_streams() -> None:
    """Make standard output and standard error ready for any text; to be called before any file is opened."""
    # A descriptor that is closed would be given to the next file that is opened, and what libraries print, into it.
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
    for stream in (sys.stdout, sys.stderr):
        # File names need not be valid text, and not every terminal can show every letter.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_terminal(stream: Any) -> bool:
    """Whether sys.stdout, sys.stderr or sys.stdin is one; each of them is None where it was closed."""
    return stream is not None and stream.isatty()


def report(kind: str, message: str) -> None:
    """One line on standard error, or nowhere if it is closed or cannot be written."""
    # print writes to standard output where the file is None.
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(f"transducer: {kind}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def write_stdout(text: str) -> None:
    """Write and flush.

    Raises:
        BrokenPipeError: nobody reads any more.
        StdoutError: it cannot be written otherwise: it is closed, or its disk is full.
    """
    if not text:
        return
    if sys.stdout is None:
        raise StdoutError("standard output is closed, and nothing can be written to it")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StdoutError(f"standard output cannot be written: {error.strerror}") from error


def drop_stdout() -> None:
    """Send the rest of standard output nowhere."""
    if sys.stdout is None:
        return
    # What is still buffered would raise once more when the interpreter ends.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
