"""Which files a model was trained on, such that a measurement can tell whether it has seen them.

A model's card has them as `trained_items`: hexadecimal digits, `DIGITS` for each file, sorted. Of more than `MOST`
files only those with the lowest hashes are there; then a part of what was seen is found.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from transducer.data.item import Item

DIGITS, MOST = 12, 2000
_ENDS = 1 << 16  # bytes that are read of either end


def file_hash(path: Path) -> str:
    """Of a file's size, its beginning and its end: media are large, and rarely differ in the middle alone.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(f"{size} ".encode() + file.read(_ENDS))
        file.seek(max(_ENDS, size - _ENDS))
        digest.update(file.read(_ENDS))
    return digest.hexdigest()[:DIGITS]


def trained_items(paths: Iterable[Path]) -> str:
    """What the card of a model says that was trained on these files. Raises OSError where one cannot be read."""
    return "".join(sorted({file_hash(path) for path in paths})[:MOST])


def trained_on(card: str, items: Sequence[Item]) -> list[Item]:
    """Those of the items whose files a card's `trained_items` has; files that cannot be read are left out."""
    if not card:
        return []
    known = {card[start : start + DIGITS] for start in range(0, len(card), DIGITS)}
    found = []
    for item in items:
        try:
            if file_hash(item.path) in known:
                found.append(item)
        except OSError:
            continue  # what is wrong with it shows when it is decoded
    return found
