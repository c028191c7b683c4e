"""The classes that a run is about to learn, told before it: a misspelt one shows in a count of one."""

from __future__ import annotations

import os
from collections.abc import Callable

from transducer.data.table import Table
from transducer.training.progress import say

_MOST = 60  # classes that are listed


def tell_classes(table: Table, warn: Callable[[str], None]) -> None:
    """Says how often each label occurs in a table, and warns of what looks like a mistake in it."""
    if int(os.environ.get("RANK", "0")):
        return  # the first of torchrun's processes talks
    counts = table.counts() if table.kind != "text" else {}
    listed = [f"{name} ({count})" for name, count in list(counts.items())[:_MOST]]
    if listed:
        more = f" and {len(counts) - _MOST} more" if len(counts) > _MOST else ""
        say(f"to learn: {', '.join(listed)}{more}")
    for line in (*table.warnings, *table.rare_labels()):
        warn(line)
