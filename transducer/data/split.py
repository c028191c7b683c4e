"""Which items of a table are held out, where it does not say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from transducer.data.item import Item


def hold_out(items: Sequence[Item], share: float) -> set[str]:
    """Ids of about a share of the items, such that no speaker is on both sides.

    Items go together by their speaker, else by the column `source`, else by file; if all of them are of one
    speaker, each goes alone. Of items with one label each, every label gives its share, where speakers allow it.
    A hash of the names decides: the same items every time, and mostly the same when items are added.
    """
    groups = _groups(items)
    if len(groups) < 2 or share <= 0:
        return set()
    by_label: dict[str, list[list[Item]]] = {}
    for group in groups:
        labels = {item.label or "" for item in group}
        by_label.setdefault(labels.pop() if len(labels) == 1 else "", []).append(group)
    held: list[Item] = []
    for same in by_label.values():
        wanted = round(share * sum(map(len, same)))
        taken = 0
        for group in same:
            if taken + len(group) / 2 <= wanted:
                held += group
                taken += len(group)
    if not held and len(items) > 3:
        held = min(groups, key=len)
    return {item.id for item in held}


def _groups(items: Sequence[Item]) -> list[list[Item]]:
    """Items that must stay together, in the order of a hash."""
    found: dict[str, list[Item]] = {}
    for item in items:
        key = f"speaker {item.speaker}" if item.speaker else f"source {item.source}" if item.source else item.name
        found.setdefault(key, []).append(item)
    if len(found) == 1:
        found = {}
        for item in items:
            found.setdefault(item.name, []).append(item)
    return [found[key] for key in sorted(found, key=lambda key: hashlib.sha256(key.encode()).digest())]
