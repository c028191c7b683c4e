"""Standard output and standard error, with their failures told apart."""

from __future__ import annotations

import os
import sys


class StdoutError(Exception):
    """Standard output can no longer be written, for another reason than a closed pipe."""


def report(kind: str, message: str) -> None:
    """One line on standard error."""
    print(f"transducer: {kind}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def write_stdout(text: str) -> None:
    """Write and flush.

    Raises:
        BrokenPipeError: nobody reads any more.
        StdoutError: it cannot be written otherwise, as on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StdoutError(f"standard output cannot be written: {error.strerror}") from error


def drop_stdout() -> None:
    """Send the rest of standard output nowhere."""
    # What is still buffered would raise once more when the interpreter ends.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
