"""Errors that a user can do something about: one line that says what is wrong and what to do.

The command line prints the line without a traceback and ends with `exit_status`.
"""

from __future__ import annotations

import math
from typing import Any


class TransducerError(Exception):
    """Base of all errors that are not bugs."""

    exit_status = 1


class UsageError(TransducerError):
    """What was asked for makes no sense: a wrong option, a source of the wrong kind."""

    exit_status = 2


class MediaError(TransducerError):
    """A source that can't be read or decoded."""

    exit_status = 1


class CheckpointError(TransducerError):
    """A model that doesn't exist, is incomplete, or is of another version."""

    exit_status = 2


def require(value: Any, kinds: type | tuple[type, ...], what: str) -> None:
    """Raise UsageError where a value is none of these types; `what` says what it must be."""
    if not isinstance(value, kinds):
        raise UsageError(f"{what}, got {value!r:.80}")


def is_number(value: Any) -> bool:
    """Whether it is a finite number: no text, no bool, not NaN."""
    try:
        return not isinstance(value, bool | str | bytes) and math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False
