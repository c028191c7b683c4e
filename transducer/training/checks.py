"""Numbers and types of settings, checked where they come in: one line that names the setting."""

from __future__ import annotations

import math
import re
from numbers import Integral, Real
from typing import Any

from transducer.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def check_whole(owner: str, name: str, value: Any, least: int) -> None:
    """Raises UsageError unless the value is an integer from `least` on."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise UsageError(f"{owner}: {name} must be a whole number from {least} on, not {value!r}")


def check_number(
    owner: str, name: str, value: Any, least: float = 0.0, most: float = math.inf, above: bool = False
) -> None:
    """Raises UsageError unless the value is a finite number in [least, most], or, with `above`, in (least, most]."""
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most or (above and value == least):
        wanted = f"above {least:g}" if above else f"from {least:g}"
        wanted += f" to {most:g}" if math.isfinite(most) else " on"
        raise UsageError(f"{owner}: {name} must be a number {wanted}, not {value!r}")


def check_type(owner: str, name: str, value: Any, kind: type | tuple[type, ...], what: str) -> None:
    """Raises UsageError unless the value is of a type, which `what` names for people."""
    if not isinstance(value, kind):
        raise UsageError(f"{owner}: {name} must be {what}, not {value!r}")


def check_name(owner: str, value: Any) -> None:
    """Raises UsageError unless the value can be the name of a file."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise UsageError(f"{owner}: a name is made of letters, digits, dots and hyphens, not {value!r}")


def check_part(part: str) -> None:
    """Raises UsageError unless a recipe is to measure "dev" or "test"."""
    if part not in ("dev", "test"):
        raise UsageError(f"part={part}: there are dev and test")
