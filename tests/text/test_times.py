"""Times as people write them."""

from __future__ import annotations

import pytest

from transducer.errors import UsageError
from transducer.text.times import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90.5", 90.5),
        (".5", 0.5),
        ("3600", 3600.0),
        ("1:30", 90.0),
        ("90:00", 5400.0),
        ("1:02:03.25", 3723.25),
        ("100:00:00", 360_000.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text, "--start") == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:60", "1:60:00", "1:2:3:4", "1h", "nan", "inf", "1e3", "1:", ":30"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match=r"--start .* is no time; write seconds"):
        parse_time(text, "--start")
