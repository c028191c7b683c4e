"""Times as people write them."""

from __future__ import annotations

import re

from transducer.errors import UsageError

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", re.ASCII)


def parse_time(text: str, option: str, positive: bool = False) -> float:
    """Seconds, from a number of them, m:ss or h:mm:ss, each with decimals or not.

    Args:
        option: what the time is for, to be named in messages.

    Raises:
        UsageError: it is no time; or it is 0, and has to be more.
    """
    match = _TIME.fullmatch(text.strip())
    parts = [float(part or 0) for part in match.groups()] if match else []
    if not match or any(part >= 60 for part in parts[1 if match[1] else 2 if match[2] else 3 :]):
        raise UsageError(f"{option} {text!r} is no time; write seconds, such as 90.5, or h:mm:ss, such as 0:01:30.5")
    hours, minutes, seconds = parts
    time = hours * 3600 + minutes * 60 + seconds
    if positive and time == 0:
        raise UsageError(f"{option} must be more than 0")
    return time
