"""Items as JSON lines, all that is known of them: for caches, which need no checks and lose nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transducer.atomic import atomic_write
from transducer.data.item import Item, Mark


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write an item a line; paths below the file's folder become relative to it, others absolute."""
    lines = []
    for item in items:
        media = item.path
        media = media.relative_to(path.parent) if media.is_relative_to(path.parent) else media.absolute()
        lines.append(json.dumps({**asdict(item), "path": media.as_posix()}, ensure_ascii=False) + "\n")
    with atomic_write(path) as file:
        file.writelines(lines)


def read_items(path: Path) -> list[Item]:
    """What `write_items` wrote; whether the media exist is not checked."""
    items = []
    for line in path.read_text(encoding="utf-8").split("\n"):  # not splitlines(): texts may hold U+2028
        if line:
            row: dict[str, Any] = json.loads(line)
            row["path"] = path.parent / row["path"]
            if row["events"] is not None:
                row["events"] = tuple(Mark(**event) for event in row["events"])
            if row["labels"] is not None:
                row["labels"] = tuple(row["labels"])
            items.append(Item(**row))
    return items
